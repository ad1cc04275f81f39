import { createHash } from 'node:crypto';
import { InputError } from '../util/errors.ts';
import type { Random } from '../util/random.ts';

/** Where training tokens come from. What is drawn depends on `random` alone, so that a run can be resumed. */
export interface TokenBatches {
  /**
   * Fills `out` with rows of `width` token ids.
   *
   * @param answers receives 1 for the tokens of answers and 0 for all others, by those that know
   */
  fill(out: Int32Array, width: number, random: Random, answers?: Uint8Array): void;
}

/** Tokens for trainings that keep their states: these say what they were trained on. */
export interface TrainingData extends TokenBatches {
  /** A hash of all that rows depend on but the generator: the whole text, and the tokenizer. */
  readonly identity: string;
}

/** A text that is read in parts, such as a string: places and lengths are in UTF-16 code units. */
export interface TextSource {
  readonly length: number;
  slice(start: number, end: number): string;
  /** Where its second half begins, if it is one by what is in it. */
  readonly middle?: number;
}

/** A text that says what it is, so that it need not be read for that. */
export interface KnownText extends TextSource {
  readonly identity: string;
}

/** Characters of text taken for each wanted token, so that one cut is nearly always enough. */
const CHARACTERS_PER_TOKEN = 8;
/** Characters of text in which a row must be found: more without one is no text. */
const LONGEST_CUT = 1 << 26;

/**
 * Rows cut from a text at random places, each beginning after a space or line break.
 *
 * @param encode text to token ids, without special tokens
 * @param tokenizer what tells `encode` from that of another tokenizer, for the identity
 * @throws InputError for a text without enough tokens for a row
 */
export function textBatches(
  text: string | KnownText,
  encode: (text: string) => readonly number[],
  name = 'corpus',
  tokenizer = '',
): TrainingData {
  if (isBlank(text)) throw new InputError(`${name} is empty: expected text to train on`);
  let identity: string | undefined;
  return {
    get identity() {
      const what = typeof text === 'string' ? text : text.identity;
      identity ??= createHash('sha256').update(tokenizer).update('\0').update(what).digest('hex');
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
          if (cut.length === text.length || length > LONGEST_CUT) break;
        }
        if (ids.length < width) {
          throw new InputError(`${name} has ${ids.length} tokens, expected at least the ${width} of a row`);
        }
        out.set(ids.slice(0, width), row);
      }
    },
  };
}

function isBlank(text: TextSource): boolean {
  const part = 1 << 16;
  for (let at = 0; at < text.length; at += part) {
    if (text.slice(at, at + part).trim() !== '') return false;
  }
  return true;
}
