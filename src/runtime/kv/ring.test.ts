import { expect, test } from 'vitest';
import { DecodePlaces, isRing, PrefillPlaces, ringInput, ringPlace, tokenAt } from './ring.ts';

/** Tokens that the query at place p sees, by the definition. */
function sightOf({ window, sinks }: { window: number; sinks: number }, p: number): number[] {
  return Array.from({ length: p + 1 }, (_, t) => t).filter((t) => p - t < window || t < sinks);
}

test.each([
  { window: 5, sinks: 0, parts: [1, 1, 3, 4, 1, 1, 20, 1] },
  { window: 5, sinks: 2, parts: [1, 1, 1, 9, 1, 1, 1, 1, 1] },
  { window: 4, sinks: 9, parts: [3, 1, 9, 1, 1, 1, 6] },
  { window: 130, sinks: 4, parts: [300, 1, 129, 1, 512, 127, 1] },
  { window: 1, sinks: 1, parts: [1, 1, 1, 300] },
  { window: 700, sinks: 3, parts: [512, 512, 1, 100] },
])(
  'window $window, sinks $sinks: every token sees what its definition says, pieces and steps $parts',
  ({ parts, ...ring }) => {
    const places = ring.window + ring.sinks;
    const heads = 2;
    /** The tokens that lie there. */
    let tokens = new Array<number>(places).fill(-1);
    let first = 0;
    for (const count of parts) {
      if (count === 1) {
        // The second of two sequences, of which the first is elsewhere.
        const step = new DecodePlaces([{ ...ring, heads }], 2);
        step.fill([first + 7, first]);
        const at = [...(step.values[ringInput(ring, `at.${heads}`)]!.data as BigInt64Array)].map(Number);
        expect(at.slice(6)).toEqual([1, 0, ringPlace(ring, first), 1, 1, ringPlace(ring, first)]);
        tokens[at.at(-1)!] = first;
        const mask = (step.values[ringInput(ring, 'mask')]!.data as Float32Array).subarray(places);
        const seen = tokens.filter((_, place) => mask[place] === 0);
        expect(seen.sort((a, b) => a - b)).toEqual(sightOf(ring, first));
      } else {
        const piece = new PrefillPlaces([{ ...ring, heads }], count);
        piece.fill(Array.from({ length: count }, (_, i) => first + i));
        const [near, mask, kept] = ['near', 'mask', 'kept'].map(
          (part) => piece.values[ringInput(ring, part)]!,
        );
        const [, Q, S] = mask!.dims as [number, number, number];
        const all = [...tokens, ...Array.from({ length: count }, (_, i) => first + i)];
        const index = [...(near!.data as BigInt64Array)].map(Number);
        for (let i = 0; i < count; i++) {
          const row = Math.floor(i / Q) * S;
          const bias = (mask!.data as Float32Array).subarray(i * S, (i + 1) * S);
          const seen = [...bias.keys()].filter((j) => bias[j] === 0).map((j) => all[index[row + j]!]!);
          expect(seen.sort((a, b) => a - b)).toEqual(sightOf(ring, first + i));
        }
        tokens = [...(kept!.data as BigInt64Array)].map((place) => all[Number(place)]!);
      }
      first += count;
      expect(tokens).toEqual(tokens.map((_, place) => tokenAt(ring, place, first)));
    }
  },
);

test('a window is a ring up to 2,048 tokens and 4 sinks', () => {
  expect(isRing({ window: 2048, sinks: 4 })).toBe(true);
  expect(isRing({ window: 2048, sinks: 5 })).toBe(false);
  expect(isRing({ window: 1, sinks: 1e7 })).toBe(false);
  expect(isRing({ window: Number.POSITIVE_INFINITY, sinks: 0 })).toBe(false);
});
