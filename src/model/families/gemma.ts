import type { MixerSpec } from '../../mixers/spec.ts';
import { range } from '../../util/range.ts';
import type { ModelConfig } from '../config.ts';
import type { Derivations } from '../derived-tensors.ts';
import { Fields, type JsonObject } from '../json-fields.ts';
import { layerNorms } from '../parameters.ts';
import { readRope } from '../rope-config.ts';
import { attention, attentionBiases, byTypes, type Family, inLayers, near } from './family.ts';

const GELU = ['gelu_pytorch_tanh'];

/** Gemma: the embedding by sqrt(D), and norms whose weights are what is added to 1. */
function gemmaWeights(fields: Fields, config: ModelConfig): Derivations {
  const { hiddenSize, headDim, tieWordEmbeddings, qkNorm } = config;
  const embedding = Math.fround(Math.sqrt(hiddenSize));
  const norms = Object.values(layerNorms(config));
  // Scores are divided by sqrt(query_pre_attn_scalar) in place of sqrt(headDim).
  const queries = qkNorm ? Math.sqrt(headDim / fields.positive('query_pre_attn_scalar', 256)) : 1;
  const ofOne = (prefix: string, name: string, times = 1) =>
    [`${name}.weight`, { stored: `${prefix}${name}.weight`, plus: 1, times }] as const;
  const table = 'model.embed_tokens.weight';
  const last = { stored: 'model.norm.weight', plus: 1, times: tieWordEmbeddings ? 1 / embedding : 1 };
  return new Map([
    [table, { stored: table, times: embedding }],
    ...inLayers(config, (prefix) => [
      ...norms.map((name) => ofOne(prefix, name)),
      ...(qkNorm ? [ofOne(prefix, 'self_attn.q_norm', queries), ofOne(prefix, 'self_attn.k_norm')] : []),
    ]),
    ['model.norm.weight', last],
  ]);
}

/** Gemma 3: five layers with windows and rotations of their own, then one that sees all. */
function gemma3Layers(fields: Fields, count: number): MixerSpec[] {
  const window = fields.integer('sliding_window', 4096);
  const pattern = fields.integer('sliding_window_pattern', 6);
  const types = fields.has('layer_types')
    ? byTypes(fields, count, window)
    : range(count).map((layer) => ((layer + 1) % pattern === 0 ? attention : near(window)));
  return types.map((spec) => (spec.kind === 'attention' ? spec : { ...spec, localRope: true }));
}

/** Of layers that see all and of those with windows: in one object for each, or in fields of their own. */
function gemma3Rope(fields: Fields, maxPositions: number) {
  const parameters = fields.child('rope_parameters');
  const [full, near] = ['full_attention', 'sliding_attention'].map((type) => parameters?.child(type)?.object);
  const { rope_parameters: _, ...rest } = fields.object;
  const global = {
    ...rest,
    rope_parameters: { ...full, ...(fields.child('rope_scaling')?.object ?? {}) },
    rope_scaling: null,
  };
  const local = { ...rest, rope_theta: rest.rope_local_base_freq, rope_parameters: near, rope_scaling: null };
  const read = (object: JsonObject, theta: number) =>
    readRope(new Fields(fields.path, object), theta, maxPositions);
  const { ropeTheta: localRopeTheta, ropeScaling } = read(local, 10000);
  if (ropeScaling !== null) throw fields.wrong('rope_parameters', 'no scaling for sliding_attention');
  return { ...read(global, 1e6), localRopeTheta };
}

export const gemma: Family = {
  ...{ maxPositions: 8192, ropeTheta: 10000, tieWordEmbeddings: true, numKvHeads: 16, headDim: 256 },
  reads: [],
  // Old files say gelu and mean its tanh form.
  activations: [...GELU, 'gelu'],
  biases: attentionBiases,
  form: { activation: 'gelu_tanh' },
  weights: gemmaWeights,
};

export const gemma3: Family = {
  ...{ maxPositions: 131072, ropeTheta: 1e6, tieWordEmbeddings: true, numKvHeads: 4, headDim: 256 },
  reads: [
    'query_pre_attn_scalar',
    'sliding_window_pattern',
    '_sliding_window_pattern',
    'rope_local_base_freq',
  ],
  activations: GELU,
  biases: attentionBiases,
  form: { activation: 'gelu_tanh', norms: 'around', qkNorm: true },
  layers: gemma3Layers,
  rope: gemma3Rope,
  weights: gemmaWeights,
};
