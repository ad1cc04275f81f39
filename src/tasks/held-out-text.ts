import type { TextSource } from '../train/batches.ts';
import { InputError } from '../util/errors.ts';
import { Random } from '../util/random.ts';
import type { Plan } from './harness.ts';
import type { Encode } from './task.ts';

/** Which part of a text rows are cut from: one half is for choosing, the other for comparing what was chosen. */
export type TextHalf = 'first' | 'second';

/**
 * Text as a task: rows cut from it at seeded places, every token but the first of a row predicted. Its gold loss
 * per token is the language-model loss in nats.
 *
 * @param half all of the text when not given
 * @throws InputError for a text that is too short
 */
export function planText(
  name: string,
  text: TextSource,
  encode: Encode,
  { rows, length, seed, half }: { rows: number; length: number; seed: number; half?: TextHalf | undefined },
): Plan {
  const middle = text.middle ?? Math.ceil(text.length / 2);
  const from = half === 'second' ? middle : 0;
  const to = half === 'first' ? middle : text.length;
  const random = new Random(seed);
  // Eight characters a token are enough for nearly any text and tokenizer.
  const span = length * 8;
  const planned = Array.from({ length: rows }, () => {
    const start = from + random.below(Math.max(1, to - from - span));
    const ids = encode(text.slice(start, Math.min(start + span, to))).slice(0, length);
    if (ids.length < 2) {
      const what = half === undefined ? 'text' : `text whose ${half} half is`;
      throw new InputError(
        `${name}: expected ${what} of at least two tokens, got '${text.slice(from, Math.min(from + 40, to))}'`,
      );
    }
    return { ids, spans: [{ from: 1, to: ids.length }] };
  });
  return {
    name,
    rows: planned,
    longest: Math.max(...planned.map(({ ids }) => ids.length)),
    examples: planned.map(({ ids }, row) => ({ slots: [{ row, span: 0 }], goldTokens: ids.length - 1 })),
  };
}
