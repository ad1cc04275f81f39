import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  draw,
  drawParameters,
  emptyState,
  evaluateAll,
  exactly,
  expectClose,
  expectSame,
  named,
  recordGradients,
  recordMixer,
  type Setup,
  slice,
} from '../../test/mixers/harness.ts';
import { mixerSuite } from '../../test/mixers/suite.ts';
import { type NdArray, ndarray } from '../graph/index.ts';
import { Random } from '../util/random.ts';
import { JET_BLOCK_SPACE, jetBlock, releasedJetBlock } from './jet-block.ts';
import type { JetBlockSpec, MixerContext } from './spec.ts';

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

describe('a reference in float64 (test/golden/jet_block.json; its output is that of the released code)', () => {
  type Nested = number | Nested[];
  const golden = JSON.parse(
    readFileSync(join(import.meta.dirname, '../../test/golden/jet_block.json'), 'utf8'),
  ) as {
    config: Record<string, number>;
    params: Record<string, Nested>;
    x: Nested;
    out: Nested;
    conv_state_D_W: Nested;
    recurrent_state_h_dk_dv: Nested;
  };
  const shapeOf = (x: Nested): number[] => (Array.isArray(x) ? [x.length, ...shapeOf(x[0]!)] : []);
  const values = (x: Nested): number[] => (Array.isArray(x) ? x.flatMap(values) : [x]);
  const array = (x: Nested): NdArray => ndarray(shapeOf(x), values(x));
  /** With a batch of one in front. */
  const batch = (x: Nested) => array([x]);
  const { config, params } = golden;
  const heads = config.num_heads!;
  const setup: Setup = {
    spec: {
      ...releasedJetBlock({
        heads,
        keyDim: config.head_dim!,
        valueDim: Math.trunc(config.head_dim! * config.expand_v!),
      }),
      convSize: config.conv_size!,
      generatorReduction: config.dconv_generator_reduction!,
    },
    context: { ...context, hiddenSize: config.hidden_size!, numHeads: heads },
  };
  const generator: Record<string, string> = { w1: 'w1.weight', w2: 'w2.weight', w2_bias: 'w2.bias' };
  const parameters = Object.fromEntries(
    Object.entries(params).map(([name, value]) => {
      if (generator[name]) return [`dynamic_conv1d.kernel_generator.${generator[name]}`, array(value)];
      return [name === 'A_log' || name === 'dt_bias' ? name : `${name}.weight`, array(value)];
    }),
  );
  const x = batch(golden.x);
  const T = x.shape[1]!;
  const expected = {
    y: batch(golden.out),
    state: { recurrent: batch(golden.recurrent_state_h_dk_dv), conv_v: batch(golden.conv_state_D_W) },
  };

  test.each(['recurrent', 'chunk'] as const)('%s', (form) => {
    expectSame(form, exactly(setup, form, parameters, { x }), expected, 1e-10);
  });

  test('pieces of 1, 2, 3 and 1 tokens: each shifts the convolution’s state by as many', () => {
    let state = emptyState(setup, 1);
    let start = 0;
    for (const tokens of [1, 2, 3, 1]) {
      const piece = slice(x, 1, start, start + tokens);
      const result = exactly(setup, 'chunk', parameters, { x: piece, state });
      expectClose(`from ${start}`, result.y, slice(expected.y, 1, start, start + tokens), 1e-10);
      state = result.state;
      start += tokens;
    }
    expect(start).toBe(T);
    expectSame('state', { y: expected.y, state }, expected, 1e-10);
  });
});

const small = { heads: 2, keyDim: 4, valueDim: 3 };

mixerSuite('JetBlock', {
  spec: { ...releasedJetBlock(small), generatorReduction: 2 },
  context,
});
mixerSuite('JetBlock with dynamic convolutions of q, k and v, from what they convolve, and a sigmoid gate', {
  spec: {
    ...releasedJetBlock(small),
    qConv: 'dynamic',
    kConv: 'dynamic',
    convSize: 2,
    generatorReduction: 3,
    generatorInput: 'projection',
    gate: 'sigmoid',
  },
  context,
});
mixerSuite('JetBlock with a static convolution of q alone', {
  spec: {
    ...releasedJetBlock(small),
    qConv: 'static',
    vConv: 'none',
    convSize: 3,
  },
  context,
});

describe('the design space', () => {
  test('holds the released block first, and names what the released model calls', () => {
    const spec = releasedJetBlock({ heads: 2, keyDim: 4, valueDim: 8 });
    expect(spec).toEqual({
      kind: 'jet_block',
      heads: 2,
      keyDim: 4,
      valueDim: 8,
      qConv: 'none',
      kConv: 'none',
      vConv: 'dynamic',
      convSize: 4,
      generatorReduction: 8,
      generatorInput: 'hidden',
      gate: 'silu',
    });
    const shapes = Object.fromEntries(
      jetBlock.parameters(spec, context).map(({ name, shape }) => [name, shape]),
    );
    // Channels 16, of which an eighth is the generator's width, and 4 taps.
    expect(shapes).toEqual({
      'q_proj.weight': [8, 6],
      'k_proj.weight': [8, 6],
      'v_proj.weight': [16, 6],
      'dynamic_conv1d.kernel_generator.w1.weight': [2, 6],
      'dynamic_conv1d.kernel_generator.w2.weight': [64, 2],
      'dynamic_conv1d.kernel_generator.w2.bias': [64],
      'a_proj.weight': [2, 6],
      'b_proj.weight': [2, 6],
      A_log: [2],
      dt_bias: [2],
      'g_proj.weight': [16, 6],
      'o_norm.weight': [8],
      'o_proj.weight': [6, 16],
    });
  });

  test('with static convolutions everywhere it is Gated DeltaNet', () => {
    const jet: Setup = {
      spec: { ...releasedJetBlock(small), qConv: 'static', kConv: 'static', vConv: 'static' },
      context,
    };
    const gated: Setup = { spec: { kind: 'gated_deltanet', ...small, convSize: 4, rope: false }, context };
    const random = new Random(1);
    const parameters = drawParameters(jet, random);
    const x = draw(random, [2, 9, context.hiddenSize]);
    expectSame(
      'y',
      exactly(jet, 'chunk', parameters, { x }),
      exactly(gated, 'chunk', parameters, { x }),
      1e-12,
    );
  });

  test('a generator without width', () => {
    const spec = { ...releasedJetBlock(small), generatorReduction: 7 };
    expect(() => jetBlock.parameters(spec, context)).toThrow(
      expect.objectContaining({
        name: 'InputError',
        message: 'generator reduction is 7, expected at most the 6 channels',
      }),
    );
  });

  test('every point has weights and a state of its own, which it uses', () => {
    const { qConv, kConv, vConv, generatorInput, gate } = JET_BLOCK_SPACE;
    const random = new Random(2);
    for (const point of [
      ...qConv.map((value) => ({ qConv: value })),
      ...kConv.map((value) => ({ kConv: value })),
      ...vConv.map((value) => ({ vConv: value })),
      ...generatorInput.map((value) => ({ generatorInput: value })),
      ...gate.map((value) => ({ gate: value })),
    ]) {
      const spec: JetBlockSpec = { ...releasedJetBlock(small), generatorReduction: 2, ...point };
      const setup: Setup = { spec, context };
      const x = draw(random, [1, 5, context.hiddenSize]);
      const recorded = recordMixer(setup, 'chunk', 5, { x });
      expect(Object.keys(recorded.state).sort()).toEqual(
        jetBlock
          .state(spec, context)
          .map(({ name }) => name)
          .sort(),
      );
      // Differentiating throws for a weight that the output does not depend on.
      const weights = jetBlock.parameters(spec, context).map(({ name }) => `parameter ${name}`);
      expect(Object.keys(recordGradients(recorded).gradients)).toEqual([...weights, 'x']);
    }
  });
});

describe('the generator of the filters', () => {
  const setup: Setup = { spec: { ...releasedJetBlock(small), generatorReduction: 2 }, context };
  const prefix = 'parameter dynamic_conv1d.kernel_generator.';

  /** Largest gradients of the parameters, of a sum over the outputs with drawn weights. */
  function largestGradients(parameters: Record<string, NdArray>) {
    const random = new Random(3);
    const x = draw(random, [1, 12, context.hiddenSize]);
    const recorded = recordMixer(setup, 'chunk', 12, { x });
    const { seeds, gradients } = recordGradients(recorded);
    const values = { ...named(parameters, { x }) };
    for (const [name, { shape }] of Object.entries(seeds)) {
      values[name] = draw(
        random,
        shape.map((dim) => (dim === 'B' ? 1 : (dim as number))),
      );
    }
    return evaluateAll(gradients, { ...recorded.inputs, ...seeds }, values);
  }
  const largest = ({ data }: NdArray) => data.reduce((a, b) => Math.max(a, Math.abs(b)), 0);

  test('starts as the identity, and leaves it: the second matrix learns at once, the first with it', () => {
    const random = new Random(4);
    const parameters = Object.fromEntries(
      jetBlock
        .parameters(setup.spec as JetBlockSpec, context)
        .map(({ name, shape, init }) => [name, ndarray(shape, Float64Array.from(init(random)))]),
    );
    const x = draw(random, [1, 6, context.hiddenSize]);
    const without: Setup = { spec: { ...(setup.spec as JetBlockSpec), vConv: 'none' }, context };
    const { y } = exactly(setup, 'chunk', parameters, { x });
    expectClose('as without convolution', y, exactly(without, 'chunk', parameters, { x }).y, 1e-12);

    const first = largestGradients(parameters);
    expect(largest(first[`${prefix}w2.weight`]!)).toBeGreaterThan(1e-5);
    expect(largest(first[`${prefix}w1.weight`]!)).toBe(0);
    const second = parameters['dynamic_conv1d.kernel_generator.w2.weight']!;
    const gradient = first[`${prefix}w2.weight`]!;
    for (let i = 0; i < second.data.length; i++) second.data[i]! -= 0.1 * Math.sign(gradient.data[i]!);
    expect(largest(largestGradients(parameters)[`${prefix}w1.weight`]!)).toBeGreaterThan(1e-5);
  });
});
