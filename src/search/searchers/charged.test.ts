import { expect, test } from 'vitest';
import { type Placement, placementKey } from '../stages/placement/searcher.ts';
import { charged } from './charged.ts';

const nothing = () => ({ tokens: 0, trainedTokens: 0, seconds: 0 });

/** Says how many places are kept; tokens are those asked for. */
function judge(exact: boolean) {
  const asked: Placement[][] = [];
  return {
    ...{ asked, exact },
    tokensOf: (placements: readonly Placement[]) => 10 * placements.length,
    judge: async (placements: readonly Placement[]) => {
      asked.push([...placements]);
      return placements.map(({ length }) => ({ objective: length, kl: 0 }));
    },
  };
}

test('what is asked again costs nothing, in whatever order its layers stand', async () => {
  const spent = nothing();
  const inner = judge(true);
  const ask = charged(inner, spent);
  const found = await ask([[0], [1, 2], [2, 1]], []);
  expect(found.map(({ objective }) => objective)).toEqual([1, 2, 2]);
  expect(spent.tokens).toBe(20);
  expect(await ask([[2, 1], [3]], [3])).toHaveLength(2);
  expect(spent.tokens).toBe(30);
  expect(inner.asked.map((list) => list.length)).toEqual([2, 1]);
});

test('two searches pay each for itself', async () => {
  const [one, other] = [nothing(), nothing()];
  const inner = judge(true);
  await charged(inner, one)([[0]]);
  await charged(inner, other)([[0]]);
  expect([one.tokens, other.tokens]).toEqual([10, 10]);
});

test('a judge whose texts are read with a placement is asked anew near another one', async () => {
  const spent = nothing();
  const ask = charged(judge(false), spent);
  await ask([[0]], []);
  await ask([[0]], [1]);
  await ask([[0]], [1]);
  expect(spent.tokens).toBe(20);
});

test('reading is told of once, by each search for itself', async () => {
  const reading = {
    ...judge(false),
    tokensOf: (placements: readonly Placement[], near: Placement = [], read?: Placement) =>
      placements.length + (read && placementKey(read) === placementKey(near) ? 0 : 1000),
  };
  const [one, other] = [nothing(), nothing()];
  const ask = charged(reading, one);
  await ask([[0], [1]], [2]);
  await ask([[3]], [2]);
  await ask([[3]], [4]);
  await charged(reading, other)([[0]], [4]);
  expect([one.tokens, other.tokens]).toEqual([1002 + 1 + 1001, 1001]);
});
