import type { MixerSpec } from '../mixers/spec.ts';
import { range } from '../util/range.ts';
import type { ModelConfig } from './config.ts';
import type { Derivation, Derivations } from './derived-tensors.ts';
import { Fields, isObject, type JsonObject } from './json-fields.ts';
import { layerNorms } from './parameters.ts';
import { readRope } from './rope-config.ts';

/**
 * Families that are read as what the decoder knows already: where they differ by factors, these go into the weights, where by
 * the arrangement of tensors, those are cut; where they compute something else, the configuration says so. A model of theirs is
 * written as `llama`, or as `postnas` where that has no place for something. Defaults are those of transformers.
 */
export interface Parent {
  maxPositions: number;
  ropeTheta: number;
  tieWordEmbeddings: boolean;
  numKvHeads?: number;
  rmsNormEps?: number;
  headDim?: number;
  /** Names of activations in config.json that are its own; silu unless told. */
  activations?: readonly string[];
  /** What the decoder of the family has that Llama's has not. */
  form?: Partial<ModelConfig>;
  /** Fields of config.json that mean something to it, beside those that every model reads. */
  reads: readonly string[];
  biases?: (fields: Fields) => Pick<ModelConfig, 'qkvBias' | 'oBias' | 'mlpBias'>;
  /** Full attention in all layers unless told. */
  layers?: (fields: Fields, count: number) => MixerSpec[];
  /** Position encodings, where they are not one for all layers. */
  rope?: (fields: Fields, maxPositions: number) => RopeOfModel;
  /** The share of a head that is rotated where nothing is said; heads are rotated as a whole where this is absent. */
  rotaryShare?: number;
  /** How the model's tensors are made of those of the file, where they are not the same. */
  weights?: (fields: Fields, config: ModelConfig) => Derivations;
}

/** By `attention_bias` and `mlp_bias`. */
export function llamaBiases(fields: Fields): Pick<ModelConfig, 'qkvBias' | 'oBias' | 'mlpBias'> {
  const attention = fields.boolean('attention_bias', false);
  return { qkvBias: attention, oBias: attention, mlpBias: fields.boolean('mlp_bias', false) };
}

type RopeOfModel = Pick<ModelConfig, 'ropeTheta' | 'ropeScaling' | 'localRopeTheta'>;

const NO_BIASES = { qkvBias: false, oBias: false, mlpBias: false };

const attention: MixerSpec = { kind: 'attention' };
const near = (window: number): MixerSpec => ({ kind: 'sliding_window', window });

/** The window of all layers, where there is one. */
function sameWindow(
  fields: Fields,
  count: number,
  byDefault: { window: number | null; maxPositions: number },
): MixerSpec[] {
  const absent = fields.object.sliding_window === undefined;
  const window =
    fields.has('sliding_window') || (absent && byDefault.window !== null)
      ? fields.integer('sliding_window', byDefault.window ?? undefined)
      : null;
  // A window that is as long as the context hides nothing.
  const longest = fields.integer('max_position_embeddings', byDefault.maxPositions);
  const spec: MixerSpec = window === null || window >= longest ? attention : near(window);
  return range(count).map(() => spec);
}

/** By `layer_types`, for each layer full attention or a window. */
function byTypes(fields: Fields, count: number, window: number): MixerSpec[] {
  const types = fields.list('layer_types');
  if (types.length !== count) throw fields.wrong('layer_types', `${count} entries`);
  return types.map((type) => {
    if (type === 'full_attention') return attention;
    if (type === 'sliding_attention') return near(window);
    throw fields.wrong('layer_types', "'full_attention' or 'sliding_attention' for each layer");
  });
}

/** Tensors of all layers, by the rest of their names. */
function inLayers(
  { layers }: ModelConfig,
  of: (prefix: string) => readonly (readonly [name: string, Derivation])[],
): [string, Derivation][] {
  return [...layers.keys()].flatMap((layer) => {
    const prefix = `model.layers.${layer}.`;
    return of(prefix).map(([name, derivation]): [string, Derivation] => [`${prefix}${name}`, derivation]);
  });
}

/** Granite: four factors, of the embedding, of what layers add, of the scores, and under the logits. */
function graniteWeights(fields: Fields, config: ModelConfig): Derivations {
  const { headDim, qkvBias, oBias, mlpBias, tieWordEmbeddings } = config;
  const factor = (name: string) => fields.positive(name, 1);
  const [embedding, residual] = [factor('embedding_multiplier'), factor('residual_multiplier')];
  const scores = factor('attention_multiplier') * Math.sqrt(headDim);
  // A head that is tied to the embedding has its factor, too.
  const logits = 1 / factor('logits_scaling') / (tieWordEmbeddings ? embedding : 1);
  const scaled = (names: readonly string[], times: number) => (prefix: string) =>
    names.map((name) => [name, { stored: `${prefix}${name}`, times }] as const);
  const both = (name: string, bias: boolean) => [`${name}.weight`, ...(bias ? [`${name}.bias`] : [])];
  const added = [...both('self_attn.o_proj', oBias), ...both('mlp.down_proj', mlpBias)];
  return new Map([
    ['model.embed_tokens.weight', { stored: 'model.embed_tokens.weight', times: embedding }],
    ...inLayers(config, scaled(both('self_attn.q_proj', qkvBias), scores)),
    ...inLayers(config, scaled(added, residual)),
    ['model.norm.weight', { stored: 'model.norm.weight', times: logits }],
  ]);
}

/** Phi 3: queries, keys and values are rows of one matrix, gate and up of another. */
function phi3Weights(_fields: Fields, config: ModelConfig): Derivations {
  const { numHeads, numKvHeads, headDim, intermediateSize: size } = config;
  const [q, kv] = [numHeads * headDim, numKvHeads * headDim];
  const parts = [
    ['self_attn.q_proj', 'self_attn.qkv_proj', 0, q],
    ['self_attn.k_proj', 'self_attn.qkv_proj', q, kv],
    ['self_attn.v_proj', 'self_attn.qkv_proj', q + kv, kv],
    ['mlp.gate_proj', 'mlp.gate_up_proj', 0, size],
    ['mlp.up_proj', 'mlp.gate_up_proj', size, size],
  ] as const;
  return new Map(
    inLayers(config, (prefix) =>
      parts.map(([name, stored, first, count]) => [
        `${name}.weight`,
        { stored: `${prefix}${stored}.weight`, rows: [[first, count]] },
      ]),
    ),
  );
}

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

/** SmolLM3: layers without rotation, by a list or every fourth; in these a window where there is one. */
function smolLm3Layers(fields: Fields, count: number): MixerSpec[] {
  const every = fields.integer('no_rope_layer_interval', 4, 0);
  const listed = fields.has('no_rope_layers') ? fields.list('no_rope_layers') : undefined;
  if (listed && (listed.length !== count || listed.some((each) => each !== 0 && each !== 1))) {
    throw fields.wrong('no_rope_layers', `${count} times 1 (rotated) or 0`);
  }
  const isRotated = (layer: number) => (listed ? listed[layer] === 1 : (layer + 1) % every !== 0);
  const windowed = fields.boolean('use_sliding_window', false) && fields.has('sliding_window');
  const window = windowed ? fields.integer('sliding_window') : 0;
  const types = fields.has('layer_types')
    ? byTypes(fields, count, window)
    : range(count).map((layer) => (windowed && !isRotated(layer) ? near(window) : attention));
  if (!windowed && types.some(({ kind }) => kind !== 'attention')) {
    throw fields.wrong('layer_types', "'full_attention' alone where use_sliding_window gives no window");
  }
  return types.map((spec, layer) => (isRotated(layer) ? spec : { ...spec, noRope: true }));
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

const GELU = ['gelu_pytorch_tanh'];

export const PARENTS = {
  mistral: {
    ...{ maxPositions: 131072, ropeTheta: 10000, tieWordEmbeddings: false, numKvHeads: 8 },
    reads: [],
    layers: (fields, count) => sameWindow(fields, count, { window: 4096, maxPositions: 131072 }),
  },
  ministral: {
    ...{ maxPositions: 131072, ropeTheta: 10000, tieWordEmbeddings: false, numKvHeads: 8 },
    reads: [],
    layers: (fields, count) =>
      fields.has('layer_types')
        ? byTypes(fields, count, fields.integer('sliding_window', 4096))
        : sameWindow(fields, count, { window: 4096, maxPositions: 131072 }),
  },
  granite: {
    ...{ maxPositions: 2048, ropeTheta: 10000, tieWordEmbeddings: false },
    reads: ['embedding_multiplier', 'logits_scaling', 'residual_multiplier', 'attention_multiplier'],
    biases: llamaBiases,
    weights: graniteWeights,
  },
  smollm3: {
    ...{ maxPositions: 32768, ropeTheta: 2e6, tieWordEmbeddings: true, numKvHeads: 4 },
    reads: ['no_rope_layer_interval'],
    biases: llamaBiases,
    layers: smolLm3Layers,
  },
  olmo2: {
    ...{ maxPositions: 2048, ropeTheta: 10000, tieWordEmbeddings: false, rmsNormEps: 1e-5 },
    reads: [],
    biases: (fields) => ({ ...llamaBiases(fields), mlpBias: false }),
    form: { qkNorm: true, qkNormOfAll: true, norms: 'after' },
  },
  gemma: {
    ...{ maxPositions: 8192, ropeTheta: 10000, tieWordEmbeddings: true, numKvHeads: 16, headDim: 256 },
    reads: [],
    // Old files say gelu and mean its tanh form.
    activations: [...GELU, 'gelu'],
    biases: (fields) => ({ ...llamaBiases(fields), mlpBias: false }),
    form: { activation: 'gelu_tanh' },
    weights: gemmaWeights,
  },
  gemma3_text: {
    ...{ maxPositions: 131072, ropeTheta: 1e6, tieWordEmbeddings: true, numKvHeads: 4, headDim: 256 },
    reads: [
      'query_pre_attn_scalar',
      'sliding_window_pattern',
      '_sliding_window_pattern',
      'rope_local_base_freq',
    ],
    activations: GELU,
    biases: (fields) => ({ ...llamaBiases(fields), mlpBias: false }),
    form: { activation: 'gelu_tanh', norms: 'around', qkNorm: true },
    layers: gemma3Layers,
    rope: gemma3Rope,
    weights: gemmaWeights,
  },
  qwen3_5_text: {
    ...{ maxPositions: 32768, ropeTheta: 10000, tieWordEmbeddings: false, numKvHeads: 4, headDim: 256 },
    rotaryShare: 0.25,
    reads: [
      ...['linear_num_key_heads', 'linear_num_value_heads', 'linear_key_head_dim', 'linear_value_head_dim'],
      ...['linear_conv_kernel_dim', 'full_attention_interval', 'partial_rotary_factor', 'attn_output_gate'],
    ],
    biases: (fields) => ({ ...llamaBiases(fields), mlpBias: false }),
    form: { qkNorm: true, attentionGate: true },
    layers: qwen35Layers,
    weights: qwen35Weights,
  },
  phi3: {
    ...{ maxPositions: 4096, ropeTheta: 10000, tieWordEmbeddings: false, rmsNormEps: 1e-5 },
    reads: ['partial_rotary_factor'],
    rotaryShare: 1,
    layers: (fields, count) => sameWindow(fields, count, { window: null, maxPositions: 4096 }),
    weights: phi3Weights,
  },
} satisfies Record<string, Parent>;

type ParentType = keyof typeof PARENTS;

/** Models of text and pictures, by what their text is read as. */
const TEXT_OF: Record<string, ParentType> = { qwen3_5: 'qwen3_5_text', gemma3: 'gemma3_text' };

/** The part of config.json that is about text, where a model has others. */
export function textConfigOf(json: JsonObject): JsonObject {
  const family = TEXT_OF[String(json.model_type)];
  if (!family || !isObject(json.text_config)) return json;
  const shared = ['tie_word_embeddings', 'quantization_config'].filter((name) => json[name] !== undefined);
  return {
    ...json.text_config,
    ...Object.fromEntries(shared.map((name) => [name, json[name]])),
    model_type: family,
  };
}

export function parentOf(modelType: string): Parent | undefined {
  return Object.hasOwn(PARENTS, modelType) ? PARENTS[modelType as ParentType] : undefined;
}

/** Of a family that has its own, without biases unless it says otherwise. */
export function biasesOf({ biases }: Parent, fields: Fields) {
  return biases?.(fields) ?? NO_BIASES;
}
