/**
 * Needle in a haystack: secrets told at random depths of a story that has nothing to do with them, asked for at the
 * end. Unlike the pairs of recall.ts they are few and far away. Whose secret it is stands nowhere else in the story:
 * with its people as owners a third of the answers stayed wrong, every other mention of a name being a wrong match.
 */
import type { Random } from '../util/random.ts';
import { drawSide } from './held-out.ts';
import { keys } from './lexicon.ts';
import type { Passage } from './passage.ts';
import { Story, sentenceTokens } from './story.ts';

/** What a secret takes, told and asked for. */
const secretTokens = 18;

/** Evaluation keeps one to four secrets among ten and more sentences; training has fewer sentences too. */
export function needle(random: Random, heldOut: boolean, room: number): Passage {
  const secrets = drawSide(
    heldOut,
    () => {
      const words = random.shuffled(keys);
      const count = 1 + random.below(Math.min(4, Math.floor(room / (2 * secretTokens)) || 1));
      return Array.from({ length: count }, (_, i): [string, string] => [words[2 * i]!, words[2 * i + 1]!]);
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
    const part = { before: `${before} What is the secret of ${name}? It is`, answer: ` ${word}` };
    before = '.';
    return part;
  });
  return { parts, after: before, contents: [`needle ${secrets.join(' ')}`] };
}
