import { InputError } from '../util/errors.ts';
import { Random } from '../util/random.ts';
import type { Plan } from './harness.ts';
import type { Encode } from './task.ts';

/**
 * Text as a task: rows cut from it at seeded places, every token but the first of a row predicted. Its gold loss
 * per token is the language-model loss in nats.
 */
export function planText(
  name: string,
  text: string,
  encode: Encode,
  { rows, length, seed }: { rows: number; length: number; seed: number },
): Plan {
  const random = new Random(seed);
  // Eight characters a token are enough for nearly any text and tokenizer.
  const span = length * 8;
  const planned = Array.from({ length: rows }, () => {
    const start = random.below(Math.max(1, text.length - span));
    const ids = encode(text.slice(start, start + span)).slice(0, length);
    if (ids.length < 2)
      throw new InputError(`${name}: expected text of at least two tokens, got '${text.slice(0, 40)}'`);
    return { ids, spans: [{ from: 1, to: ids.length }] };
  });
  return {
    name,
    rows: planned,
    longest: Math.max(...planned.map(({ ids }) => ids.length)),
    examples: planned.map(({ ids }, row) => ({ slots: [{ row, span: 0 }], goldTokens: ids.length - 1 })),
  };
}
