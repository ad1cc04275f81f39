import { createHash } from 'node:crypto';
import { InputError } from '../util/errors.ts';
import type { Random } from '../util/random.ts';

/** Where training tokens come from. What is drawn depends on `random` alone, so that a run can be resumed. */
export interface TokenBatches {
  /** Fills `out` with rows of `width` token ids. */
  fill(out: Int32Array, width: number, random: Random): void;
}

/** Tokens for trainings that keep their states: these say what they were trained on. */
export interface TrainingData extends TokenBatches {
  /** A hash of all that rows depend on but the generator: the whole text, and the tokenizer. */
  readonly identity: string;
}

/** Characters of text taken for each wanted token, so that one cut is nearly always enough. */
const CHARACTERS_PER_TOKEN = 8;

/**
 * Rows cut from a text at random places, each beginning after a space or line break.
 *
 * @param encode text to token ids, without special tokens
 * @param tokenizer what tells `encode` from that of another tokenizer, for the identity
 * @throws InputError for a text without enough tokens for a row
 */
export function textBatches(
  text: string,
  encode: (text: string) => readonly number[],
  name = 'corpus',
  tokenizer = '',
): TrainingData {
  if (text.trim().length === 0) throw new InputError(`${name} is empty: expected text to train on`);
  let identity: string | undefined;
  return {
    /** Of every character: 58 MB take about 0.1 s, so that it is not kept by the file's date or size, which may lie. */
    get identity() {
      identity ??= createHash('sha256').update(tokenizer).update('\0').update(text).digest('hex');
      return identity;
    },
    fill(out, width, random) {
      for (let row = 0; row < out.length; row += width) {
        let ids: readonly number[] = [];
        // A longer cut for each one that had too few tokens.
        for (let length = width * CHARACTERS_PER_TOKEN; ids.length < width; length *= 2) {
          const start = random.below(Math.max(1, text.length - length));
          const cut = text.slice(start, start + length);
          const space = start === 0 ? -1 : cut.search(/\s/);
          ids = encode(cut.slice(space + 1));
          if (cut.length === text.length) break;
        }
        if (ids.length < width) {
          throw new InputError(`${name} has ${ids.length} tokens, expected at least the ${width} of a row`);
        }
        out.set(ids.slice(0, width), row);
      }
    },
  };
}
