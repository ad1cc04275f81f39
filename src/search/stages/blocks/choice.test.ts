import { describe, expect, test } from 'vitest';
import { asFastThenBest, bestThenFastest, decodeSpeed, paretoFront } from './choice.ts';
import type { BlockFindings } from './result.ts';

const found = (name: string, scores: number[], decode: number[]): BlockFindings => ({
  name,
  spec: { kind: 'gla', heads: 1, keyDim: 8, valueDim: 8, gateRank: 1, rope: false },
  parameters: 1,
  stateBytes: 1,
  stateSize: 64,
  decode,
  train: [1],
  runs: scores.map((score, i) => ({
    seed: i + 1,
    alignment: [],
    loss: 0,
    judged: { placement: [], score, tasks: {} },
  })),
});
const names = (list: readonly BlockFindings[]) => list.map(({ name }) => name);

test('the speed of decoding is the median of the rounds', () => {
  expect(decodeSpeed(found('x', [0], [9, 1, 5]))).toBe(5);
  expect(decodeSpeed(found('x', [0], [9, 1, 5, 7]))).toBe(6);
});

describe('the best, then the fastest', () => {
  const best = found('best', [0.5, 0.7, 0.6], [10]);
  test('a clear winner is taken however slow', () => {
    expect(bestThenFastest.choose([found('fast', [0.4, 0.6, 0.5], [99]), best]).name).toBe('best');
  });
  test('what seeds cannot tell apart is decided by speed', () => {
    const fast = found('fast', [0.51, 0.62, 0.61], [11]);
    expect(bestThenFastest.choose([best, fast]).name).toBe('fast');
    expect(bestThenFastest.choose([best, { ...fast, decode: [9] }]).name).toBe('best');
  });
  test('differences are taken seed by seed: spread that candidates share hides nothing', () => {
    const below = found('below', [0.49, 0.69, 0.59], [99]);
    expect(bestThenFastest.choose([best, below]).name).toBe('best');
  });
  test('more than a standard error, or a deviation, is not enough: the 95 % interval of the differences has to leave out 0', () => {
    // 0.01, 0.02 and 0.03 below: mean 0.02, deviation 0.01, 0.0248 to each side.
    const below = found('below', [0.49, 0.68, 0.57], [99]);
    expect(bestThenFastest.choose([best, below]).name).toBe('below');
    // 0.02, 0.03 and 0.04 below: 0.03 with as much to each side.
    const decided = found('decided', [0.48, 0.67, 0.56], [99]);
    expect(bestThenFastest.choose([best, decided]).name).toBe('best');
  });
  test('a large difference is not given away for speed because few seeds leave it undecided', () => {
    const wild = found('wild', [0.6, 0.4, 0.5], [99]);
    expect(bestThenFastest.choose([best, wild]).name).toBe('best');
  });
  test('one seed: the highest score alone', () => {
    expect(bestThenFastest.choose([found('a', [0.5], [1]), found('b', [0.49], [9])]).name).toBe('a');
  });
});

test('as fast as the first, then the best', () => {
  const first = found('first', [0.5], [100]);
  const slower = found('slower', [0.9], [96]);
  const near = found('near', [0.6], [97]);
  const faster = found('faster', [0.55], [120]);
  expect(asFastThenBest(0.03).choose([first, slower, near, faster]).name).toBe('near');
  expect(asFastThenBest(0.05).choose([first, slower, near, faster]).name).toBe('slower');
  expect(asFastThenBest(0).choose([first, slower, near]).name).toBe('first');
});

test('the Pareto front, fastest first; equals stay', () => {
  const list = [
    found('slow and good', [0.9], [10]),
    found('beaten', [0.6], [20]),
    found('fast', [0.5], [40]),
    found('middle', [0.7], [20]),
    found('its equal', [0.7], [20]),
  ];
  expect(names(paretoFront(list))).toEqual(['fast', 'middle', 'its equal', 'slow and good']);
});
