import { InputError } from '../util/errors.ts';
import { Random } from '../util/random.ts';
import type { Drawn, Plan } from './harness.ts';
import type { Encode } from './task.ts';

/**
 * Text as a task: rows cut from it at seeded places, every token but the first of a row predicted. Its gold loss
 * per token is the language-model loss in nats.
 *
 * @param shape how many rows of how many tokens; `apart`, rows of the same length that none of these may overlap
 * @throws InputError for a text that is too short
 */
export function planText(
  name: string,
  text: string,
  encode: Encode,
  { rows, length, seed, apart }: { rows: number; length: number; seed: number; apart?: Drawn | undefined },
): Plan {
  // Eight characters a token are enough for nearly any text and tokenizer.
  const span = length * 8;
  const starts = apart
    ? startsApart(name, text, span, { rows, seed }, apart)
    : startsOf(text, span, rows, seed);
  const planned = starts.map((start) => {
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

/** Where rows start. */
function startsOf(text: string, span: number, rows: number, seed: number): number[] {
  const random = new Random(seed);
  return Array.from({ length: rows }, () => random.below(Math.max(1, text.length - span)));
}

/** The same, of all the places at which a row overlaps none of `apart`. */
function startsApart(
  name: string,
  text: string,
  span: number,
  { rows, seed }: { rows: number; seed: number },
  apart: Drawn,
): number[] {
  const taken = startsOf(text, span, apart.examples, apart.seed).sort((a, b) => a - b);
  // The gaps between taken rows, as ranges of starts.
  const free: [number, number][] = [];
  let from = 0;
  for (const start of taken) {
    if (start - span >= from) free.push([from, start - span + 1]);
    from = Math.max(from, start + span);
  }
  if (text.length - span >= from) free.push([from, text.length - span + 1]);
  const places = free.reduce((sum, [low, high]) => sum + high - low, 0);
  if (places === 0) {
    throw new InputError(
      `${name}: the text of ${text.length.toLocaleString('en')} characters has no room for a row of ${span.toLocaleString('en')} ` +
        `beside the ${apart.examples} others that it must not overlap: expected a longer text, or fewer or shorter rows`,
    );
  }
  const random = new Random(seed);
  return Array.from({ length: rows }, () => {
    let place = random.below(places);
    const [low] = free.find(([low, high]) => {
      if (place < high - low) return true;
      place -= high - low;
      return false;
    })!;
    return low + place;
  });
}
