import { join } from 'node:path';
import { charged } from '../../src/search/searchers/charged.ts';
import type { Problem, Searcher, Spent } from '../../src/search/searchers/searcher.ts';
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

interface Options {
  /** Of places. */
  budgets: readonly number[];
  seed: number;
  /** Where cells are kept. */
  work: string;
  log: (line: string) => void;
}

/** All searchers under all budgets; what is trained comes last. */
export async function cellsOf(
  space: Space,
  searchers: readonly Searcher[],
  { budgets, seed, work, log }: Options,
): Promise<{ cells: Cell[]; reference: Reference }> {
  const { reference, searchedRegret } = await referenceOf(space, budgets, seed);
  const cells: Cell[] = [];
  for (const searcher of searchers) {
    for (const budget of budgets) {
      const name = `${searcher.name} ${budget}`.replaceAll(/[^a-z0-9]+/gi, '-');
      const { placement, drawn, spent } = await remember(
        join(work, `${name}.json`),
        { ...space.identity, budget },
        () => search(space, searcher, budget, seed),
      );
      const [quality] = await space.quality([placement]);
      const regret = searchedRegret.get(placement.join());
      cells.push({
        ...{ searcher: searcher.name, budget, seed, placement, quality: quality! },
        spent: { ...spent, seconds: spent.seconds + spent.tokens * space.secondsPerToken() },
        ...(regret !== undefined && { searchedRegret: regret }),
      });
      log(`seed ${seed}, ${budget}: ${searcher.name} {${placement.join(', ')}} ${JSON.stringify(quality)}`);
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
  if (space.trained) {
    for (const own of [...cells, ...reference.best]) {
      const file = join(work, `trained-${own.placement.join('-')}.json`);
      own.trained = await remember(file, space.identity, () => space.trained!(own.placement));
    }
  }
  return { cells, reference };
}

async function referenceOf(
  space: Space,
  budgets: readonly number[],
  seed: number,
): Promise<{ reference: Reference; searchedRegret: ReadonlyMap<string, number> }> {
  const count = space.places.length;
  const all = space.places.map((_, i) => i);
  const exhaustive = budgets.every((budget) => countCombinations(count, budget) <= ALL);
  const sets = exhaustive ? budgets.map((budget) => combinations(count, budget)) : [];
  // Asked together they share most of their layers.
  const searched = exhaustive ? (await space.judge.judge([[], all, ...sets.flat()], [])).slice(2) : [];
  const [none, parent, ...reported] = await space.quality([[], all, ...sets.flat()]);
  const reference: Reference = { seed, parent: parent!, none: none!, best: [] };
  const searchedRegret = new Map<string, number>();
  for (const [b, own] of sets.entries()) {
    const objective = searched.splice(0, own.length).map((judgement) => judgement.objective);
    const least = Math.min(...objective);
    for (const [i, placement] of own.entries()) searchedRegret.set(placement.join(), objective[i]! - least);
    const quality = reported.splice(0, own.length);
    const best = quality.reduce((a, { right }, i) => (right > quality[a]!.right ? i : a), 0);
    reference.best.push({ budget: budgets[b]!, placement: own[best]!, quality: quality[best]! });
  }
  return { reference, searchedRegret };
}

async function search(space: Space, searcher: Searcher, budget: number, seed: number) {
  const { places, layers, kvHeads } = space;
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
}
