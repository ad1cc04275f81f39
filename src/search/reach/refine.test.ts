import { describe, expect, test } from 'vitest';
import {
  eightHeads,
  FakeJudge,
  fourLayers,
  fourLayersWith,
  headsOf,
} from '../../../test/support/reach-judging.ts';
import { layerCosts } from './costs.ts';
import { type ReachPlacement, shownPlacement } from './placement.ts';
import { type ReachJudging, refine } from './refine.ts';
import type { ReachBudget } from './result.ts';

const costs = layerCosts({ headDim: 4, numKvHeads: 2 }, { tokens: 1000, sinks: 0, cache: 'f32' });

const refined = (judge: ReachJudging, start: ReachPlacement, budget: ReachBudget) =>
  refine(judge, start, { budget, costs, units: eightHeads, changes: new Map(), name: 'test' });

describe('exchanges', () => {
  /** Two heads that do the same, one of which is enough, and others that add a little. */
  const redundant = (own: ReadonlySet<string>) =>
    (own.has('0.0') || own.has('0.1') ? 1 : 0) + (own.has('2.1') ? 0.8 : 0) + (own.has('3.0') ? 0.1 : 0);

  test('of heads that do the same one makes room', async () => {
    const judge = new FakeJudge(redundant);
    const { placement, judged } = await refined(judge, fourLayersWith('0.0', '0.1'), { heads: 2 });
    expect(shownPlacement(placement)).toMatch(/^0\.[01] 2\.1$/);
    expect(judged.objective).toBeCloseTo(-1.8);
    // What was found was read anew before it was believed.
    expect(judge.wholes.length).toBeGreaterThan(1);
  });

  test('what fits is added, what is worth nothing is not', async () => {
    const { placement } = await refined(new FakeJudge(redundant), fourLayers, { heads: 5 });
    expect(headsOf(placement)).toContain('2.1');
    expect(headsOf(placement)).toContain('3.0');
    expect(headsOf(placement).has('0.0') || headsOf(placement).has('0.1')).toBe(true);
  });

  test('a head that does harm is left out', async () => {
    const worth = (own: ReadonlySet<string>) => (own.has('1.1') ? -1 : 0);
    const { placement } = await refined(new FakeJudge(worth), fourLayersWith('1.1'), { heads: 1 });
    expect(shownPlacement(placement)).not.toContain('1.1');
  });

  test('two at once, where each alone does harm', async () => {
    const worth = (own: ReadonlySet<string>) =>
      (own.has('0.0') ? 1 : 0) +
      (own.has('1.0') ? 1 : 0) -
      0.4 * own.size +
      (own.has('2.0') && own.has('3.0') ? 4 : own.has('2.0') || own.has('3.0') ? 0.9 : 0);
    const { placement } = await refined(new FakeJudge(worth), fourLayersWith('0.0', '1.0'), { heads: 2 });
    expect(shownPlacement(placement)).toBe('2.0 3.0');
  });
});

test('what only seemed better is not taken', async () => {
  const worth = (own: ReadonlySet<string>) => (own.has('0.0') ? 1 : 0);
  const apparent = (own: ReadonlySet<string>) => worth(own) + (own.has('3.1') ? 2 : 0);
  const { placement, judged } = await refined(new FakeJudge(worth, apparent), fourLayersWith('0.0'), {
    heads: 1,
  });
  expect(shownPlacement(placement)).toBe('0.0');
  expect(judged.objective).toBe(-1);
});

test('a budget of bytes is kept to', async () => {
  const head = 1000 * 2 * 4 * 4;
  const bytes = 3.5 * head;
  const { placement } = await refined(new FakeJudge((own) => own.size), fourLayers, { bytes });
  expect(headsOf(placement).size).toBe(3);
});
