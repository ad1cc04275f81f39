import type { MixerSpec } from '../../mixers/spec.ts';
import { range } from '../../util/range.ts';
import type { ModelConfig } from '../config.ts';
import type { Derivation, Derivations } from '../derived-tensors.ts';
import type { Fields } from '../json-fields.ts';
import { layerNorms } from '../parameters.ts';
import { attention, attentionBiases, type Family } from './family.ts';

/** Qwen 3.5: Gated DeltaNet, and in every fourth layer attention. */
function qwen35Layers(fields: Fields, count: number): MixerSpec[] {
  const every = fields.integer('full_attention_interval', 4);
  const types = fields.has('layer_types')
    ? fields.list('layer_types')
    : range(count).map((layer) => ((layer + 1) % every === 0 ? 'full_attention' : 'linear_attention'));
  if (types.length !== count) throw fields.wrong('layer_types', `${count} entries`);
  const { keyHeads, heads, keyDim, valueDim } = qwen35Heads(fields);
  if (heads % keyHeads !== 0) {
    throw fields.wrong('linear_num_value_heads', `a multiple of linear_num_key_heads (${keyHeads})`);
  }
  const convSize = fields.integer('linear_conv_kernel_dim', 4);
  const normEps = fields.positive('rms_norm_eps', 1e-6);
  const size = { heads, keyDim, valueDim, convSize, rope: false, normEps };
  return types.map((type): MixerSpec => {
    if (type === 'full_attention') return attention;
    if (type === 'linear_attention') return { kind: 'gated_deltanet', ...size };
    throw fields.wrong('layer_types', "'full_attention' or 'linear_attention' for each layer");
  });
}

function qwen35Heads(fields: Fields) {
  return {
    keyHeads: fields.integer('linear_num_key_heads', 16),
    heads: fields.integer('linear_num_value_heads', 32),
    keyDim: fields.integer('linear_key_head_dim', 128),
    valueDim: fields.integer('linear_value_head_dim', 128),
  };
}

/** Queries and gates of attention are rows of one matrix in turns, q, k and v of Gated DeltaNet of another; norms are around 1. */
function qwen35Weights(fields: Fields, config: ModelConfig): Derivations {
  const { numHeads, headDim: d, qkvBias, layers } = config;
  const { keyHeads, heads, keyDim, valueDim } = qwen35Heads(fields);
  const norm = (name: string): [string, Derivation] => [name, { stored: name, plus: 1 }];
  const turns = (first: number) => range(numHeads).map((head) => [2 * head * d + first, d] as const);
  // A key head serves as many value heads one after the other.
  const shared = (first: number) =>
    range(heads).map((head) => [first + Math.floor((head * keyHeads) / heads) * keyDim, keyDim] as const);
  const keys = keyHeads * keyDim;
  const runs = { q: shared(0), k: shared(keys), v: [[2 * keys, heads * valueDim]] as const };
  const ofAttention = (mixer: string): [string, Derivation][] => [
    ...['weight', ...(qkvBias ? ['bias'] : [])].flatMap((part): [string, Derivation][] => [
      [`${mixer}q_proj.${part}`, { stored: `${mixer}q_proj.${part}`, rows: turns(0) }],
      [`${mixer}gate_proj.${part}`, { stored: `${mixer}q_proj.${part}`, rows: turns(d) }],
    ]),
    ...(['q_norm.weight', 'k_norm.weight'].map((name) => norm(`${mixer}${name}`)) as [string, Derivation][]),
  ];
  const ofDeltaNet = (mixer: string, stored: string): [string, Derivation][] => [
    ...Object.entries(runs).flatMap(([letter, rows]): [string, Derivation][] => [
      [`${mixer}${letter}_proj.weight`, { stored: `${stored}in_proj_qkv.weight`, rows }],
      [`${mixer}${letter}_conv1d.weight`, { stored: `${stored}conv1d.weight`, rows }],
    ]),
    ...Object.entries({
      ...{ 'g_proj.weight': 'in_proj_z.weight', 'b_proj.weight': 'in_proj_b.weight' },
      ...{ 'a_proj.weight': 'in_proj_a.weight', 'o_proj.weight': 'out_proj.weight' },
      ...{ 'o_norm.weight': 'norm.weight', A_log: 'A_log', dt_bias: 'dt_bias' },
    }).map(([name, own]): [string, Derivation] => [`${mixer}${name}`, { stored: `${stored}${own}` }]),
  ];
  return new Map([
    ...layers.flatMap(({ kind }, layer): [string, Derivation][] => {
      const prefix = `model.layers.${layer}.`;
      const mixer = `${prefix}self_attn.`;
      return [
        ...(Object.values(layerNorms(config)) as string[]).map((name) => norm(`${prefix}${name}.weight`)),
        ...(kind === 'attention' ? ofAttention(mixer) : ofDeltaNet(mixer, `${prefix}linear_attn.`)),
      ];
    }),
    norm('model.norm.weight'),
  ]);
}

export const qwen35: Family = {
  ...{ maxPositions: 32768, ropeTheta: 10000, tieWordEmbeddings: false, numKvHeads: 4, headDim: 256 },
  rotaryShare: 0.25,
  // Of pictures: in a text all coordinates are the position.
  ropeKeys: ['mrope_section', 'mrope_interleaved'],
  reads: [
    ...['linear_num_key_heads', 'linear_num_value_heads', 'linear_key_head_dim', 'linear_value_head_dim'],
    ...['linear_conv_kernel_dim', 'full_attention_interval', 'partial_rotary_factor', 'attn_output_gate'],
  ],
  biases: attentionBiases,
  form: { qkNorm: true, attentionGate: true },
  layers: qwen35Layers,
  weights: qwen35Weights,
};
