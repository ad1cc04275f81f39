/**
 * Hugging Face's config.json and generation_config.json <-> ModelConfig. Defaults and meanings follow the
 * configuration classes of `transformers` (models/llama, models/qwen2, models/qwen3) and of Jet-Nemotron.
 */
import type { MixerSpec, RopeScaling } from '../mixers/spec.ts';
import { InputError } from '../util/errors.ts';
import type { ModelConfig } from './config.ts';
import { jetLayersFromHf, jetLayersToHf, whyNotJetNemotron } from './jet-nemotron.ts';
import { Fields, isObject, type JsonObject } from './json-fields.ts';
import { mixerFromJson, mixerToJson } from './mixer-json.ts';

const SUPPORTED = ['llama', 'qwen2', 'qwen3', 'jet_nemotron', 'postnas'] as const;
type ModelType = ModelConfig['modelType'];

const ARCHITECTURE: Record<ModelType, string> = {
  llama: 'LlamaForCausalLM',
  qwen2: 'Qwen2ForCausalLM',
  qwen3: 'Qwen3ForCausalLM',
  jet_nemotron: 'JetNemotronForCausalLM',
  postnas: 'PostnasForCausalLM',
};

/** What holds when config.json leaves a field out; key and value heads are else as many as query heads. */
interface Defaults {
  maxPositions: number;
  ropeTheta: number;
  tieWordEmbeddings: boolean;
  numKvHeads?: number;
}

const COMMON = { maxPositions: 32768, ropeTheta: 10000, tieWordEmbeddings: false };

const DEFAULTS: Record<ModelType, Defaults> = {
  llama: { ...COMMON, maxPositions: 2048 },
  qwen2: COMMON,
  qwen3: COMMON,
  jet_nemotron: { ...COMMON, ropeTheta: 1e6, tieWordEmbeddings: true, numKvHeads: 2 },
  postnas: { ...COMMON, maxPositions: 2048 },
};

/**
 * @param path the file, for messages
 * @throws InputError for a missing or wrong field, an unknown model_type or a feature that is not supported
 */
export function configFromHf(path: string, json: JsonObject): ModelConfig {
  const fields = new Fields(path, json);
  const modelType = fields.string('model_type') as ModelType;
  if (!SUPPORTED.includes(modelType)) {
    throw new InputError(
      `${path}: model_type '${modelType}' is not supported; supported are ${SUPPORTED.join(', ')}`,
    );
  }
  refuseUnsupported(fields, modelType);

  const defaults = DEFAULTS[modelType];
  const hiddenSize = fields.integer('hidden_size');
  const numHeads = fields.integer('num_attention_heads');
  // null, unlike a field that is absent, says "as many as query heads".
  const kvHeads = json.num_key_value_heads === undefined ? defaults.numKvHeads : undefined;
  const numKvHeads = fields.integer('num_key_value_heads', kvHeads ?? numHeads);
  if (numHeads % numKvHeads !== 0) {
    throw fields.wrong('num_key_value_heads', `a divisor of num_attention_heads (${numHeads})`);
  }
  if (!fields.has('head_dim') && modelType !== 'qwen3' && hiddenSize % numHeads !== 0) {
    throw fields.wrong('hidden_size', `a multiple of num_attention_heads (${numHeads}), or head_dim given`);
  }
  const headDim = fields.integer('head_dim', modelType === 'qwen3' ? 128 : hiddenSize / numHeads);
  if (headDim % 2 !== 0) throw fields.wrong('head_dim', 'an even number (rotary pairs)');
  const bosIds = fields.tokenIds('bos_token_id');
  return {
    modelType,
    vocabSize: fields.integer('vocab_size'),
    hiddenSize,
    intermediateSize: fields.integer('intermediate_size'),
    numHeads,
    numKvHeads,
    headDim,
    rmsNormEps: fields.positive('rms_norm_eps', 1e-6),
    ...readRope(fields, defaults.ropeTheta),
    ...readBiases(fields, modelType),
    qkNorm: modelType === 'qwen3' || (modelType === 'postnas' && fields.boolean('qk_norm', false)),
    tieWordEmbeddings: fields.boolean('tie_word_embeddings', defaults.tieWordEmbeddings),
    maxPositionEmbeddings: fields.integer('max_position_embeddings', defaults.maxPositions),
    initializerRange: fields.positive('initializer_range', 0.02),
    bosTokenId: bosIds[0] ?? null,
    eosTokenIds: fields.tokenIds('eos_token_id'),
    layers: readLayers(fields, modelType),
  };
}

/** The only way of holding weights in few bits that is read: quantized-tensors.ts describes it. */
const QUANT_METHOD = 'postnas';

/** What weights are stored in: a float type, or blocks of few bits. */
export type HfDtype = 'float32' | 'float16' | 'bfloat16' | { bits: number; block_size: number };

function refuseUnsupported(fields: Fields, modelType: ModelType): void {
  const refuse = (name: string, expected: string) => {
    const error = fields.wrong(name, expected);
    error.message += ` (model_type '${modelType}'; supported are ${SUPPORTED.join(', ')})`;
    throw error;
  };
  if (!['silu', 'swish'].includes(fields.string('hidden_act', 'silu'))) refuse('hidden_act', "'silu'");
  if (fields.positive('partial_rotary_factor', 1) !== 1) refuse('partial_rotary_factor', '1');
  const quantization = fields.object.quantization_config;
  const ours = isObject(quantization) && quantization.quant_method === QUANT_METHOD;
  if (fields.has('quantization_config') && !ours) {
    refuse('quantization_config', `weights in F32, F16 or BF16, or quant_method '${QUANT_METHOD}'`);
  }
}

function readBiases(fields: Fields, modelType: ModelType) {
  const attention = fields.boolean('attention_bias', false);
  switch (modelType) {
    case 'llama':
      return { qkvBias: attention, oBias: attention, mlpBias: fields.boolean('mlp_bias', false) };
    case 'qwen2':
    case 'jet_nemotron':
      return { qkvBias: true, oBias: false, mlpBias: false };
    case 'qwen3':
      return { qkvBias: attention, oBias: attention, mlpBias: false };
    case 'postnas':
      return {
        qkvBias: fields.boolean('qkv_bias', false),
        oBias: fields.boolean('o_bias', false),
        mlpBias: fields.boolean('mlp_bias', false),
      };
    default:
      return modelType satisfies never;
  }
}

/** transformers 5 keeps theta and scaling together in `rope_parameters`; before, they were two fields. */
function readRope(
  fields: Fields,
  defaultTheta: number,
): { ropeTheta: number; ropeScaling: RopeScaling | null } {
  const rope = fields.child('rope_parameters') ?? fields.child('rope_scaling');
  const ropeTheta = rope?.has('rope_theta')
    ? rope.positive('rope_theta')
    : fields.positive('rope_theta', defaultTheta);
  if (!rope) return { ropeTheta, ropeScaling: null };
  const key = rope.has('rope_type') ? 'rope_type' : 'type';
  switch (rope.string(key, 'default')) {
    case 'default':
      return { ropeTheta, ropeScaling: null };
    case 'linear':
      return { ropeTheta, ropeScaling: { type: 'linear', factor: rope.positive('factor') } };
    case 'llama3':
      return {
        ropeTheta,
        ropeScaling: {
          type: 'llama3',
          factor: rope.positive('factor'),
          lowFreqFactor: rope.positive('low_freq_factor'),
          highFreqFactor: rope.positive('high_freq_factor'),
          originalMaxPositionEmbeddings: rope.integer('original_max_position_embeddings'),
        },
      };
    default:
      throw rope.wrong(key, "'default', 'linear' or 'llama3'");
  }
}

function readLayers(fields: Fields, modelType: ModelType): MixerSpec[] {
  const count = fields.integer('num_hidden_layers');
  if (modelType === 'postnas') {
    const list = fields.list('layers');
    if (list.length !== count) {
      throw new InputError(
        `${fields.path}: layers has ${list.length} entries, num_hidden_layers is ${count}`,
      );
    }
    return list.map((value, i) => mixerFromJson(`${fields.path}: layers[${i}]`, value));
  }
  if (modelType === 'jet_nemotron') return jetLayersFromHf(fields, count);
  const layers: MixerSpec[] = Array.from({ length: count }, () => ({ kind: 'attention' }));
  const windowed = modelType !== 'llama' && fields.boolean('use_sliding_window', false);
  if (!windowed || fields.object.sliding_window === null) return layers;

  // Qwen: the layers from max_window_layers on see the last sliding_window tokens; `layer_types` says so outright.
  const window = fields.integer('sliding_window', 4096);
  const firstWindow = fields.integer('max_window_layers', 28, 0);
  const types = fields.has('layer_types') ? fields.list('layer_types') : undefined;
  if (types && types.length !== count) throw fields.wrong('layer_types', `${count} entries`);
  return layers.map((attention, i) => {
    const type = types ? types[i] : i < firstWindow ? 'full_attention' : 'sliding_attention';
    if (type === 'sliding_attention') return { kind: 'sliding_window', window };
    if (type === 'full_attention') return attention;
    throw fields.wrong('layer_types', "'full_attention' or 'sliding_attention' for each layer");
  });
}

/**
 * The config.json of a model. A model that its family can express keeps the family's model_type; any other
 * arrangement of mixers becomes `model_type: postnas` with the field `layers`.
 *
 * @param dtype of the weights, in Hugging Face's words
 */
export function configToHf(config: ModelConfig, dtype: HfDtype): JsonObject {
  const modelType = familyOf(config);
  const json: JsonObject = {
    architectures: [ARCHITECTURE[modelType]],
    model_type: modelType,
    vocab_size: config.vocabSize,
    hidden_size: config.hiddenSize,
    intermediate_size: config.intermediateSize,
    num_hidden_layers: config.layers.length,
    num_attention_heads: config.numHeads,
    num_key_value_heads: config.numKvHeads,
    head_dim: config.headDim,
    hidden_act: 'silu',
    rms_norm_eps: config.rmsNormEps,
    rope_theta: config.ropeTheta,
    rope_scaling: ropeScalingToHf(config.ropeScaling),
    max_position_embeddings: config.maxPositionEmbeddings,
    initializer_range: config.initializerRange,
    tie_word_embeddings: config.tieWordEmbeddings,
    attention_dropout: 0,
    use_cache: true,
    bos_token_id: config.bosTokenId,
    eos_token_id: oneOrMany(config.eosTokenIds),
    torch_dtype: typeof dtype === 'string' ? dtype : 'float32',
    ...(typeof dtype === 'string' ? {} : { quantization_config: { quant_method: QUANT_METHOD, ...dtype } }),
  };
  switch (modelType) {
    case 'llama':
      return { ...json, attention_bias: config.oBias, mlp_bias: config.mlpBias };
    case 'qwen2':
      return { ...json, ...windowToHf(config) };
    case 'qwen3':
      return { ...json, attention_bias: config.oBias, ...windowToHf(config) };
    case 'jet_nemotron':
      return { ...json, ...jetLayersToHf(config.layers) };
    case 'postnas':
      return {
        ...json,
        qkv_bias: config.qkvBias,
        o_bias: config.oBias,
        mlp_bias: config.mlpBias,
        qk_norm: config.qkNorm,
        layers: config.layers.map(mixerToJson),
      };
    default:
      return modelType satisfies never;
  }
}

/** The model_type under which a model is saved: its own family where that can say everything, else ours. */
function familyOf(config: ModelConfig): ModelType {
  const { modelType, qkvBias, oBias, mlpBias, qkNorm } = config;
  const allAttention = config.layers.every((layer) => layer.kind === 'attention');
  const attentionOrLateWindow = allAttention || lateWindow(config) !== null;
  const fits = {
    llama: () => allAttention && qkvBias === oBias && !qkNorm,
    qwen2: () => attentionOrLateWindow && qkvBias && !oBias && !mlpBias && !qkNorm && !fixesHeadDim(config),
    qwen3: () => attentionOrLateWindow && qkvBias === oBias && !mlpBias && qkNorm,
    jet_nemotron: () => whyNotJetNemotron(config) === null,
    postnas: () => true,
  };
  return fits[modelType]() ? modelType : 'postnas';
}

/** Qwen2 has no head_dim in some versions of transformers: it is the width divided by the heads. */
function fixesHeadDim({ headDim, hiddenSize, numHeads }: ModelConfig): boolean {
  return headDim * numHeads !== hiddenSize;
}

/** Qwen's windows: one size, on all layers from some layer on. */
function lateWindow({ layers }: ModelConfig): { first: number; window: number } | null {
  const first = layers.findIndex((layer) => layer.kind !== 'attention');
  const layer = layers[first];
  if (layer?.kind !== 'sliding_window') return null;
  const { window } = layer;
  const same = layers.slice(first).every((l) => l.kind === 'sliding_window' && l.window === window);
  return same ? { first, window } : null;
}

function windowToHf(config: ModelConfig): JsonObject {
  const late = lateWindow(config);
  return {
    use_sliding_window: late !== null,
    sliding_window: late?.window ?? null,
    max_window_layers: late?.first ?? config.layers.length,
  };
}

function ropeScalingToHf(scaling: RopeScaling | null): JsonObject | null {
  if (!scaling) return null;
  if (scaling.type === 'linear') return { rope_type: 'linear', factor: scaling.factor };
  return {
    rope_type: 'llama3',
    factor: scaling.factor,
    low_freq_factor: scaling.lowFreqFactor,
    high_freq_factor: scaling.highFreqFactor,
    original_max_position_embeddings: scaling.originalMaxPositionEmbeddings,
  };
}

function oneOrMany(ids: number[]): number | number[] | null {
  return ids.length > 1 ? ids : (ids[0] ?? null);
}

/** How a model's makers want text to be generated. Absent fields leave the choice to the caller. */
export interface GenerationConfig {
  bosTokenId: number | null;
  eosTokenIds: number[];
  doSample?: boolean;
  temperature?: number;
  topK?: number;
  topP?: number;
  repetitionPenalty?: number;
  maxNewTokens?: number;
}

/** What holds when there is no generation_config.json. */
export function defaultGeneration(config: ModelConfig): GenerationConfig {
  return { bosTokenId: config.bosTokenId, eosTokenIds: config.eosTokenIds };
}

/** generation_config.json; token ids that it leaves out are those of the model. */
export function generationFromHf(path: string, json: JsonObject, config: ModelConfig): GenerationConfig {
  const fields = new Fields(path, json);
  const eosTokenIds = fields.tokenIds('eos_token_id');
  const generation: GenerationConfig = {
    bosTokenId: fields.tokenIds('bos_token_id')[0] ?? config.bosTokenId,
    eosTokenIds: eosTokenIds.length > 0 ? eosTokenIds : config.eosTokenIds,
  };
  if (fields.has('do_sample')) generation.doSample = fields.boolean('do_sample');
  if (fields.has('temperature')) generation.temperature = fields.number('temperature');
  if (fields.has('top_k')) generation.topK = fields.integer('top_k', undefined, 0);
  if (fields.has('top_p')) generation.topP = fields.number('top_p');
  if (fields.has('repetition_penalty')) generation.repetitionPenalty = fields.positive('repetition_penalty');
  if (fields.has('max_new_tokens')) generation.maxNewTokens = fields.integer('max_new_tokens');
  return generation;
}

export function generationToHf(generation: GenerationConfig): JsonObject {
  const json: JsonObject = {
    bos_token_id: generation.bosTokenId,
    eos_token_id: oneOrMany(generation.eosTokenIds),
    do_sample: generation.doSample,
    temperature: generation.temperature,
    top_k: generation.topK,
    top_p: generation.topP,
    repetition_penalty: generation.repetitionPenalty,
    max_new_tokens: generation.maxNewTokens,
  };
  return Object.fromEntries(Object.entries(json).filter(([, value]) => value !== undefined));
}
