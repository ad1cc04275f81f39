/**
 * Key-value recall in the vocabulary of any tokenizer: keys and values are whole-word tokens of it, so that a real
 * model is asked for one token per answer and word knowledge does not help.
 *
 *     The code of river is window. The code of apple is doctor. ... The code of river is
 */
import { InputError } from '../util/errors.ts';
import { Random } from '../util/random.ts';
import { collect, type Part } from './passage.ts';
import type { Encode, Task } from './task.ts';

export interface VocabularyRecallOptions {
  /** Pairs per list, at about 7 tokens each; 16. */
  pairs?: number;
  /** Questions per list, which one pass scores together; 4. */
  questions?: number;
}

/** How many of the commonest words are used: the rare ones a small model hardly knows. */
const mostWords = 2000;

/** Lower-case words of 4 to 8 letters that are one token behind a space, the commonest (lowest id) first. */
function wholeWords(vocab: Iterable<readonly [string, number]>, encode: Encode): string[] {
  const words: { word: string; id: number }[] = [];
  for (const [token, id] of vocab) {
    const word = /^[Ġ▁]([a-z]{4,8})$/.exec(token)?.[1];
    if (word) words.push({ word, id });
  }
  words.sort((a, b) => a.id - b.id);
  const whole: string[] = [];
  for (const { word, id } of words) {
    if (whole.length === mostWords) break;
    const ids = encode(` ${word}`);
    if (ids.length === 1 && ids[0] === id) whole.push(word);
  }
  return whole;
}

/**
 * @param vocab tokens as tokenizer.json spells them, with their ids
 * @throws InputError if the vocabulary has too few whole words for one list, or more questions than pairs are asked
 */
export function vocabularyRecall(
  vocab: Iterable<readonly [string, number]>,
  encode: Encode,
  { pairs = 16, questions = 4 }: VocabularyRecallOptions = {},
): Task {
  if (!(questions >= 1 && questions <= pairs)) {
    throw new InputError(`vocabulary recall: expected 1 to ${pairs} questions per list, got ${questions}`);
  }
  const words = wholeWords(vocab, encode);
  if (words.length < 2 * pairs) {
    throw new InputError(
      `vocabulary recall: expected at least ${2 * pairs} whole-word tokens for ${pairs} pairs, found ${words.length}`,
    );
  }
  const sentence = (key: string) => ` The code of ${key} is`;
  return {
    name: 'vocabulary-recall',
    examples(count, seed, apart = []) {
      const random = new Random(seed);
      return collect('vocabulary-recall', count, apart, () => {
        const drawn = random.shuffled(words).slice(0, 2 * pairs);
        const list = drawn.slice(0, pairs).map((key, i) => ({ key, value: drawn[pairs + i]! }));
        let before = list.map(({ key, value }) => `${sentence(key)} ${value}.`).join('');
        // The first word too stands behind a space, as in running text.
        const parts = random
          .shuffled(list)
          .slice(0, questions)
          .map(({ key, value }): Part => {
            const part = { before: before + sentence(key), answer: ` ${value}` };
            before = '.';
            return part;
          });
        return { parts, after: before, contents: [`vocabulary-recall ${drawn.join(' ')}`] };
      });
    },
  };
}
