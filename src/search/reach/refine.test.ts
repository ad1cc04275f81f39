import { describe, expect, test } from 'vitest';
import { layerCosts } from './costs.ts';
import { type ReachPlacement, shownPlacement } from './placement.ts';
import type { JudgedReach } from './reach-judge.ts';
import { type ReachJudging, refine, withUnit } from './refine.ts';
import type { ReachBudget } from './result.ts';

const LAYERS = 4;
const costs = layerCosts({ headDim: 4, numKvHeads: 2 }, { tokens: 1000, sinks: 0, cache: 'f32' });
const windows: ReachPlacement = Array.from({ length: LAYERS }, () => ({
  fullHeads: [],
  window: 8,
  sinks: 0,
}));
const units = windows.flatMap((_, layer) => [0, 1].map((head) => ({ layer, heads: [head] })));

/** Judges by what a set of heads is worth; over the texts of another placement, and by whole passes. */
class FakeJudge implements ReachJudging {
  wholes: string[] = [];

  constructor(
    private readonly worth: (heads: ReadonlySet<string>) => number,
    private readonly apparent = worth,
  ) {}

  async judge(placements: readonly ReachPlacement[]): Promise<JudgedReach[]> {
    return placements.map((placement) => judged(this.apparent(heads(placement))));
  }

  async whole(placement: ReachPlacement): Promise<JudgedReach> {
    this.wholes.push(shownPlacement(placement));
    return judged(this.worth(heads(placement)));
  }
}

const heads = (placement: ReachPlacement) => new Set(shownPlacement(placement).split(' '));
const judged = (worth: number): JudgedReach => ({ recall: [], text: null, objective: -worth });
const placed = (...names: string[]) =>
  names.reduce((sum, name) => {
    const [layer, head] = name.split('.').map(Number) as [number, number];
    return withUnit(sum, { layer, heads: [head] });
  }, windows);

const refined = (judge: ReachJudging, start: ReachPlacement, budget: ReachBudget) =>
  refine(judge, start, { budget, costs, units, changes: new Map(), name: 'test' });

describe('exchanges', () => {
  /** Two heads that do the same, one of which is enough, and others that add a little. */
  const redundant = (own: ReadonlySet<string>) =>
    (own.has('0.0') || own.has('0.1') ? 1 : 0) + (own.has('2.1') ? 0.8 : 0) + (own.has('3.0') ? 0.1 : 0);

  test('of heads that do the same one makes room', async () => {
    const judge = new FakeJudge(redundant);
    const { placement, judged } = await refined(judge, placed('0.0', '0.1'), { heads: 2 });
    expect(shownPlacement(placement)).toMatch(/^0\.[01] 2\.1$/);
    expect(judged.objective).toBeCloseTo(-1.8);
    // What was found was read anew before it was believed.
    expect(judge.wholes.length).toBeGreaterThan(1);
  });

  test('what fits is added, what is worth nothing is not', async () => {
    const { placement } = await refined(new FakeJudge(redundant), windows, { heads: 5 });
    expect(heads(placement)).toContain('2.1');
    expect(heads(placement)).toContain('3.0');
    expect(heads(placement).has('0.0') || heads(placement).has('0.1')).toBe(true);
  });

  test('a head that does harm is left out', async () => {
    const worth = (own: ReadonlySet<string>) => (own.has('1.1') ? -1 : 0);
    const { placement } = await refined(new FakeJudge(worth), placed('1.1'), { heads: 1 });
    expect(shownPlacement(placement)).not.toContain('1.1');
  });

  test('two at once, where each alone does harm', async () => {
    const worth = (own: ReadonlySet<string>) =>
      (own.has('0.0') ? 1 : 0) +
      (own.has('1.0') ? 1 : 0) -
      0.4 * own.size +
      (own.has('2.0') && own.has('3.0') ? 4 : own.has('2.0') || own.has('3.0') ? 0.9 : 0);
    const { placement } = await refined(new FakeJudge(worth), placed('0.0', '1.0'), { heads: 2 });
    expect(shownPlacement(placement)).toBe('2.0 3.0');
  });
});

test('what only seemed better is not taken', async () => {
  const worth = (own: ReadonlySet<string>) => (own.has('0.0') ? 1 : 0);
  const apparent = (own: ReadonlySet<string>) => worth(own) + (own.has('3.1') ? 2 : 0);
  const { placement, judged } = await refined(new FakeJudge(worth, apparent), placed('0.0'), { heads: 1 });
  expect(shownPlacement(placement)).toBe('0.0');
  expect(judged.objective).toBe(-1);
});

test('a budget of bytes is kept to', async () => {
  const head = 1000 * 2 * 4 * 4;
  const bytes = 3.5 * head;
  const { placement } = await refined(new FakeJudge((own) => own.size), windows, { bytes });
  expect(heads(placement).size).toBe(3);
});
