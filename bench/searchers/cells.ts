import { join } from 'node:path';
import { charged } from '../../src/search/searchers/charged.ts';
import type { Problem, Searcher, Spent } from '../../src/search/searchers/searcher.ts';
import type { Placement } from '../../src/search/stages/placement/searcher.ts';
import { combinations, countCombinations } from '../../src/util/combinations.ts';
import { Random } from '../../src/util/random.ts';
import { average } from '../../src/util/statistics.ts';
import { remember } from '../../src/util/store/kept.ts';
import type { Quality, Space } from './space.ts';

/** One searcher under one budget with one seed. Each is kept in a file of its own, so that a run goes on where it was stopped. */
export interface Cell {
  searcher: string;
  budget: number;
  seed: number;
  placement: readonly number[];
  spent: Spent;
  /** On unseen examples. */
  quality: Quality;
  /** After the equal training, where there is one. */
  trained?: Quality;
  /** Of the objective of the search, to the best of all placements; undefined where there are too many. */
  searchedRegret?: number;
}

/** What all placements are measured against: the parent, none, and the best of a budget on the unseen examples. */
export interface Reference {
  seed: number;
  parent: Quality;
  none: Quality;
  best: { budget: number; placement: readonly number[]; quality: Quality; trained?: Quality }[];
}

/** Placements that are all judged, at most. */
const ALL = 128;
/** The name of random placements on average, beside the best of them. */
const RANDOM_MEAN = 'random, mean';

export async function cellsOf(
  space: Space,
  searchers: readonly Searcher[],
  {
    budgets,
    seed,
    work,
    log,
  }: { budgets: readonly number[]; seed: number; work: string; log: (line: string) => void },
): Promise<{ cells: Cell[]; reference: Reference }> {
  const { places, layers, kvHeads } = space;
  const all = places.map((_, i) => i);
  const exhaustive = budgets.every((budget) => countCombinations(places.length, budget) <= ALL);
  const sets = (budget: number) => (exhaustive ? combinations(places.length, budget) : []);
  // Asked together they share most of their layers.
  const searched = exhaustive ? await space.judge.judge([[], all, ...budgets.flatMap(sets)], []) : [];
  const [none, parent, ...reported] = await space.quality([[], all, ...budgets.flatMap(sets)]);
  const trainedOf = async (placement: Placement) =>
    space.trained &&
    (await remember(join(work, `trained-${placement.join('-')}.json`), space.identity, () =>
      space.trained!(placement),
    ));

  const reference: Reference = { seed, parent: parent!, none: none!, best: [] };
  const regrets = new Map<string, number>();
  let at = 0;
  for (const budget of budgets) {
    const own = sets(budget);
    const quality = reported.slice(at, at + own.length);
    const objective = searched.slice(at + 2, at + 2 + own.length).map((judgement) => judgement.objective);
    for (const [i, placement] of own.entries())
      regrets.set(placement.join(), objective[i]! - Math.min(...objective));
    at += own.length;
    if (own.length === 0) continue;
    const best = quality.reduce((a, { right }, i) => (right > quality[a]!.right ? i : a), 0);
    reference.best.push({
      ...{ budget, placement: own[best]!, quality: quality[best]! },
      trained: await trainedOf(own[best]!),
    });
  }

  const cells: Cell[] = [];
  for (const searcher of searchers) {
    for (const budget of budgets) {
      const name = `${searcher.name} ${budget}`.replaceAll(/[^a-z0-9]+/gi, '-');
      const found = await remember(join(work, `${name}.json`), { ...space.identity, budget }, async () => {
        const spent: Spent = { tokens: 0, trainedTokens: 0, seconds: 0 };
        const problem: Problem = {
          ...{ places, layers, kvHeads, budget, random: new Random(seed) },
          judge: charged(space.judge, spent),
          localErrors: () => space.localErrors(spent),
          gates: () => space.gates(budget, spent),
          superNetwork: async () => charged(await space.superNetwork(spent), spent),
        };
        const { placement, drawn } = await searcher.search(problem);
        return { placement, drawn, spent };
      });
      const { placement, drawn, spent } = found;
      const finished = async (own: Placement) => {
        const [quality] = await space.quality([own]);
        const trained = await trainedOf(own);
        return { quality: quality!, ...(trained && { trained }) };
      };
      const cell: Cell = {
        ...{ searcher: searcher.name, budget, seed, placement, ...(await finished(placement)) },
        spent: { ...spent, seconds: spent.seconds + spent.tokens * space.secondsPerToken() },
        ...(exhaustive && { searchedRegret: regrets.get(placement.join())! }),
      };
      cells.push(cell);
      log(
        `seed ${seed}, ${budget}: ${searcher.name} {${placement.join(', ')}} ${JSON.stringify(cell.quality)}`,
      );
      // Where placements are trained, all that were drawn would have to be.
      if (drawn && !space.trained) {
        const each: Quality[] = [];
        for (const own of drawn) each.push(...(await space.quality([own])));
        cells.push({
          ...{ searcher: RANDOM_MEAN, budget, seed, placement: [] },
          quality: { right: average(each.map(({ right }) => right)), kl: average(each.map(({ kl }) => kl)) },
          spent: { tokens: 0, trainedTokens: 0, seconds: 0 },
        });
      }
    }
  }
  return { cells, reference };
}
