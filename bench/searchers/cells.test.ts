import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { SEARCHERS } from '../../src/search/searchers/all.ts';
import { fromPlacementSearch } from '../../src/search/searchers/from-placement-search.ts';
import type { Searcher } from '../../src/search/searchers/searcher.ts';
import { beamSearch } from '../../src/search/stages/placement/beam.ts';
import type { Placement } from '../../src/search/stages/placement/searcher.ts';
import { cellsOf } from './cells.ts';
import type { Space } from './space.ts';

const work = mkdtempSync(join(tmpdir(), 'postnas-cells-'));
afterEach(() => rmSync(work, { recursive: true, force: true }));

/** Four layers; what they are worth in the search, and on what it does not see. */
const [SEARCHED, UNSEEN] = [
  [1, 4, 2, 3],
  [1, 3, 2, 4],
];
const total = (worth: readonly number[], placement: Placement) =>
  placement.reduce((sum, place) => sum + worth[place]!, 0);

function space(more: Partial<Space> = {}): Space & { trainings: string[] } {
  const trainings: string[] = [];
  return {
    trainings,
    identity: { name: 'fake' },
    places: [0, 1, 2, 3].map((layer) => ({ layer, heads: [0] })),
    ...{ layers: 4, kvHeads: 1 },
    judge: {
      exact: true,
      tokensOf: (placements) => 100 * placements.length,
      judge: async (placements) =>
        placements.map((placement) => ({ objective: 10 - total(SEARCHED, placement), kl: placement.length })),
    },
    async localErrors(spent) {
      spent.tokens += 7;
      spent.seconds += 3;
      return SEARCHED;
    },
    async gates(_budget, spent) {
      spent.trainedTokens += 40;
      spent.seconds += 2;
      return SEARCHED;
    },
    async superNetwork(spent) {
      spent.trainedTokens += 500;
      return this.judge;
    },
    secondsPerToken: () => 0.01,
    quality: async (placements) =>
      placements.map((placement) => ({ right: total(UNSEEN, placement) / 10, kl: 0 })),
    async trained(placement) {
      trainings.push(placement.join());
      return { right: 1, kl: 0 };
    },
    dispose: async () => {},
    ...more,
  };
}

const options = { budgets: [1, 2], seed: 3, work, log: () => {} };

test('every searcher under every budget, charged for what it asks', async () => {
  const { cells, reference } = await cellsOf(space(), SEARCHERS, options);
  const cell = (name: string, budget: number) =>
    cells.find((each) => each.searcher === name && each.budget === budget)!;
  expect(new Set(cells.map(({ searcher }) => searcher)).size).toBe(SEARCHERS.length);
  // None, four, and three more.
  expect(cell('beam', 1).spent).toEqual({ tokens: 500, trainedTokens: 0, seconds: 5 });
  expect(cell('once-for-all, beam', 1).spent).toEqual({ tokens: 500, trainedTokens: 500, seconds: 5 });
  expect(cell('local error', 2).spent).toEqual({ tokens: 7, trainedTokens: 0, seconds: 3.07 });
  expect(cell('learned gates', 1).spent).toEqual({ tokens: 0, trainedTokens: 40, seconds: 2 });
  expect(cell('uniform', 2).spent).toEqual({ tokens: 0, trainedTokens: 0, seconds: 0 });

  // The best of the search is not the best of what it does not see.
  expect(cell('beam', 1)).toMatchObject({ placement: [1], quality: { right: 0.3 }, searchedRegret: 0 });
  expect(cell('uniform', 1)).toMatchObject({ placement: [3], quality: { right: 0.4 }, searchedRegret: 1 });
  expect(reference.best).toMatchObject([
    { budget: 1, placement: [3], quality: { right: 0.4 } },
    { budget: 2, placement: [1, 3], quality: { right: 0.7 } },
  ]);
  expect(reference).toMatchObject({ seed: 3, none: { right: 0 }, parent: { right: 1 } });
});

test('random placements count on average, too, but where they would all have to be trained', async () => {
  const own = space();
  const { cells } = await cellsOf(own, SEARCHERS, { ...options, budgets: [1] });
  expect(cells.map(({ searcher }) => searcher)).not.toContain('random, mean');
  expect(cells.every(({ trained }) => trained)).toBe(true);
  // Each placement once.
  expect(new Set(own.trainings).size).toBe(own.trainings.length);

  const { trained: _, ...untrained } = space();
  const { cells: more } = await cellsOf(untrained, SEARCHERS, { ...options, budgets: [1] });
  const right = (name: string) => more.find(({ searcher }) => searcher === name)!.quality.right;
  expect(right('random, mean')).toBeGreaterThan(0.1);
  expect(right('random, mean')).toBeLessThan(0.4);
  expect(more.find(({ searcher }) => searcher === 'random, best of 8')!.spent.tokens).toBeGreaterThan(100);
});

test('run again, nothing is searched or trained anew; another identity is refused', async () => {
  let searches = 0;
  const beam = fromPlacementSearch('beam', beamSearch(2));
  const counting: Searcher = {
    name: 'beam',
    async search(problem) {
      searches++;
      return beam.search(problem);
    },
  };
  const first = await cellsOf(space(), [counting], options);
  const again = space();
  expect(await cellsOf(again, [counting], options)).toEqual(first);
  expect(searches).toBe(2);
  expect(again.trainings).toEqual([]);
  await expect(cellsOf(space({ identity: { name: 'other' } }), [counting], options)).rejects.toThrow(
    expect.objectContaining({ name: 'InputError', message: expect.stringContaining('other settings') }),
  );
});

test('with too many placements to judge them all there is no regret', async () => {
  const many = Array.from({ length: 40 }, (_, layer) => ({ layer, heads: [0] }));
  const asked: number[] = [];
  const large = space({
    ...{ places: many, layers: 40 },
    quality: async (placements) => {
      asked.push(placements.length);
      return placements.map(() => ({ right: 0.5, kl: 0 }));
    },
  });
  const uniform = SEARCHERS.filter(({ name }) => name === 'uniform');
  const { cells, reference } = await cellsOf(large, uniform, { ...options, budgets: [4] });
  expect(cells[0]!.searchedRegret).toBeUndefined();
  expect(reference.best).toEqual([]);
  expect(asked).toEqual([2, 1]);
});
