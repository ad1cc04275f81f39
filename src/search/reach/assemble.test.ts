import { expect, test } from 'vitest';
import { Random } from '../../util/random.ts';
import { assemble, type Choices, fits } from './assemble.ts';
import { layerCosts, placementCost } from './costs.ts';
import type { ReachPlacement } from './placement.ts';
import type { ReachBudget } from './result.ts';

const LAYERS = 3;
const KV = 2;
const WINDOWS = [8, 16];
const times = {
  fixed: 1,
  layers: [
    { window: 8, milliseconds: [0.5, 1.1, 1.9] },
    { window: 16, milliseconds: [0.7, 1.2, 1.9] },
  ],
};
const costs = layerCosts({ headDim: 4, numKvHeads: KV }, { tokens: 10_000, sinks: 2, cache: 'q8', times });

function choices(seed: number, whole = false): Choices {
  const random = new Random(seed);
  const layers = Array.from({ length: LAYERS }, (_, layer) => layer);
  const change = () => random.uniform() - 0.8;
  return {
    ...{ layers: LAYERS, kvHeads: KV, sinks: 2 },
    units: layers.flatMap((layer) =>
      whole
        ? [{ layer, heads: [0, 1], change: change() }]
        : [0, 1].map((head) => ({ layer, heads: [head], change: change() })),
    ),
    windows: WINDOWS.map((window, w) => ({
      window,
      changes: layers.map(() => (w === 0 ? 0 : -0.1 * random.uniform())),
    })),
  };
}

/** Every placement there is, and the sum of its scores. */
function everything({ units, windows, sinks }: Choices): { placement: ReachPlacement; sum: number }[] {
  const all: { placement: ReachPlacement; sum: number }[] = [];
  for (let set = 0; set < 2 ** units.length; set++) {
    const own = units.filter((_, i) => set & (1 << i));
    for (let long = 0; long < 2 ** LAYERS; long++) {
      const placement = Array.from({ length: LAYERS }, (_, layer) => ({
        fullHeads: own.filter((unit) => unit.layer === layer).flatMap(({ heads }) => heads),
        window: windows[(long >> layer) & 1]!.window,
        sinks,
      }));
      const ofWindows = placement.reduce(
        (sum, _, layer) => sum + windows[(long >> layer) & 1]!.changes[layer]!,
        0,
      );
      all.push({ placement, sum: ofWindows + own.reduce((sum, { change }) => sum + change, 0) });
    }
  }
  return all;
}

const BUDGETS: ReachBudget[] = [
  { heads: 3 },
  { bytes: 400_000 },
  { bytes: 900_000, heads: 5 },
  { milliseconds: 4.1 },
  { milliseconds: 4.6, bytes: 700_000 },
  { heads: 0, bytes: 3000 },
];

test.each(BUDGETS)('%j: as good as the best of all', async (budget) => {
  for (const seed of [1, 2, 3]) {
    const own = choices(seed);
    const among = everything(own);
    const found = await assemble(own, budget, costs);
    const best = Math.min(
      ...among.filter(({ placement }) => fits(placement, budget, costs)).map(({ sum }) => sum),
    );
    expect(fits(found!, budget, costs)).toBe(true);
    expect(
      among.find(({ placement }) => JSON.stringify(placement) === JSON.stringify(found))!.sum,
    ).toBeCloseTo(best, 9);
  }
});

test('whole layers', async () => {
  const own = choices(4, true);
  const found = await assemble(own, { layers: 2 }, costs);
  const best = everything(own).filter(({ placement }) => fits(placement, { layers: 2 }, costs));
  expect(best.reduce((a, b) => (b.sum < a.sum ? b : a)).placement).toEqual(found);
});

test('nothing fits', async () => {
  expect(await assemble(choices(1), { bytes: 100 }, costs)).toBeNull();
});

test('bytes as the engine keeps them', () => {
  const layer = (heads: number[]) => [{ fullHeads: heads, window: 16, sinks: 2 }];
  const shape = { headDim: 64, numKvHeads: 3 };
  // Two blocks of 4,096 tokens in 8 bits with two factors a token and one a part of 256; the rest exact.
  const packed = 8192 * 2 * 64 + 8192 * 2 * 4 + 32 * 4 + (10_000 - 8192) * 2 * 64 * 4;
  const q8 = layerCosts(shape, { tokens: 10_000, sinks: 2, cache: 'q8' });
  expect(placementCost(layer([1]), q8)).toEqual({ bytes: packed + 2 * 18 * 2 * 64 * 4 });
  const f32 = layerCosts(shape, { tokens: 10_000, sinks: 2, cache: 'f32' });
  expect(placementCost(layer([0, 1, 2]), f32)).toEqual({ bytes: 3 * 10_000 * 2 * 64 * 4 });
});
