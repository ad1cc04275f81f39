import { expect, test } from 'vitest';
import {
  average,
  decidedSign,
  descending,
  margin95,
  median,
  rankCorrelation,
  spreadOf,
} from './statistics.ts';

test('mean, range and the deviation of a sample', () => {
  const spread = spreadOf([2, 4, 9])!;
  expect(spread).toMatchObject({ mean: 5, lowest: 2, highest: 9, values: [2, 4, 9] });
  // (9 + 1 + 16) / 2 = 13
  expect(spread.deviation).toBeCloseTo(Math.sqrt(13), 12);
});

test('one value has no deviation, none has no spread', () => {
  expect(spreadOf([3])).toMatchObject({ mean: 3, lowest: 3, highest: 3, deviation: undefined });
  expect(spreadOf([])).toBeUndefined();
  expect(average([])).toBeNaN();
});

test('descending order keeps equal values in place', () => {
  expect(descending([1, 5, 3, 5])).toEqual([1, 3, 2, 0]);
});

test("Spearman's rank correlation", () => {
  expect(rankCorrelation([1, 2, 3, 4], [10, 20, 30, 40])).toBeCloseTo(1, 12);
  expect(rankCorrelation([1, 2, 3, 4], [4, 3, 2, -1])).toBeCloseTo(-1, 12);
  // Edwards' textbook form without ties: 1 - 6 sum d^2 / (n (n^2 - 1)), d = 1, 1, 1, 1, 0.
  expect(rankCorrelation([1, 2, 3, 4, 5], [2, 1, 4, 3, 5])).toBeCloseTo(1 - (6 * 4) / 120, 12);
  // Ties share the mean rank: ranks 0.5 0.5 2 against 0 1 2.
  expect(rankCorrelation([7, 7, 1], [3, 2, 1])).toBeCloseTo(Math.sqrt(3) / 2, 12);
  expect(rankCorrelation([1, 1, 1], [1, 2, 3])).toBeUndefined();
});

test('median of odd and even counts, without touching the list', () => {
  const values = [9, 1, 4];
  expect(median(values)).toBe(4);
  expect(values).toEqual([9, 1, 4]);
  expect(median([9, 1, 4, 2])).toBe(3);
  expect(median([])).toBeNaN();
});

test.each([
  // Two-sided quantiles of Student's t for 95 %, from the usual tables.
  [2, 12.7062],
  [3, 4.3027],
  [4, 3.1824],
  [5, 2.7764],
  [11, 2.2281],
  [31, 2.0423],
])('the 95 %% interval of a mean of %i values: %f standard errors to each side', (count, quantile) => {
  const values = Array.from({ length: count }, (_, i) => i ** 2);
  const error = spreadOf(values)!.deviation! / Math.sqrt(count);
  expect(margin95(values)! / error).toBeCloseTo(quantile, 4);
});

test('differences decide where the 95 % interval of their mean leaves out 0', () => {
  // Mean 2, deviation 1: 2.48 to each side.
  expect(decidedSign([1, 2, 3])).toBe(0);
  // Mean 3: 2.48 to each side, though a deviation (1) and a standard error (0.58) are less.
  expect(decidedSign([2, 3, 4])).toBe(1);
  expect(decidedSign([-2, -3, -4])).toBe(-1);
  expect(decidedSign([0.5, 0.5])).toBe(1);
  expect(decidedSign([0, 0, 0])).toBe(0);
  expect(decidedSign([0.1 + 0.2 - 0.3, 0.1 + 0.2 - 0.3])).toBe(0);
});

test('one difference decides nothing, however large', () => {
  expect(margin95([5])).toBeUndefined();
  expect(decidedSign([5])).toBe(0);
  expect(decidedSign([])).toBe(0);
});
