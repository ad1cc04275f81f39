import { expect, test } from 'vitest';
import type { Cell } from './cells.ts';
import { budgetsOf, rowsOf, type SettingResult } from './rows.ts';

function cell(searcher: string, seed: number, right: number, more: Partial<Cell> = {}): Cell {
  const spent = { tokens: 10 * seed, trainedTokens: 0, seconds: seed };
  return { searcher, seed, budget: 2, placement: [], spent, quality: { right, kl: 1 - right }, ...more };
}

function result(cells: Cell[]): SettingResult {
  const quality = { right: 0.9, kl: 0 };
  const references = [1, 2, 3].map((seed) => ({
    ...{ seed, parent: quality, none: quality },
    best: [{ budget: 2, placement: [1], quality }],
  }));
  return { name: 'windows', title: '', cells, references };
}

test('by seeds: what is always behind is, what is now ahead, now behind is undecided', () => {
  const rights = { good: [0.9, 0.8, 0.85], worse: [0.7, 0.59, 0.66], mixed: [0.7, 0.9, 0.82] };
  const cells = Object.entries(rights).flatMap(([name, list]) =>
    list.map((right, i) => cell(name, i + 1, right)),
  );
  const rows = rowsOf(result(cells), 2);
  expect(rows.map(({ searcher, verdict }) => [searcher, verdict])).toEqual([
    ['good', 'best'],
    ['mixed', 'undecided'],
    ['worse', 'behind'],
  ]);
  const [good, , worse] = rows;
  expect(good).toMatchObject({ seeds: [1, 2, 3], tokens: 20, seconds: 2, behind: { margin: 0 } });
  expect(good!.regret).toBeCloseTo(0.05, 9);
  expect(worse!.behind.mean).toBeCloseTo(0.2, 9);
  expect(worse!.right.mean).toBeCloseTo(0.65, 9);
});

test('differences are those of the seeds that both have; one seed decides nothing', () => {
  const rows = rowsOf(result([cell('a', 1, 0.5), cell('a', 2, 0.9), cell('b', 1, 0.4)]), 2);
  expect(rows[1]).toMatchObject({ searcher: 'b', verdict: 'undecided' });
  expect(rows[1]!.behind.mean).toBeCloseTo(0.1, 9);
  expect(rows[1]!.behind.margin).toBeUndefined();
});

test('where all were trained alike, that decides', () => {
  const trained = (right: number) => ({ trained: { right, kl: 0 } });
  const rows = rowsOf(result([cell('a', 1, 0.9, trained(0.5)), cell('b', 1, 0.4, trained(0.7))]), 2);
  expect(rows.map(({ searcher, right, untrained }) => [searcher, right.mean, untrained!.mean])).toEqual([
    ['b', 0.7, 0.4],
    ['a', 0.5, 0.9],
  ]);
});

test('of equal ones the cheapest is first', () => {
  const cheap = { spent: { tokens: 1, trainedTokens: 0, seconds: 0.5 } };
  const cells = [1, 2].flatMap((seed) => [cell('dear', seed, 0.8), cell('cheap', seed, 0.8, cheap)]);
  const rows = rowsOf(result(cells), 2);
  expect(rows.map(({ searcher, verdict }) => [searcher, verdict])).toEqual([
    ['cheap', 'best'],
    ['dear', 'equal'],
  ]);
});

test('budgets by themselves', () => {
  const own = result([cell('a', 1, 0.9, { budget: 4 }), cell('a', 1, 0.8)]);
  expect(budgetsOf(own)).toEqual([2, 4]);
  expect(rowsOf(own, 4)[0]!.right.mean).toBe(0.9);
  // Of a budget whose best placement is not known.
  expect(rowsOf(own, 4)[0]!.regret).toBeUndefined();
});
