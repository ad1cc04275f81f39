/** Linear mixers against flash-linear-attention; test/golden/make_mixers.py says how the values were made. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Arrays, expectClose, Runner, type Setup } from '../../test/mixers/harness.ts';
import {
  constant,
  gradients,
  input,
  type NdArray,
  ndarray,
  reshape,
  type Tensor,
  transpose,
} from '../graph/index.ts';
import { deltaRuleChunk, deltaRuleRecurrent } from './delta-rule.ts';
import { dplrChunk, dplrRecurrent } from './dplr.ts';
import { releasedJetBlock } from './jet-block.ts';
import { linearAttentionChunk, linearAttentionRecurrent } from './linear-attention.ts';
import { mixerOf } from './registry.ts';
import type { MixerContext, MixerSpec } from './spec.ts';

const FOLDER = join(import.meta.dirname, '../../test/golden/mixers');
const OUTPUT = 1e-5;
const GRADIENT = 1e-4;

interface GoldenTensor {
  shape: number[];
  data: number[];
  scale?: number;
}
type Group = Record<string, GoldenTensor>;
interface Golden {
  kind: string;
  case: string;
  level: 'op' | 'layer';
  config: Record<string, number | boolean>;
  inputs: Group;
  params?: Group;
  initial?: Group;
  weights: GoldenTensor;
  output: GoldenTensor;
  final: Group;
  grads: { inputs: Group; params?: Group; initial?: Group };
}

const goldens = readdirSync(FOLDER)
  .sort()
  .map((file) => JSON.parse(readFileSync(join(FOLDER, file), 'utf8')) as Golden);

function array({ shape, data, scale = 1 }: GoldenTensor): NdArray {
  return ndarray(
    shape,
    data.map((x) => x * scale),
  );
}

function arrays(group: Group = {}): Arrays {
  return Object.fromEntries(Object.entries(group).map(([name, x]) => [name, array(x)]));
}

// --- recurrences -------------------------------------------------------------------------------------------------

/** [B, T, H, W] or [B, T, H] -> [B, H, T, W or 1] */
function headsFirst(x: Tensor): Tensor {
  const rows = transpose(x, [0, 2, 1, ...(x.rank === 4 ? [3] : [])]);
  return x.rank === 4 ? rows : reshape(rows, [...rows.shape, 1]);
}

/** The recurrence of each kind, and its inputs that are called otherwise. Queries are scaled by K^-0.5 or not. */
const RULES: Record<string, { rule: Rule; names?: Record<string, string>; scaled?: false }> = {
  gla: { rule: 'linear', names: { gk: 'g' } },
  mamba2: { rule: 'linear', scaled: false },
  gated_deltanet: { rule: 'delta' },
  deltanet: { rule: 'delta' },
  kda: { rule: 'delta' },
  rwkv7: { rule: 'dplr', names: { r: 'q', w: 'g' }, scaled: false },
};

const FORMS = {
  linear: { recurrent: linearAttentionRecurrent, chunk: linearAttentionChunk },
  delta: { recurrent: deltaRuleRecurrent, chunk: deltaRuleChunk },
  dplr: { recurrent: dplrRecurrent, chunk: dplrChunk },
};
type Rule = keyof typeof FORMS;
type Form = 'recurrent' | 'chunk';

function recordRule(golden: Golden, form: Form) {
  const { rule, names, scaled = true } = RULES[golden.kind]!;
  const inputs: Record<string, Tensor> = {};
  for (const [name, { shape }] of Object.entries({ ...golden.inputs, ...golden.initial })) {
    inputs[name] = input(name, 'float32', shape);
  }
  const { recurrent: state, ...given } = inputs;
  const rows = Object.fromEntries(
    Object.entries(given).map(([name, x]) => [names?.[name] ?? name, headsFirst(x)]),
  ) as Record<'q' | 'k' | 'v' | 'g' | 'beta' | 'a' | 'b', Tensor>;
  const scale = scaled ? (golden.config.K as number) ** -0.5 : 1;
  const result = FORMS[rule][form]({ ...rows, state, scale });
  const output = transpose(result.o, [0, 2, 1, 3]);
  const list = gradients(
    [{ output, seed: input('weights', 'float32', golden.weights.shape) }],
    Object.values(inputs),
  );
  return {
    output,
    'final recurrent': result.state,
    ...Object.fromEntries(Object.keys(inputs).map((name, i) => [`d ${name}`, list[i]!])),
  };
}

describe('recurrences', () => {
  for (const golden of goldens.filter(({ level, kind }) => level === 'op' && RULES[kind])) {
    for (const form of ['recurrent', 'chunk'] as const) {
      test(`${golden.kind} ${golden.case}, ${form}`, async () => {
        const runner = await Runner.compile(recordRule(golden, form));
        const actual = await runner.run({
          ...arrays({ ...golden.inputs, ...golden.initial }),
          weights: array(golden.weights),
        });
        await runner.dispose();
        expectClose('output', actual.output!, array(golden.output), OUTPUT);
        expectClose('state', actual['final recurrent']!, array(golden.final.recurrent!), OUTPUT);
        const expected = arrays({ ...golden.grads.inputs, ...golden.grads.initial });
        for (const [name, gradient] of Object.entries(expected)) {
          expectClose(`d ${name}`, actual[`d ${name}`]!, gradient, GRADIENT);
        }
      });
    }
  }
});

// --- layers ------------------------------------------------------------------------------------------------------

const LAYERS: Record<string, (config: Record<string, number>) => MixerSpec> = {
  retnet: ({ num_heads, hidden_size, expand_k, expand_v }) => ({
    kind: 'retnet',
    heads: num_heads!,
    keyDim: (hidden_size! * expand_k!) / num_heads!,
    valueDim: (hidden_size! * expand_v!) / num_heads!,
  }),
  gla: ({ num_heads, hidden_size, expand_k, expand_v, gate_low_rank_dim }) => ({
    kind: 'gla',
    heads: num_heads!,
    keyDim: (hidden_size! * expand_k!) / num_heads!,
    valueDim: (hidden_size! * expand_v!) / num_heads!,
    gateRank: gate_low_rank_dim!,
    rope: false,
  }),
  deltanet: ({ num_heads, hidden_size, expand_k, expand_v, conv_size }) => ({
    kind: 'deltanet',
    heads: num_heads!,
    keyDim: (hidden_size! * expand_k!) / num_heads!,
    valueDim: (hidden_size! * expand_v!) / num_heads!,
    convSize: conv_size!,
    rope: false,
  }),
  gated_deltanet: ({ num_heads, head_dim, expand_v, conv_size, use_short_conv }) => ({
    kind: 'gated_deltanet',
    heads: num_heads!,
    keyDim: head_dim!,
    valueDim: head_dim! * expand_v!,
    convSize: use_short_conv === undefined || use_short_conv ? conv_size! : 0,
    rope: false,
  }),
  kda: ({ num_heads, head_dim, expand_v, conv_size }) => ({
    kind: 'kda',
    heads: num_heads!,
    keyDim: head_dim!,
    valueDim: head_dim! * expand_v!,
    // The ranks are a value head's width.
    gateRank: head_dim! * expand_v!,
    convSize: conv_size!,
  }),
  rwkv7: ({ hidden_size, head_dim, layer_idx, v_low_rank_dim, ...ranks }) => ({
    kind: 'rwkv7',
    heads: hidden_size! / head_dim!,
    keyDim: head_dim!,
    valueDim: head_dim!,
    decayRank: ranks.decay_low_rank_dim!,
    rateRank: ranks.a_low_rank_dim!,
    gateRank: ranks.gate_low_rank_dim!,
    // The first layer has no others to take values from.
    valueRank: layer_idx === 0 ? 0 : v_low_rank_dim!,
  }),
  jet_block: ({ num_heads, head_dim, expand_v, conv_size, dconv_generator_reduction }) => ({
    ...releasedJetBlock({ heads: num_heads!, keyDim: head_dim!, valueDim: head_dim! * expand_v! }),
    convSize: conv_size!,
    generatorReduction: dconv_generator_reduction!,
  }),
  mamba2: ({ hidden_size, expand, head_dim, state_size, n_groups, conv_kernel }) => ({
    kind: 'mamba2',
    heads: (hidden_size! * expand!) / head_dim!,
    keyDim: state_size!,
    valueDim: head_dim!,
    headsPerGroup: (hidden_size! * expand!) / head_dim! / n_groups!,
    convSize: conv_kernel!,
  }),
};

function setupOf(golden: Golden): Setup {
  const config = golden.config as Record<string, number>;
  const { num_heads: numHeads = 1 } = config;
  const context: MixerContext = {
    hiddenSize: config.hidden_size!,
    numHeads,
    numKvHeads: numHeads,
    headDim: config.hidden_size! / numHeads,
    rmsNormEps: 1e-5,
    ropeTheta: 10000,
    ropeScaling: null,
    qkvBias: false,
    oBias: false,
    qkNorm: false,
  };
  return { spec: LAYERS[golden.kind]!(config), context };
}

/** 'conv' or 'conv_q', and so on; parameters are called 'conv1d'. */
const CONVOLUTION_STATE = /^conv(_|$)/;

/** The states of convolutions come without the oldest input, which is never read: [B, D, W - 1] -> [B, D, W]. */
function withOldest(name: string, x: NdArray): NdArray {
  if (!CONVOLUTION_STATE.test(name)) return x;
  const [B, D, W] = x.shape as [number, number, number];
  const result = ndarray([B, D, W + 1]);
  for (let i = 0; i < x.data.length; i++) result.data[i + Math.floor(i / W) + 1] = x.data[i]!;
  return result;
}

function withoutOldest(name: string, x: NdArray): NdArray {
  if (!CONVOLUTION_STATE.test(name)) return x;
  const [B, D, W] = x.shape as [number, number, number];
  return ndarray(
    [B, D, W - 1],
    x.data.filter((_, i) => i % W > 0),
  );
}

/** Static convolutions of q, k and v have one state: channels of q, then k, then v. */
function together(states: Group = {}): Arrays {
  const { conv_q: q, conv_k: k, conv_v: v, ...rest } = arrays(states);
  if (!q || !k || !v) return arrays(states);
  const [B, , W] = q.shape as [number, number, number];
  const channels = [q, k, v].reduce((sum, { shape }) => sum + shape[1]!, 0);
  const conv = ndarray([B, channels, W]);
  let at = 0;
  for (let b = 0; b < B; b++) {
    for (const { shape, data } of [q, k, v]) {
      const size = shape[1]! * W;
      conv.data.set(data.subarray(b * size, (b + 1) * size), at);
      at += size;
    }
  }
  return { ...rest, conv };
}

function recordLayer(golden: Golden, form: Form) {
  const { spec, context } = setupOf(golden);
  const mixer = mixerOf(spec);
  const [B, T] = [golden.config.B as number, golden.config.T as number];
  const declare = (prefix: string, list: { name: string; shape: readonly (number | string)[] }[]) =>
    Object.fromEntries(
      list.map(({ name, shape }) => [
        name,
        input(
          `${prefix} ${name}`,
          'float32',
          shape.map((dim) => (dim === 'B' ? B : dim)),
        ),
      ]),
    );
  const params = declare('parameter', mixer.parameters(spec, context));
  const state = golden.initial ? declare('state', mixer.state(spec, context)) : undefined;
  const given = Object.fromEntries(
    Object.entries(golden.inputs).map(([name, { shape }]) => [name, input(name, 'float32', shape)]),
  );
  const { position = 0 } = golden.config as Record<string, number>;
  const positions = constant(
    Array.from({ length: B * T }, (_, i) => position + (i % T)),
    [B, T],
    'int64',
  );
  const result = mixer.forward(spec, context, {
    x: given.x!,
    params,
    form,
    positions,
    firstValues: given.v_first,
    maxPositions: position + T,
    ...(state ? { state } : {}),
  });
  const named = (prefix: string, tensors: Record<string, Tensor> = {}) =>
    Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [`${prefix} ${name}`, tensor]));
  const inputs = { ...given, ...named('parameter', params), ...named('state', state) };
  const list = gradients(
    [{ output: result.y, seed: input('weights', 'float32', golden.weights.shape) }],
    Object.values(inputs),
  );
  return {
    params,
    outputs: {
      output: result.y,
      ...named('final', result.state),
      ...Object.fromEntries(Object.keys(inputs).map((name, i) => [`d ${name}`, list[i]!])),
    },
  };
}

describe('layers', () => {
  for (const golden of goldens.filter(({ level, kind }) => level === 'layer' && LAYERS[kind])) {
    for (const form of ['recurrent', 'chunk'] as const) {
      test(`${golden.kind} ${golden.case}, ${form}`, async () => {
        const { params, outputs } = recordLayer(golden, form);
        expect(Object.keys(params).sort()).toEqual(Object.keys(golden.params!).sort());
        const named = (prefix: string, group: Arrays) =>
          Object.fromEntries(
            Object.entries(group).map(([name, x]) => [`${prefix} ${name}`, withOldest(name, x)]),
          );
        const runner = await Runner.compile(outputs);
        const actual = await runner.run({
          ...arrays(golden.inputs),
          ...named('parameter', arrays(golden.params)),
          ...named('state', together(golden.initial)),
          weights: array(golden.weights),
        });
        await runner.dispose();
        expectClose('output', actual.output!, array(golden.output), OUTPUT);
        for (const [name, state] of Object.entries(together(golden.final))) {
          expectClose(`state ${name}`, withoutOldest(name, actual[`final ${name}`]!), state, OUTPUT);
        }
        for (const [name, gradient] of Object.entries(arrays(golden.grads.inputs))) {
          expectClose(`d ${name}`, actual[`d ${name}`]!, gradient, GRADIENT);
        }
        for (const [name, gradient] of Object.entries(arrays(golden.grads.params))) {
          expectClose(`d ${name}`, actual[`d parameter ${name}`]!, gradient, GRADIENT);
        }
        for (const [name, gradient] of Object.entries(together(golden.grads.initial))) {
          expectClose(`d ${name}`, withoutOldest(name, actual[`d state ${name}`]!), gradient, GRADIENT);
        }
      });
    }
  }
});
