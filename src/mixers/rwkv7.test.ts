import { describe, expect, test } from 'vitest';
import {
  type Arrays,
  draw,
  drawParameters,
  evaluateAll,
  exactly,
  expectClose,
  expectSame,
  named,
  recordGradients,
  recordMixer,
  type Setup,
} from '../../test/mixers/harness.ts';
import { input, ndarray } from '../graph/index.ts';
import { Random } from '../util/random.ts';
import { rwkv7 } from './rwkv7.ts';
import type { MixerContext, Rwkv7Spec } from './spec.ts';

const context: MixerContext = {
  hiddenSize: 6,
  numHeads: 2,
  numKvHeads: 1,
  headDim: 4,
  rmsNormEps: 1e-5,
  ropeTheta: 10000,
  ropeScaling: null,
  qkvBias: false,
  oBias: false,
  qkNorm: false,
};
const spec: Rwkv7Spec = {
  kind: 'rwkv7',
  heads: 2,
  keyDim: 4,
  valueDim: 3,
  decayRank: 2,
  rateRank: 2,
  gateRank: 3,
  valueRank: 0,
};
const mixing: Rwkv7Spec = { ...spec, valueRank: 2 };
const [B, T, D] = [2, 9, context.hiddenSize];

describe('values of the first layer', () => {
  const random = new Random(1);
  const setup: Setup = { spec: mixing, context };
  const parameters = drawParameters(setup, random);
  const x = draw(random, [B, T, D]);

  /** Outputs of a layer that is given another's values. */
  function given(first: ReturnType<typeof draw>, layer = mixing) {
    const params = Object.fromEntries(
      rwkv7
        .parameters(layer, context)
        .map(({ name, shape }) => [name, input(`parameter ${name}`, 'float32', shape)]),
    );
    const inputs = {
      ...Object.fromEntries(Object.entries(params).map(([name, p]) => [`parameter ${name}`, p])),
      x: input('x', 'float32', x.shape),
      first: input('first', 'float32', first.shape),
    };
    const call = { x: inputs.x, params, form: 'chunk' as const, firstValues: inputs.first };
    const { y, firstValues } = rwkv7.forward(layer, context, call);
    return evaluateAll({ y, firstValues: firstValues! }, inputs, { ...named(parameters, { x }), first });
  }

  test('where there is no layer before, its own values: the same as a layer that takes none', () => {
    expectSame(
      'y',
      exactly(setup, 'chunk', parameters, { x }),
      exactly({ spec, context }, 'chunk', parameters, { x }),
      1e-12,
    );
  });

  test('are taken where they are given, and handed on as they came', () => {
    const first = draw(random, [B, T, 6]);
    const { y, firstValues } = given(first);
    expectClose('handed on', firstValues!, first, 0);
    const own = exactly(setup, 'chunk', parameters, { x }).y;
    expect(Math.max(...y!.data.map((value, i) => Math.abs(value - own.data[i]!)))).toBeGreaterThan(1e-2);
    // A layer that takes none is the same whatever it is given.
    expectClose('none', given(first, spec).y!, own, 1e-12);
  });

  test('of another width are refused', () => {
    expect(() => given(draw(random, [B, T, 8]))).toThrow(
      expect.objectContaining({
        name: 'InputError',
        message: "an RWKV7 layer of 2 x 3 values cannot mix in the first one's, which has 8",
      }),
    );
  });

  test('make layers depend on each other', () => {
    expect(rwkv7.coupled!(mixing)).toBe(true);
    expect(rwkv7.coupled!(spec)).toBe(false);
  });
});

describe('the start', () => {
  const start: Arrays = Object.fromEntries(
    rwkv7.parameters(spec, context).map(({ name, shape, init }) => {
      return [name, ndarray(shape, Float64Array.from(init(new Random(2))))];
    }),
  );

  test('sees one token, not the one before, and lets nothing past the state', () => {
    const random = new Random(3);
    const x = draw(random, [1, 1, D]);
    const zeros = rwkv7.state(spec, context).map(({ name, shape }) => {
      return [name, ndarray(shape.map((dim) => (dim === 'B' ? 1 : (dim as number))))] as const;
    });
    const without = exactly({ spec, context }, 'chunk', start, { x, state: Object.fromEntries(zeros) });
    const shift = draw(random, [1, D]);
    const state = { ...Object.fromEntries(zeros), shift };
    expectClose('y', exactly({ spec, context }, 'chunk', start, { x, state }).y, without.y, 1e-12);
    for (const name of ['x_r', 'x_w', 'x_k', 'x_v', 'x_a', 'x_g', 'r_k']) {
      expect(
        start[name]!.data.every((value) => value === 0),
        name,
      ).toBe(true);
    }
  });

  test('every weight can leave it: at once, or after the zeros that it is multiplied with', () => {
    const random = new Random(4);
    const largest = (gradient: { data: Float64Array }) =>
      gradient.data.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
    const x = draw(random, [1, T, D]);
    const recorded = recordMixer({ spec, context }, 'chunk', T, { x });
    const { seeds, gradients } = recordGradients(recorded);
    const seedValues = Object.fromEntries(
      Object.entries(seeds).map(([name, { shape }]) => [
        name,
        draw(
          random,
          shape.map((dim) => (dim === 'B' ? 1 : (dim as number))),
        ),
      ]),
    );
    const gradientsAt = (parameters: Arrays) =>
      evaluateAll(
        gradients,
        { ...recorded.inputs, ...seeds },
        { ...named(parameters, { x }), ...seedValues },
      );
    const stuck = (parameters: Arrays) =>
      Object.entries(gradientsAt(parameters))
        .filter(([, gradient]) => largest(gradient as never) < 1e-9)
        .map(([name]) => name);
    // All behind or before the two matrices that start as zeros.
    const waiting = ['x_w', 'x_a', 'w_lora.lora.2.weight', 'a_lora.lora.2.weight'];
    expect(stuck(start)).toEqual(waiting.map((name) => `parameter ${name}`));
    const moved = { ...start };
    for (const name of ['w_lora.lora.0.weight', 'a_lora.lora.0.weight']) {
      moved[name] = ndarray(
        start[name]!.shape,
        gradientsAt(start)[`parameter ${name}`]!.data.map((value) => -0.1 * Math.sign(value)),
      );
    }
    expect(stuck(moved)).toEqual([]);
  });

  test('forgets at all speeds, the slowest channels first, and never more than e^-0.61 of a token', () => {
    const wide = { ...spec, keyDim: 64 };
    const bias = rwkv7
      .parameters(wide, { ...context, headDim: 64 })
      .find(({ name }) => name === 'w_lora.lora.2.bias')!
      .init(new Random(1));
    const decays = Array.from(bias, (value) => Math.exp(-0.5) / (1 + Math.exp(-value)));
    // From memories of thousands of tokens to less than two.
    expect(Math.min(...decays)).toBeLessThan(1e-3);
    expect(Math.max(...decays)).toBeGreaterThan(0.5);
    expect(Math.max(...decays)).toBeLessThan(0.6066);
    expect(decays[0]!).toBeLessThan(decays[64]!);
  });

  test('takes the attention’s projections, queries as r', () => {
    const random = new Random(5);
    const square = { ...spec, valueDim: 4 };
    const attention = new Map(
      [
        ['q_proj.weight', [8, D]],
        ['k_proj.weight', [4, D]],
        ['v_proj.weight', [4, D]],
        ['o_proj.weight', [D, 8]],
      ].map(([name, shape]) => [name as string, Float32Array.from(draw(random, shape as number[]).data)]),
    );
    const weights = rwkv7.fromAttention(square, context, attention, random);
    expect(weights.get('r_proj.weight')).toEqual(attention.get('q_proj.weight'));
    expect(weights.get('o_proj.weight')).toEqual(attention.get('o_proj.weight'));
    for (const name of ['k_proj.weight', 'v_proj.weight']) {
      // Both heads share the one of the attention.
      const shared = [...attention.get(name)!];
      expect([...weights.get(name)!]).toEqual([...shared, ...shared]);
    }
  });
});
