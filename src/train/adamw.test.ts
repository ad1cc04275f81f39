import { describe, expect, test } from 'vitest';
import { linearWeight, vector } from '../mixers/mixer.ts';
import { Random } from '../util/random.ts';
import { ADAMW_DEFAULTS, AdamW, type AdamWOptions, freshMoments } from './adamw.ts';
import { ParameterVector } from './parameters.ts';

const SIZES = [linearWeight('a', 4, 6), linearWeight('b', 5, 3), vector('norm', 7, 1)];

function drawn(seed: number, size = 1): ParameterVector {
  const random = new Random(seed);
  const result = new ParameterVector(SIZES);
  for (let i = 0; i < result.size; i++) result.data[i] = size * random.normal();
  return result;
}

/** AdamW in plain loops, in float64. */
class Plain {
  p: number[];
  m: number[];
  v: number[];
  step = 0;

  constructor(
    start: ParameterVector,
    private readonly options: AdamWOptions,
  ) {
    this.p = [...start.data];
    this.m = this.p.map(() => 0);
    this.v = this.p.map(() => 0);
  }

  update({ data, decayed }: ParameterVector, rate: number, scale: number): void {
    const { beta1, beta2, eps, weightDecay, clipNorm } = this.options;
    const norm = Math.sqrt(data.reduce((sum, x) => sum + x * x, 0)) * scale;
    this.step++;
    for (const [i, raw] of data.entries()) {
      const g = raw * scale * Math.min(1, clipNorm / norm);
      this.m[i] = beta1 * this.m[i]! + (1 - beta1) * g;
      this.v[i] = beta2 * this.v[i]! + (1 - beta2) * g * g;
      const m = this.m[i]! / (1 - beta1 ** this.step);
      const v = this.v[i]! / (1 - beta2 ** this.step);
      const decay = i < decayed ? weightDecay : 0;
      this.p[i] = this.p[i]! * (1 - rate * decay) - (rate * m) / (Math.sqrt(v) + eps);
    }
  }
}

function largestDifference(actual: ArrayLike<number>, expected: readonly number[]): number {
  return expected.reduce((top, x, i) => Math.max(top, Math.abs(x - actual[i]!)), 0);
}

test('what is not said is as in published runs of language models', () => {
  expect(ADAMW_DEFAULTS).toEqual({
    beta1: 0.9,
    beta2: 0.95,
    eps: 1e-8,
    weightDecay: 0.1,
    clipNorm: 1,
    muon: 0,
  });
});

describe('AdamW', () => {
  test('of a vector of several blocks each element moves as in plain loops', async () => {
    const parameters = [linearWeight('a', 700, 600), vector('norm', 300_001, 1)];
    const [start, gradient] = [1, 2].map((seed) => {
      const drawn = new ParameterVector(parameters);
      const random = new Random(seed);
      for (let i = 0; i < drawn.size; i++) drawn.data[i] = random.uniform() - 0.5;
      return drawn;
    }) as [ParameterVector, ParameterVector];
    const options = { ...ADAMW_DEFAULTS, weightDecay: 0.3 };
    const plain = new Plain(start, options);
    const optimizer = await AdamW.create(options, 1);
    const moments = freshMoments(start);
    for (let step = 0; step < 2; step++) {
      plain.update(gradient, 1e-2, 0.5);
      const norm = await optimizer.step(start, gradient, moments, 1e-2, 0.5);
      expect(norm / (0.5 * Math.sqrt(gradient.data.reduce((sum, g) => sum + g * g, 0)))).toBeCloseTo(1, 5);
    }
    await optimizer.dispose();
    expect(largestDifference(start.data, plain.p)).toBeLessThan(1e-5);
    expect(largestDifference(moments.m.data, plain.m)).toBeLessThan(1e-6);
  });

  test.each([0, 0.5])(
    'a group at a tenth of the rate moves as by itself at that rate, Muon %s',
    async (muon) => {
      const body = [linearWeight('c', 4, 6), linearWeight('d', 5, 3), vector('scale', 3, 1)];
      const options = { weightDecay: 0.3, muon, clipNorm: Number.POSITIVE_INFINITY };
      const fill = (parameters: ParameterVector, seed: number) => {
        for (const { name } of parameters.parameters) {
          const random = new Random(seed + (name.charCodeAt(0) % 97));
          const view = parameters.view(name);
          for (let k = 0; k < view.length; k++) view[k] = random.normal();
        }
        return parameters;
      };
      const run = async (parameters: ParameterVector, rate: number) => {
        fill(parameters, 1);
        const moments = freshMoments(parameters);
        const optimizer = await AdamW.create(options, 1);
        for (let step = 1; step <= 3; step++) {
          await optimizer.step(parameters, fill(parameters.like(), 10 * step), moments, rate / step);
        }
        await optimizer.dispose();
        return parameters;
      };
      // The order of the parameters given mixes the groups.
      const [c, d, scale] = body.map((p) => ({ ...p, rate: 0.1 }));
      const [a, b, norm] = SIZES;
      const both = await run(new ParameterVector([c!, a!, scale!, norm!, b!, d!]), 0.1);
      const [fast, slow] = [
        await run(new ParameterVector(SIZES), 0.1),
        await run(new ParameterVector(body), 0.01),
      ];
      for (const alone of [fast, slow]) {
        for (const { name } of alone.parameters) {
          expect(largestDifference(both.view(name), [...alone.view(name)]), name).toBeLessThan(1e-6);
        }
      }
    },
  );

  test.each<[string, Partial<AdamWOptions>, number]>([
    ['clipped', { clipNorm: 1 }, 1],
    ['never clipped, a sum of two batches', { clipNorm: Number.POSITIVE_INFINITY }, 1 / 2],
    ['with other betas, a large eps and much decay', { beta1: 0.5, beta2: 0.8, eps: 0.1, weightDecay: 2 }, 1],
    ['without decay', { weightDecay: 0, clipNorm: 1000 }, 1],
  ])('is the float64 loop: %s', async (_, options, scale) => {
    const parameters = drawn(1);
    const moments = freshMoments(parameters);
    const plain = new Plain(parameters, { ...ADAMW_DEFAULTS, ...options });
    const optimizer = await AdamW.create(options, 1);
    try {
      for (let step = 0; step < 5; step++) {
        const gradient = drawn(10 + step, 3 - step / 2);
        const rate = 0.1 / (step + 1);
        const norm = await optimizer.step(parameters, gradient, moments, rate, scale);
        plain.update(gradient, rate, scale);
        expect(norm).toBeCloseTo(Math.hypot(...gradient.data) * scale, 4);
      }
      expect(moments.step).toBe(5);
      expect(largestDifference(parameters.data, plain.p)).toBeLessThan(2e-6);
      expect(largestDifference(moments.m.data, plain.m)).toBeLessThan(2e-6);
      expect(largestDifference(moments.v.data, plain.v)).toBeLessThan(2e-5);
    } finally {
      await optimizer.dispose();
    }
  });

  test('decays matrices alone', async () => {
    const parameters = new ParameterVector(SIZES);
    parameters.data.fill(1);
    const optimizer = await AdamW.create({ weightDecay: 0.5 }, 1);
    await optimizer.step(parameters, parameters.like(), freshMoments(parameters), 0.1);
    await optimizer.dispose();
    expect(new Set(parameters.view('a'))).toEqual(new Set([Math.fround(0.95)]));
    expect(new Set(parameters.view('b'))).toEqual(new Set([Math.fround(0.95)]));
    expect(new Set(parameters.view('norm'))).toEqual(new Set([1]));
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, 1e30])(
    'a gradient with %s changes nothing',
    async (bad) => {
      const parameters = drawn(1);
      const moments = freshMoments(parameters);
      const gradient = drawn(2);
      const optimizer = await AdamW.create({ muon: 1 }, 1);
      await optimizer.step(parameters, gradient, moments, 0.1);
      const before = [parameters, moments.m, moments.v].map(({ data }) => data.slice());
      gradient.data[5] = bad;
      expect(await optimizer.step(parameters, gradient, moments, 0.1)).not.toBeLessThan(1e18);
      await optimizer.dispose();
      expect([parameters, moments.m, moments.v].map(({ data }) => data)).toEqual(before);
      expect(moments.step).toBe(1);
    },
  );
});
