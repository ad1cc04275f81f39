import { describe, expect, test } from 'vitest';
import { combinations, countCombinations } from '../../../util/combinations.ts';
import { Random } from '../../../util/random.ts';
import { beamSearch } from './beam.ts';
import { exhaustive } from './exhaustive.ts';
import { randomSearch } from './random.ts';
import {
  type Judged,
  type Placement,
  placementKey,
  type SearchContext,
  type Searcher,
  top,
} from './searcher.ts';
import { uniform, uniformPlacement } from './uniform.ts';

/** Layers have a worth, pairs of layers another; records what was asked, in batches. */
function context(layers: number, budget: number, seed = 1): SearchContext & { asked: string[][] } {
  const random = new Random(seed);
  const worth = Array.from({ length: layers }, () => random.uniform());
  const pairs = Array.from({ length: layers * layers }, () => random.uniform());
  const score = (placement: Placement) =>
    placement.reduce(
      (sum, i) =>
        sum + worth[i]! + placement.reduce((more, j) => more + (i < j ? pairs[i * layers + j]! : 0), 0),
      0,
    );
  const asked: string[][] = [];
  return {
    asked,
    layers,
    budget,
    random: new Random(5),
    judge: async (placements) => {
      asked.push(placements.map(placementKey));
      return placements.map((placement): Judged => ({ placement, score: score(placement), tasks: {} }));
    },
  };
}

const searchers: Searcher[] = [beamSearch(2), uniform, randomSearch(10), exhaustive];

describe('beamSearch', () => {
  test('grows the best of each round; sets are asked once, however they came about', async () => {
    const ctx = context(6, 3);
    const { best } = await beamSearch(4).search(ctx);
    expect(best.map(({ placement }) => placement.length)).toEqual([0, 1, 2, 3]);
    expect(ctx.asked.map((list) => list.length)).toEqual([1, 6, expect.any(Number), expect.any(Number)]);
    for (const list of ctx.asked) {
      expect(new Set(list).size).toBe(list.length);
      for (const key of list) {
        const layers = key === '' ? [] : key.split(',').map(Number);
        expect(layers).toEqual([...new Set(layers)].sort((a, b) => a - b));
      }
    }
    // Four of six layers grown by one: {i, j} and {j, i} are one set.
    expect(ctx.asked[2]).toHaveLength(4 * 5 - 6);
  });

  test('of full width it finds what exhaustive search finds', async () => {
    for (const [layers, budget] of [
      [7, 1],
      [6, 2],
      [5, 3],
    ] as const) {
      const [best] = (await exhaustive.search(context(layers, budget))).best;
      const wide = await beamSearch(1000).search(context(layers, budget));
      expect(wide.best.at(-1)).toEqual(best);
    }
  });

  test('of width 1 it is greedy, and can miss a pair', async () => {
    const scores = new Map([
      ['', 0],
      ['0', 3],
      ['1', 2],
      ['2', 2],
      ['0,1', 4],
      ['0,2', 4],
      ['1,2', 9],
    ]);
    const judge = async (placements: readonly Placement[]) =>
      placements.map((placement) => ({ placement, score: scores.get(placementKey(placement))!, tasks: {} }));
    const ctx = { ...context(3, 2), judge };
    const found = async (width: number) => (await beamSearch(width).search(ctx)).best.at(-1)!.placement;
    expect(await found(1)).toEqual([0, 1]);
    expect(await found(2)).toEqual([1, 2]);
  });

  test('a budget of all layers, and of none', async () => {
    const all = await beamSearch(2).search(context(3, 3));
    expect(all.best.at(-1)!.placement).toEqual([0, 1, 2]);
    expect((await beamSearch(2).search(context(3, 0))).best.map(({ placement }) => placement)).toEqual([[]]);
  });

  test('a signal ends it between rounds', async () => {
    const controller = new AbortController();
    const ctx = { ...context(6, 3), signal: controller.signal, onProgress: () => controller.abort() };
    await expect(beamSearch(2).search(ctx)).rejects.toThrow(/abort/i);
    expect(ctx.asked).toHaveLength(2);
  });
});

describe('uniform', () => {
  test.each([
    [8, 2, [3, 7]],
    [8, 1, [7]],
    [12, 3, [3, 7, 11]],
    [30, 4, [7, 14, 22, 29]],
    [5, 5, [0, 1, 2, 3, 4]],
    [5, 0, []],
  ])('%d layers, %d full', (layers, size, expected) => {
    expect(uniformPlacement(layers, size)).toEqual(expected);
  });

  test('different layers for every size', () => {
    for (let layers = 1; layers <= 32; layers++) {
      for (let size = 0; size <= layers; size++) {
        const placement = uniformPlacement(layers, size);
        expect(new Set(placement).size).toBe(size);
        expect(placement.every((layer) => layer >= 0 && layer < layers)).toBe(true);
      }
    }
  });

  test('one placement per number of full layers', async () => {
    const { best } = await uniform.search(context(8, 2));
    expect(best.map(({ placement }) => placement)).toEqual([[], [7], [3, 7]]);
  });
});

describe('randomSearch', () => {
  test('placements of just the budget, within the layers; the best of them', async () => {
    const ctx = context(9, 3);
    const { best } = await randomSearch(40).search(ctx);
    const asked = ctx.asked[0]!.map((key) => key.split(',').map(Number));
    expect(asked.length).toBeGreaterThan(25);
    expect(asked.length).toBeLessThanOrEqual(40);
    for (const placement of asked) {
      expect(new Set(placement).size).toBe(3);
      expect(placement.every((layer) => layer >= 0 && layer < 9)).toBe(true);
    }
    expect(best).toEqual(top(await ctx.judge(asked), 1));
    // Every layer has its chance.
    expect(new Set(asked.flat()).size).toBe(9);
  });

  test('ends where there are few placements', async () => {
    expect((await randomSearch(50).search(context(3, 3))).best[0]!.placement).toEqual([0, 1, 2]);
  });
});

describe('exhaustive', () => {
  test('all sets, each once', () => {
    expect(combinations(4, 2)).toEqual([
      [0, 1],
      [0, 2],
      [0, 3],
      [1, 2],
      [1, 3],
      [2, 3],
    ]);
    expect(combinations(3, 0)).toEqual([[]]);
    for (const [layers, size] of [
      [10, 4],
      [9, 9],
      [12, 1],
    ] as const) {
      const all = combinations(layers, size);
      expect(all).toHaveLength(countCombinations(layers, size));
      expect(new Set(all.map(placementKey)).size).toBe(all.length);
    }
    expect(countCombinations(30, 15)).toBe(155117520);
  });

  test('the best of all', async () => {
    const ctx = context(6, 2);
    const { best } = await exhaustive.search(ctx);
    const all = await ctx.judge(combinations(6, 2));
    expect(best).toHaveLength(1);
    expect(best[0]!.score).toBe(Math.max(...all.map(({ score }) => score)));
  });

  test('refuses what would take for ever, at once', async () => {
    await expect(exhaustive.search(context(60, 30))).rejects.toThrow(
      expect.objectContaining({
        name: 'InputError',
        message: expect.stringMatching(/30 of 60 layers.*5000/),
      }),
    );
  });
});

test.each(searchers)('$name refuses a budget that is no number of layers', async ({ search }) => {
  for (const budget of [6, -1, 1.5, Number.NaN]) {
    const ctx = context(5, budget);
    await expect(search(ctx)).rejects.toThrow(
      expect.objectContaining({
        name: 'InputError',
        message: expect.stringContaining(`a budget of ${budget} full-attention layers`),
      }),
    );
    expect(ctx.asked).toEqual([]);
  }
});

test('ties go to earlier layers, scores that are no number come last', () => {
  const judged = (score: number, ...placement: number[]): Judged => ({ placement, score, tasks: {} });
  const list = [
    judged(Number.NaN, 0),
    judged(1, 2),
    judged(1, 1),
    judged(Number.NEGATIVE_INFINITY, 3),
    judged(2, 4),
  ];
  expect(top(list, 4).map(({ placement }) => placement[0])).toEqual([4, 1, 2, 0]);
});
