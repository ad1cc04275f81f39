import { createHash } from 'node:crypto';
import type { KnownText, TrainingData } from '../../train/batches.ts';
import { InputError } from '../../util/errors.ts';
import { partsOf } from './answers.ts';

/** Rows of records of which the answers alone are to be learnt. */

/** Characters of text taken for each wanted token. */
const CHARACTERS_PER_TOKEN = 8;
/** Characters in which a record must begin: more without one is no such text. */
const LONGEST_CUT = 1 << 26;
/** Rows without any answer that are drawn again: their prompts are longer than a row. */
const DRAWS = 20;

/**
 * Rows that begin with the beginning of a record, one after the other as long as there is room; what does not fit is cut.
 * Attention crosses from one record to the next, as in rows of plain text. Parts are encoded one by one, as a model reads a
 * prompt and then writes.
 *
 * @param text with its answers marked (answers.ts)
 * @throws InputError for a text without a record that has an answer
 */
export function answerBatches(
  text: KnownText,
  encode: (text: string) => readonly number[],
  name: string,
  tokenizer: string,
): TrainingData {
  const identity = createHash('sha256').update(`answers\0${tokenizer}\0${text.identity}`).digest('hex');
  /** Parts from a record's beginning on, of so many characters at least where the text has them. */
  const cut = (start: number, characters: number): ReturnType<typeof partsOf> => {
    for (let length = characters; ; length *= 2) {
      const parts = partsOf(text.slice(start, start + length));
      const first = parts.findIndex(({ begins }) => begins);
      if (first >= 0) return parts.slice(first);
      if (length >= Math.min(text.length, LONGEST_CUT)) return [];
    }
  };
  const fillRow = (ids: Int32Array, answers: Uint8Array, draw: (below: number) => number): void => {
    for (let at = 0; at < ids.length; ) {
      const characters = (ids.length - at) * CHARACTERS_PER_TOKEN;
      const drawn = cut(draw(Math.max(1, text.length - characters)), characters);
      // Behind the last beginning there is none: the text begins with one.
      const parts = drawn.length > 0 ? drawn : cut(0, characters);
      if (parts.length === 0) throw new InputError(`${name} has no record with an answer`);
      for (const part of parts) {
        const found = encode(part.text);
        const some = found.slice(0, ids.length - at);
        ids.set(some, at);
        answers.fill(part.answer ? 1 : 0, at, at + some.length);
        at += some.length;
        if (at === ids.length) break;
      }
    }
  };
  return {
    identity,
    fill(out, width, random, answers = new Uint8Array(out.length)) {
      for (let row = 0; row < out.length; row += width) {
        const [ids, own] = [out.subarray(row, row + width), answers.subarray(row, row + width)];
        for (let tries = 0; tries < DRAWS; tries++) {
          fillRow(ids, own, (below) => random.below(below));
          if (own.includes(1)) break;
        }
      }
    },
  };
}
