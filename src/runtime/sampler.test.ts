import { describe, expect, test } from 'vitest';
import {
  draw,
  minP,
  occurrencePenalties,
  repetitionPenalty,
  temperature,
  topK,
  topP,
} from '../../test/support/plain-sampler.ts';
import { InputError } from '../util/errors.ts';
import { Random } from '../util/random.ts';
import { argMaxOf, createSampler, logSumExp, type SamplingOptions, topLogProbs } from './sampler.ts';

const X = Float32Array.of(1.5, -0.5, 3.0, 0.0, 2.25, -2.0, 3.5, 1.0);

/** Which scores are left; the others must be -Infinity and these unchanged. */
function left(found: readonly number[], from: Float32Array): number[] {
  const kept = [...found.keys()].filter((i) => found[i] !== Number.NEGATIVE_INFINITY);
  for (const i of kept) expect(found[i]).toBe(from[i]);
  return kept;
}

/** Which tokens are ever drawn. */
function drawn(options: SamplingOptions, from: Float32Array, draws = 4000): number[] {
  const sample = createSampler({ temperature: 1, seed: 1, ...options });
  return [...new Set(Array.from({ length: draws }, () => sample(from, [])))].sort((a, b) => a - b);
}

// Expected values: transformers 5.23 (RepetitionPenaltyLogitsProcessor, TopPLogitsWarper and so on) on the same
// logits.
describe('as in transformers', () => {
  test('repetition penalty: smaller where positive, larger where negative, once for each token', () => {
    const x = X.with(6, 3.0);
    const occurring = [2, 1, 2, 7, 3];
    const close = (found: number[], expected: number[]) =>
      expected.forEach((value, i) => {
        expect(found[i]).toBeCloseTo(value, 5);
      });
    close(repetitionPenalty([...x], occurring, 1.3), [1.5, -0.65, 2.307692, 0, 2.25, -2, 3, 0.769231]);
    close(repetitionPenalty([...x], occurring, 0.8), [1.5, -0.4, 3.75, 0, 2.25, -2, 3, 1.25]);
  });

  test('temperature', () => {
    expect(temperature([...X], 0.5)).toEqual(Array.from(X, (x) => 2 * x - 7));
  });

  test.each([
    [1, [2, 6]],
    [3, [2, 4, 6]],
    [4, [0, 2, 4, 6]],
    [8, [0, 1, 2, 3, 4, 5, 6, 7]],
    [100, [0, 1, 2, 3, 4, 5, 6, 7]],
  ])('top-k %d, with a tie for the first place', (k, expected) => {
    const tied = X.with(6, 3.0);
    expect(left(topK([...tied], k), tied)).toEqual(expected);
    expect(drawn({ topK: k, temperature: 3 }, tied)).toEqual(expected);
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
    expect(left(topP([...X], p), X)).toEqual(expected);
    expect(drawn({ topP: p }, X)).toEqual(expected);
  });

  test.each([
    [0.01, [0, 1, 2, 3, 4, 6, 7]],
    [0.05, [0, 2, 4, 6, 7]],
    [0.1, [0, 2, 4, 6]],
    [0.3, [2, 6]],
    [1, [6]],
  ])('min-p %d', (p, expected) => {
    expect(left(minP([...X], p), X)).toEqual(expected);
    expect(drawn({ minP: p }, X)).toEqual(expected);
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
  const penalised = occurrencePenalties([...X], [2, 2, 5], { frequency: 0.5, presence: 0.25 });
  const expected = [...X];
  expected[2]! -= 1.25;
  expected[5]! -= 0.75;
  expect(penalised).toEqual(expected);
  const sample = createSampler({ presencePenalty: 2 });
  expect(sample(Float32Array.of(1, 2), [1], 1)).toBe(1);
  expect(sample(Float32Array.of(1, 2), [1], 0)).toBe(0);
});

test('a text that grows is counted on, another one anew', () => {
  const sample = createSampler({ frequencyPenalty: 1 });
  const x = Float32Array.of(0, 1.5, 0.9);
  const text = [0];
  const chosen = [];
  for (let i = 0; i < 5; i++) {
    chosen.push(sample(x, text, 1));
    text.push(chosen.at(-1)!);
  }
  expect(chosen).toEqual([1, 2, 1, 0, 2]);
  expect(sample(x, [0], 1)).toBe(1);
  text.length = 1;
  expect(sample(x, text, 1)).toBe(1);
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
  expect(left(topP([...equal], 0.45), equal)).toEqual([0, 1, 2, 3]);
  expect(drawn({ topP: 0.45 }, equal)).toEqual([0, 1, 2, 3]);
  const some = Float32Array.of(0, 9, 0, 9);
  expect(left(topP([...some], 0.4), some)).toEqual([1]);
  expect(drawn({ topP: 0.4 }, some)).toEqual([1]);
});

test('tokens that have the probability of top-p exactly are enough', () => {
  const equal = new Float32Array(8);
  expect(left(topP([...equal], 0.5), equal)).toEqual([0, 1, 2, 3]);
  expect(drawn({ topP: 0.5 }, equal)).toEqual([0, 1, 2, 3]);
  // Three of four are needed above a half, and two of four are not above it.
  expect(drawn({ topP: 0.5 + 2 ** -50 }, equal)).toEqual([0, 1, 2, 3, 4]);
});

test('filters follow each other: what one has removed stays removed', () => {
  const filtered = topP(topK([...X], 3), 0.8);
  expect(left(filtered, X)).toEqual([2, 6]);
  for (let i = 0; i < 50; i++) expect([2, 6]).toContain(draw(filtered, i / 50));
  expect(drawn({ topK: 3, topP: 0.8 }, X)).toEqual([2, 6]);
});

/** The definition: everything by itself, and in float64. */
function plainSampler(options: SamplingOptions): ReturnType<typeof createSampler> {
  const { topK: k = 0, topP: p = 1, minP: least = 0, repetitionPenalty: r = 1, logitBias = {} } = options;
  const { frequencyPenalty: frequency = 0, presencePenalty: presence = 0, seed = 0 } = options;
  const random = new Random(seed);
  return (logits, tokens, promptTokens = tokens.length) => {
    let scores = Array.from(logits, (x, id) => x + (logitBias[id] ?? 0));
    scores = repetitionPenalty(scores, tokens, r);
    scores = occurrencePenalties(scores, tokens.slice(promptTokens), { frequency, presence });
    scores = temperature(scores, options.temperature!);
    if (k > 0) scores = topK(scores, k);
    if (p < 1) scores = topP(scores, p);
    if (least > 0) scores = minP(scores, least);
    return draw(scores, random.uniform());
  };
}

test('the same token as by the definition, whatever the logits and options', () => {
  const random = new Random(7);
  for (let round = 0; round < 150; round++) {
    const n = random.pick([3, 50, 700, 2000]);
    // Steps of a quarter make ties.
    const step = random.pick([0, 0.25]);
    const spread = random.pick([0.1, 1, 4]);
    const logits = Float32Array.from({ length: n }, () => {
      const x = spread * random.normal();
      return random.uniform() < 0.05 ? Number.NEGATIVE_INFINITY : step ? Math.round(x / step) * step : x;
    });
    logits[random.below(n)] = 1;
    const options: SamplingOptions = {
      temperature: random.pick([0.01, 0.7, 1, 3]),
      topK: random.pick([0, 0, 1, 5, 40, 2000]),
      topP: random.pick([1, 1e-9, 0.5, 0.8, 0.95, 0.9999]),
      minP: random.pick([0, 0, 0.02, 0.3, 1]),
      repetitionPenalty: random.pick([1, 1.2, 0.7]),
      frequencyPenalty: random.pick([0, 0.5]),
      presencePenalty: random.pick([0, -1]),
      logitBias: random.pick<Record<number, number>>([{}, { 1: 2, 2: -3, 5000: 1 }]),
      seed: round,
    };
    const [fast, plain] = [createSampler(options), plainSampler(options)];
    const tokens = Array.from({ length: 12 }, () => random.below(n));
    for (let i = 0; i < 4; i++) {
      const id = fast(logits, tokens, 5);
      expect({ round, options, id }).toEqual({ round, options, id: plain(logits, tokens, 5) });
      tokens.push(id);
    }
  }
});

describe('at the ends of their ranges', () => {
  const seen = [1, 6, 7];
  test.each<[SamplingOptions, number]>([
    [{ temperature: 1e-40 }, 6],
    [{ temperature: Number.MIN_VALUE }, 6],
    [{ temperature: 1e-40, topK: 3, topP: 0.5, minP: 0.5 }, 6],
    [{ repetitionPenalty: 1e-40 }, 6],
    [{ repetitionPenalty: 1e-40, temperature: 1e-40 }, 6],
    [{ repetitionPenalty: Number.MIN_VALUE }, 6],
    [{ repetitionPenalty: Number.MIN_VALUE, temperature: 1 }, 6],
    [{ repetitionPenalty: 1e300 }, 2],
    [{ repetitionPenalty: Number.MAX_VALUE, temperature: 1e-40 }, 2],
    [{ temperature: 1, topP: Number.MIN_VALUE }, 6],
    [{ temperature: 1, minP: 1 }, 6],
    [{ logitBias: { 3: Number.MAX_VALUE }, temperature: 1 }, 3],
    [{ logitBias: { 6: -Number.MAX_VALUE, 2: -1e40 }, temperature: 0.01 }, 4],
    [{ logitBias: { 1: Number.MAX_VALUE }, repetitionPenalty: 1e-40, temperature: 1e-40 }, 1],
  ])('%j takes the most probable token', (options, expected) => {
    const sample = createSampler({ seed: 3, ...options });
    for (let i = 0; i < 20; i++) expect(sample(X, seen)).toBe(expected);
  });

  test('a temperature without end makes all tokens alike', () => {
    expect(drawn({ temperature: Number.MAX_VALUE }, X)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  test.each([0, 1])('logits that are no numbers, or leave no token, are errors at temperature %d', (t) => {
    const sample = createSampler({ temperature: t });
    expect(() => sample(Float32Array.of(1, Number.NaN), [])).toThrow('the logit of token 1 is not a number');
    expect(() => sample(Float32Array.of(1, Number.POSITIVE_INFINITY), [])).toThrow('token 1 is infinite');
    expect(() => sample(new Float32Array(3).fill(Number.NEGATIVE_INFINITY), [])).toThrow('no token is left');
    const none = createSampler({
      temperature: t,
      logitBias: { 0: Number.NEGATIVE_INFINITY, 1: Number.NEGATIVE_INFINITY },
    });
    expect(() => none(Float32Array.of(1, 2), [])).toThrow('no token is left');
    // A request or a model's settings can ask for that: no fault of the program.
    expect(() => none(Float32Array.of(1, 2), [])).toThrow(InputError);
  });
});

test('no option changes the logits', () => {
  const copy = X.slice();
  const options = { temperature: 0.5, topK: 3, topP: 0.5, minP: 0.5, repetitionPenalty: 2 };
  createSampler({ ...options, presencePenalty: 1, logitBias: { 1: 5 } })(X, [1]);
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
