import { describe, expect, test } from 'vitest';
import { Random } from '../../util/random.ts';
import { beamSearch } from '../stages/placement/beam.ts';
import { randomSearch } from '../stages/placement/random.ts';
import { type Placement, placementKey } from '../stages/placement/searcher.ts';
import { fromPlacementSearch } from './from-placement-search.ts';
import { greedyAddition, greedyRemoval } from './greedy.ts';
import { integerProgramme } from './integer-programme.ts';
import { learnedGates, localError } from './ranked.ts';
import type { Judgement, Problem } from './searcher.ts';
import { uniformLayers } from './uniform.ts';

type Objective = (kept: ReadonlySet<number>) => number;

/** Layers whose objective is known; records what is asked. */
function problem(
  layers: number,
  budget: number,
  objective: Objective,
  {
    kl = objective,
    kvHeads = 1,
    byHead = false,
    ...more
  }: Partial<Problem> & { kl?: Objective; byHead?: boolean } = {},
): Problem & { asked: { key: string; near: string | undefined }[] } {
  const asked: { key: string; near: string | undefined }[] = [];
  const heads = Array.from({ length: kvHeads }, (_, head) => head);
  const places = Array.from({ length: layers }, (_, layer) =>
    byHead ? heads.map((head) => ({ layer, heads: [head] })) : [{ layer, heads }],
  ).flat();
  const judge = async (placements: readonly Placement[], near?: Placement): Promise<Judgement[]> =>
    placements.map((placement) => {
      asked.push({ key: placementKey(placement), near: near && placementKey(near) });
      const kept = new Set(placement);
      return { objective: objective(kept), kl: kl(kept) };
    });
  const never = async () => {
    throw new Error('not to be asked');
  };
  return {
    ...{ places, layers, kvHeads, budget, judge, asked, random: new Random(1) },
    ...{ localErrors: never, gates: never, superNetwork: never },
    ...more,
  };
}

/** Each place lowers the loss by its worth. */
const additive =
  (worth: readonly number[]): Objective =>
  (kept) =>
    10 - worth.reduce((sum, own, i) => sum + (kept.has(i) ? own : 0), 0);

const worth = [0.5, 3, 0.2, 0.1, 2, 0.7, 1.5, 0.3];
const best = { 1: [1], 2: [1, 4], 4: [1, 4, 5, 6] };

const judging = [
  fromPlacementSearch('beam', beamSearch(3)),
  greedyAddition('adding', ({ objective }) => objective),
  greedyRemoval('taking away', ({ objective }) => objective),
  integerProgramme,
];

describe.each(judging)('$name', (searcher) => {
  test.each([1, 2, 4] as const)('finds the best %i of eight whose worths add up', async (budget) => {
    const { placement } = await searcher.search(problem(8, budget, additive(worth)));
    expect(placement).toEqual(best[budget]);
  });

  test('heads of layers too', async () => {
    const given = problem(4, 3, additive(worth), { kvHeads: 2, byHead: true });
    expect((await searcher.search(given)).placement).toEqual([1, 4, 6]);
  });

  test('layers of several heads, all of them, and none', async () => {
    const given = (budget: number) => problem(4, budget, additive([1, 4, 2, 3]), { kvHeads: 2 });
    expect((await searcher.search(given(2))).placement).toEqual([1, 3]);
    expect((await searcher.search(given(4))).placement).toEqual([0, 1, 2, 3]);
    expect((await searcher.search(given(0))).placement).toEqual([]);
  });

  test.each([-1, 9, 1.5])('refuses a budget of %d of eight', async (budget) => {
    await expect(searcher.search(problem(8, budget, additive(worth)))).rejects.toThrow(
      expect.objectContaining({ name: 'InputError', message: expect.stringContaining(`${budget}`) }),
    );
  });
});

/** Places 2 and 5 do the work together, neither alone; place 0 is good alone. */
const pair: Objective = (kept) => 10 - (kept.has(2) && kept.has(5) ? 5 : 0) - (kept.has(0) ? 2 : 0);

/** Places 2 and 5 do the same work, which one of them is enough for; 0 and 7 bring less, each its own. */
const twins: Objective = (kept) =>
  10 - (kept.has(2) || kept.has(5) ? 5 : 0) - (kept.has(0) ? 2 : 0) - (kept.has(7) ? 1 : 0);

describe('places that work together', () => {
  test('adding the best one misses a pair, taking away keeps it', async () => {
    const measure = ({ objective }: Judgement) => objective;
    expect((await greedyAddition('', measure).search(problem(8, 2, pair))).placement).toContain(0);
    expect((await greedyRemoval('', measure).search(problem(8, 2, pair))).placement).toEqual([2, 5]);
  });

  test.each([
    ['a pair', pair, 2, 5],
    ['twins', twins, 2, 3],
    ['twins', twins, 3, 2],
  ])('the refined programme sees %s', async (_, objective, budget, least) => {
    const given = problem(8, budget, objective);
    const { placement } = await integerProgramme.search(given);
    expect(placement).toHaveLength(budget);
    expect(objective(new Set(placement))).toBe(least);
  });

  test('an exchange repairs what single changes and their order tell wrongly', async () => {
    // With all others there 1 seems to be needed, alone it seems to bring most; of two, 3 and 4 are best.
    const misleading: Objective = (kept) => {
      const key = [...kept].sort().join();
      if (kept.size === 2) return key === '3,4' ? 1 : key.includes('3') ? 3 : 4;
      return 10 - kept.size - (kept.has(1) ? 1 : 0);
    };
    const { placement } = await integerProgramme.search(problem(6, 2, misleading));
    expect(placement).toEqual([3, 4]);
  });
});

test('greedy by KL follows the divergence, not the objective', async () => {
  const given = () => problem(8, 2, additive([...worth].reverse()), { kl: additive(worth) });
  expect((await greedyAddition('', ({ kl }) => kl).search(given())).placement).toEqual([1, 4]);
  expect((await greedyRemoval('', ({ kl }) => kl).search(given())).placement).toEqual([1, 4]);
});

test('greedy searches judge each round near what the last one left', async () => {
  const adding = problem(4, 2, additive([1, 4, 2, 3]));
  await greedyAddition('', ({ kl }) => kl).search(adding);
  expect(adding.asked.map(({ near }) => near)).toEqual(['', '', '', '', '1', '1', '1']);
  const away = problem(3, 1, additive([1, 4, 2]));
  await greedyRemoval('', ({ kl }) => kl).search(away);
  expect(away.asked).toEqual([
    ...['1,2', '0,2', '0,1'].map((key) => ({ key, near: '0,1,2' })),
    ...['2', '1'].map((key) => ({ key, near: '1,2' })),
  ]);
});

test('gates and local errors keep what has the highest values, and judge nothing', async () => {
  const values = async () => [0.3, 0.9, 0.3, 1];
  const gates = problem(4, 3, additive(worth), { gates: values });
  expect((await learnedGates.search(gates)).placement).toEqual([0, 1, 3]);
  const errors = problem(4, 1, additive(worth), { localErrors: values });
  expect((await localError.search(errors)).placement).toEqual([3]);
  expect([...gates.asked, ...errors.asked]).toEqual([]);
});

test('once-for-all asks the judge of the super network, not that of the aligned branches', async () => {
  const { judge } = problem(4, 2, additive([4, 3, 2, 1]));
  const given = problem(4, 2, additive([1, 2, 3, 4]), { superNetwork: async () => judge });
  const search = fromPlacementSearch('once-for-all', beamSearch(2), ({ superNetwork }) => superNetwork());
  expect((await search.search(given)).placement).toEqual([0, 1]);
  expect(given.asked).toEqual([]);
});

test('random placements are given all, and the best of them', async () => {
  const given = problem(8, 2, additive(worth));
  const { placement, drawn } = await fromPlacementSearch('random', randomSearch(6)).search(given);
  const objective = (each: Placement) => additive(worth)(new Set(each));
  expect(drawn!.length).toBeGreaterThan(3);
  expect(objective(placement)).toBe(Math.min(...drawn!.map(objective)));
});

test.each([
  [8, 1, 2, false, [3, 7]],
  [4, 2, 4, true, [2, 3, 6, 7]],
  [4, 2, 3, true, [0, 6, 7]],
])('uniform: %i layers of %i heads, %i places', async (layers, kvHeads, budget, byHead, expected) => {
  const given = problem(layers, budget, additive(worth), { kvHeads, byHead });
  expect((await uniformLayers.search(given)).placement).toEqual(expected);
  expect(given.asked).toEqual([]);
});
