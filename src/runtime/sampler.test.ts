import { describe, expect, test } from 'vitest';
import { Random } from '../util/random.ts';
import {
  argMaxOf,
  createSampler,
  draw,
  logSumExp,
  minP,
  occurrencePenalties,
  repetitionPenalty,
  temperature,
  topK,
  topLogProbs,
  topP,
} from './sampler.ts';

const X = Float32Array.of(1.5, -0.5, 3.0, 0.0, 2.25, -2.0, 3.5, 1.0);

/** Which logits are left; the others must be -Infinity and these unchanged. */
function left(found: Float32Array, from: Float32Array): number[] {
  const kept = [...found.keys()].filter((i) => found[i] !== Number.NEGATIVE_INFINITY);
  for (const i of kept) expect(found[i]).toBe(from[i]);
  return kept;
}

// Expected values: transformers 5.23 (RepetitionPenaltyLogitsProcessor, TopPLogitsWarper and so on) on the same
// logits.
describe('as in transformers', () => {
  test('repetition penalty: smaller where positive, larger where negative, once for each token', () => {
    const x = X.with(6, 3.0);
    const occurring = [2, 1, 2, 7, 3];
    const close = (found: Float32Array, expected: number[]) =>
      expected.forEach((value, i) => {
        expect(found[i]).toBeCloseTo(value, 5);
      });
    close(repetitionPenalty(x, occurring, 1.3), [1.5, -0.65, 2.307692, 0, 2.25, -2, 3, 0.769231]);
    close(repetitionPenalty(x, occurring, 0.8), [1.5, -0.4, 3.75, 0, 2.25, -2, 3, 1.25]);
  });

  test('temperature', () => {
    expect(temperature(X, 0.5)).toEqual(X.map((x) => 2 * x));
  });

  test.each([
    [1, [2, 6]],
    [3, [2, 4, 6]],
    [4, [0, 2, 4, 6]],
    [8, [0, 1, 2, 3, 4, 5, 6, 7]],
    [100, [0, 1, 2, 3, 4, 5, 6, 7]],
  ])('top-k %d, with a tie for the first place', (k, expected) => {
    const tied = X.with(6, 3.0);
    expect(left(topK(tied, k), tied)).toEqual(expected);
  });

  test.each([
    [0.001, [6]],
    [0.3, [6]],
    [0.5, [2, 6]],
    [0.8, [2, 4, 6]],
    [0.9, [0, 2, 4, 6]],
    [0.95, [0, 2, 4, 6, 7]],
    [0.999, [0, 1, 2, 3, 4, 5, 6, 7]],
  ])('top-p %d', (p, expected) => {
    expect(left(topP(X, p), X)).toEqual(expected);
  });

  test.each([
    [0.01, [0, 1, 2, 3, 4, 6, 7]],
    [0.05, [0, 2, 4, 6, 7]],
    [0.1, [0, 2, 4, 6]],
    [0.3, [2, 6]],
    [1, [6]],
  ])('min-p %d', (p, expected) => {
    expect(left(minP(X, p), X)).toEqual(expected);
  });

  test('the order: penalty, temperature, top-k, top-p, min-p', () => {
    const sample = createSampler({
      repetitionPenalty: 1.3,
      temperature: 0.7,
      topK: 5,
      topP: 0.9,
      minP: 0.12,
      seed: 5,
    });
    const counts = new Array<number>(8).fill(0);
    const draws = 20_000;
    for (let i = 0; i < draws; i++) counts[sample(X, [2, 1, 2, 7, 3])]!++;
    const expected = [0, 0, 0.1349, 0, 0.124228, 0, 0.740873, 0];
    for (const [i, p] of expected.entries()) {
      // Five standard deviations.
      expect(Math.abs(counts[i]! / draws - p)).toBeLessThanOrEqual(5 * Math.sqrt((p * (1 - p)) / draws));
    }
  });
});

test('frequency and presence penalties count what was written, not the prompt', () => {
  const penalised = occurrencePenalties(X, [2, 2, 5], { frequency: 0.5, presence: 0.25 });
  const expected = X.slice();
  expected[2]! -= 1.25;
  expected[5]! -= 0.75;
  expect(penalised).toEqual(expected);
  const sample = createSampler({ presencePenalty: 2 });
  expect(sample(Float32Array.of(1, 2), [1], 1)).toBe(1);
  expect(sample(Float32Array.of(1, 2), [1], 0)).toBe(0);
});

test('a bias moves the logits of its tokens, before the filters', () => {
  expect(createSampler({ logitBias: { 3: 100 } })(X, [])).toBe(3);
  expect(createSampler({ logitBias: { 6: Number.NEGATIVE_INFINITY, 99: 5 } })(X, [])).toBe(2);
  const sample = createSampler({ logitBias: { 1: 50 }, topK: 1, temperature: 1 });
  expect(sample(X, [])).toBe(1);
});

test('the most probable tokens, with their log-probabilities', () => {
  const top = topLogProbs(Float32Array.of(0, Math.log(6), 0), 2);
  expect(top.map(({ id }) => id)).toEqual([1, 0]);
  expect(top[0]!.logProb).toBeCloseTo(Math.log(6 / 8), 5);
  expect(top[1]!.logProb).toBeCloseTo(Math.log(1 / 8), 5);
});

test('top-p leaves as many of equal tokens as it needs, small ids first', () => {
  const equal = new Float32Array(8);
  expect(left(topP(equal, 0.45), equal)).toEqual([0, 1, 2, 3]);
  const some = Float32Array.of(0, 9, 0, 9);
  expect(left(topP(some, 0.4), some)).toEqual([1]);
});

test('filters follow each other: what one has removed stays removed', () => {
  const filtered = topP(topK(X, 3), 0.8);
  expect(left(filtered, X)).toEqual([2, 6]);
  for (let seed = 0; seed < 50; seed++) expect([2, 6]).toContain(draw(filtered, new Random(seed)));
});

test('no function changes its logits', () => {
  const copy = X.slice();
  repetitionPenalty(X, [0, 1, 2], 2);
  temperature(X, 2);
  topK(X, 2);
  topP(X, 0.5);
  minP(X, 0.5);
  createSampler({ temperature: 0.5, topK: 3, topP: 0.5, minP: 0.5, repetitionPenalty: 2 })(X, [1]);
  expect(X).toEqual(copy);
});

test('greedy takes the first of the largest, whatever the filters', () => {
  expect(argMaxOf(Float32Array.of(-3, 5, 5, 1))).toBe(1);
  const greedy = createSampler({ topK: 2, topP: 0.1 });
  for (let i = 0; i < 5; i++) expect(greedy(X, [])).toBe(6);
});

test('the penalty holds for greedy decoding too', () => {
  expect(createSampler({ repetitionPenalty: 1.3 })(X, [6])).toBe(2);
});

test('log-sum-exp of large values does not overflow', () => {
  expect(logSumExp(Float32Array.of(1000, 1000))).toBeCloseTo(1000 + Math.LN2, 4);
  expect(logSumExp(Float32Array.of(Number.NEGATIVE_INFINITY, 2))).toBe(2);
});

test('a seed fixes the draws; other seeds give others', () => {
  const drawn = (seed?: number) => {
    const sample = createSampler({ temperature: 1, seed });
    return Array.from({ length: 40 }, () => sample(X, [])).join();
  };
  expect(drawn(3)).toBe(drawn(3));
  expect(drawn(3)).not.toBe(drawn(4));
  expect(drawn()).not.toBe(drawn());
});

test.each([
  ['temperature', { temperature: -1 }],
  ['temperature', { temperature: Number.NaN }],
  ['topK', { topK: 1.5 }],
  ['topP', { topP: 0 }],
  ['topP', { topP: 1.1 }],
  ['minP', { minP: 2 }],
  ['repetitionPenalty', { repetitionPenalty: 0 }],
  ['frequencyPenalty', { frequencyPenalty: 3 }],
  ['presencePenalty', { presencePenalty: Number.NaN }],
  ['logitBias of 3', { logitBias: { 3: Number.NaN } }],
  ['logitBias: token id', { logitBias: { '-1': 1 } }],
  ['seed', { seed: -1 }],
])('%s out of range: %j', (name, options) => {
  expect(() => createSampler(options)).toThrow(new RegExp(`^${name} is .*, expected`));
});
