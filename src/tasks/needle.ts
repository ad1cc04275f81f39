/**
 * Needle in a haystack: secrets told at random depths of a story that has nothing to do with them, asked for at the
 * end. Unlike the pairs of recall.ts they are few and far away. Whose secret it is stands nowhere else in the story:
 * with its people as owners a third of the answers stayed wrong, every other mention of a name being a wrong match.
 * What is told is a word that recall copies too, and the question ends in the words it was told in: with meaningless
 * words for both and "What is the secret of ...? It is" for a question, accuracy stayed near 60 % (docs/LOG.md).
 */
import type { Random } from '../util/random.ts';
import { drawSide } from './held-out.ts';
import { keys, values } from './lexicon.ts';
import type { Passage } from './passage.ts';
import { Story, sentenceTokens } from './story.ts';

/** What a secret takes, told and asked for. */
const secretTokens = 17;

/**
 * Evaluation keeps one to four secrets among ten and more sentences. Training has up to eight, since answers are few
 * against the story's tokens and what is not asked is not learnt, and fewer sentences too.
 */
export function needle(random: Random, heldOut: boolean, room: number): Passage {
  const secrets = drawSide(
    heldOut,
    () => {
      const owners = random.shuffled(keys);
      const words = random.shuffled(values);
      const count = 1 + random.below(Math.min(heldOut ? 4 : 8, Math.floor(room / (1.6 * secretTokens)) || 1));
      return Array.from({ length: count }, (_, i): [string, string] => [owners[i]!, words[i]!]);
    },
    (drawn) => `needle ${drawn.join(' ')}`,
  );
  const story = new Story(random);
  const most = Math.floor((room - secrets.length * secretTokens) / sentenceTokens);
  const count = heldOut ? most : 1 + random.below(most);
  const sentences = Array.from({ length: count }, () => story.sentence());
  for (const [name, word] of secrets) {
    sentences.splice(random.below(sentences.length + 1), 0, ` The secret of ${name} is ${word}.`);
  }
  let before = `Story:${sentences.join('')}`;
  const parts = random.shuffled(secrets).map(([name, word]) => {
    const part = { before: `${before} Again: the secret of ${name} is`, answer: ` ${word}` };
    before = '.';
    return part;
  });
  return { parts, after: before, contents: [`needle ${secrets.join(' ')}`] };
}
