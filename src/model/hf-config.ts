/**
 * Hugging Face's config.json <-> ModelConfig. Defaults and meanings follow the
 * configuration classes of `transformers` (models/llama, models/qwen2, models/qwen3) and of Jet-Nemotron.
 */
import type { MixerSpec } from '../mixers/spec.ts';
import { InputError } from '../util/errors.ts';
import { checkSizes, MOST_LAYERS } from './check-sizes.ts';
import { type ModelConfig, whyNotPlain } from './config.ts';
import { QUANT_METHOD, refuseUnsupported } from './config-fields.ts';
import { type Family, llamaBiases } from './families/family.ts';
import { FAMILIES, familyOf, textConfigOf } from './families/index.ts';
import { jetLayersFromHf, jetLayersToHf, whyNotJetNemotron } from './jet-nemotron.ts';
import { Fields, type JsonObject } from './json-fields.ts';
import { mixerFromJson, mixerToJson } from './mixer-json.ts';
import { readRope, readRotaryShare, ropeScalingToHf } from './rope-config.ts';

/** The tanh form of GELU, as Hugging Face calls it. */
const GELU_TANH = 'gelu_pytorch_tanh';

const SUPPORTED = ['llama', 'qwen2', 'qwen3', 'jet_nemotron', 'postnas'] as const;
type ModelType = ModelConfig['modelType'];

const ARCHITECTURE: Record<ModelType, string> = {
  llama: 'LlamaForCausalLM',
  qwen2: 'Qwen2ForCausalLM',
  qwen3: 'Qwen3ForCausalLM',
  jet_nemotron: 'JetNemotronForCausalLM',
  postnas: 'PostnasForCausalLM',
};

const NO_BIASES = { qkvBias: false, oBias: false, mlpBias: false };

/** What holds when config.json leaves a field out; key and value heads are else as many as query heads. */
interface Defaults {
  maxPositions: number;
  ropeTheta: number;
  tieWordEmbeddings: boolean;
  numKvHeads?: number;
  rmsNormEps?: number;
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
export function configFromHf(path: string, file: JsonObject): ModelConfig {
  const json = textConfigOf(file);
  const fields = new Fields(path, json);
  const type = fields.string('model_type');
  const family = familyOf(type);
  // What is read as something that is known already is called so.
  const modelType = (family ? 'llama' : type) as ModelType;
  if (!SUPPORTED.includes(modelType)) {
    throw new InputError(
      `${path}: model_type '${type}' is not supported; supported are ${[...SUPPORTED, ...Object.keys(FAMILIES)].join(', ')}`,
    );
  }

  const defaults: Defaults = family ?? DEFAULTS[modelType];
  const hiddenSize = fields.integer('hidden_size');
  const numHeads = fields.integer('num_attention_heads');
  // null, unlike a field that is absent, says "as many as query heads".
  const kvHeads = json.num_key_value_heads === undefined ? defaults.numKvHeads : undefined;
  const numKvHeads = fields.integer('num_key_value_heads', kvHeads ?? numHeads);
  if (numHeads % numKvHeads !== 0) {
    throw fields.wrong('num_key_value_heads', `a divisor of num_attention_heads (${numHeads})`);
  }
  const usualHead = family?.headDim ?? (modelType === 'qwen3' ? 128 : undefined);
  if (!fields.has('head_dim') && usualHead === undefined && hiddenSize % numHeads !== 0) {
    throw fields.wrong('hidden_size', `a multiple of num_attention_heads (${numHeads}), or head_dim given`);
  }
  const headDim = fields.integer('head_dim', usualHead ?? hiddenSize / numHeads);
  if (headDim % 2 !== 0) throw fields.wrong('head_dim', 'an even number (rotary pairs)');
  const bosIds = fields.tokenIds('bos_token_id');
  const maxPositionEmbeddings = fields.integer('max_position_embeddings', defaults.maxPositions);
  const partial = family?.rotaryShare !== undefined || modelType === 'postnas';
  const rotaryShare = partial ? readRotaryShare(fields, headDim, family?.rotaryShare) : undefined;
  const config: ModelConfig = {
    modelType,
    vocabSize: fields.integer('vocab_size'),
    hiddenSize,
    intermediateSize: fields.integer('intermediate_size'),
    numHeads,
    numKvHeads,
    headDim,
    rmsNormEps: fields.positive('rms_norm_eps', defaults.rmsNormEps ?? 1e-6),
    ...(family?.rope?.(fields, maxPositionEmbeddings) ??
      readRope(fields, defaults.ropeTheta, maxPositionEmbeddings, {
        partial,
        ...(family?.ropeKeys && { keys: family.ropeKeys }),
      })),
    ...(rotaryShare !== undefined && { rotaryShare }),
    ...(family ? (family.biases?.(fields) ?? NO_BIASES) : readBiases(fields, modelType)),
    qkNorm: modelType === 'qwen3' || (modelType === 'postnas' && fields.boolean('qk_norm', false)),
    tieWordEmbeddings: fields.boolean('tie_word_embeddings', defaults.tieWordEmbeddings),
    maxPositionEmbeddings,
    initializerRange: fields.positive('initializer_range', 0.02),
    bosTokenId: bosIds[0] ?? null,
    eosTokenIds: fields.tokenIds('eos_token_id'),
    layers: readLayers(fields, modelType, family),
    ...family?.form,
    ...(modelType === 'postnas' && readForm(fields)),
  };
  if (family && whyNotPlain(config) !== null) config.modelType = 'postnas';
  refuseUnsupported(fields, config, family);
  checkSizes(path, config);
  return config;
}

/** What weights are stored in: a float type, or blocks of few bits. */
export type HfDtype = 'float32' | 'float16' | 'bfloat16' | { bits: number; block_size: number };

function readBiases(fields: Fields, modelType: ModelType) {
  const attention = fields.boolean('attention_bias', false);
  switch (modelType) {
    case 'llama':
      return llamaBiases(fields);
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

/** What `postnas` says of a decoder that is not Llama's. */
function readForm(fields: Fields): Partial<ModelConfig> {
  const norms = fields.has('norms') && (fields.choice('norms', ['after', 'around']) as 'after' | 'around');
  return {
    ...(fields.string('hidden_act', 'silu') === GELU_TANH && { activation: 'gelu_tanh' }),
    ...(norms && { norms }),
    ...(fields.boolean('attention_gate', false) && { attentionGate: true }),
    ...(fields.boolean('qk_norm_of_all', false) && { qkNormOfAll: true }),
    ...(fields.has('local_rope_theta') && { localRopeTheta: fields.positive('local_rope_theta') }),
  };
}

function formToHf(config: ModelConfig): JsonObject {
  const { norms, qkNormOfAll, localRopeTheta, attentionGate, rotaryShare } = config;
  return {
    ...(attentionGate && { attention_gate: true }),
    ...(rotaryShare !== undefined && { partial_rotary_factor: rotaryShare }),
    ...(norms && { norms }),
    ...(qkNormOfAll && { qk_norm_of_all: true }),
    ...(localRopeTheta !== undefined && { local_rope_theta: localRopeTheta }),
  };
}

function readLayers(fields: Fields, modelType: ModelType, family: Family | undefined): MixerSpec[] {
  const count = fields.integer('num_hidden_layers', undefined, 1, MOST_LAYERS);
  if (family?.layers) return family.layers(fields, count);
  if (modelType === 'postnas') {
    const list = fields.list('layers');
    if (list.length !== count) {
      throw new InputError(
        `${fields.path}: layers has ${list.length} entries, num_hidden_layers is ${count}`,
      );
    }
    const heads = fields.integer('num_attention_heads');
    const numKvHeads = fields.integer('num_key_value_heads', heads);
    return list.map((value, i) => mixerFromJson(`${fields.path}: layers[${i}]`, value, numKvHeads));
  }
  if (modelType === 'jet_nemotron') return jetLayersFromHf(fields, count);
  const layers: MixerSpec[] = Array.from({ length: count }, () => ({ kind: 'attention' }));
  if (modelType === 'llama') return layers;

  // Qwen: the layers from max_window_layers on see the last sliding_window tokens; `layer_types` says so outright.
  const windowed = fields.boolean('use_sliding_window', false) && fields.object.sliding_window !== null;
  const window = windowed ? fields.integer('sliding_window', 4096) : null;
  const firstWindow = windowed ? fields.integer('max_window_layers', 28, 0) : count;
  const types = fields.has('layer_types') ? fields.list('layer_types') : undefined;
  if (types && types.length !== count) throw fields.wrong('layer_types', `${count} entries`);
  return layers.map((attention, i) => {
    const type = types ? types[i] : i < firstWindow ? 'full_attention' : 'sliding_attention';
    if (type === 'full_attention') return attention;
    if (type === 'sliding_attention') {
      if (window !== null) return { kind: 'sliding_window', window };
      throw fields.wrong(
        'layer_types',
        "'full_attention' alone where use_sliding_window and sliding_window give no window",
      );
    }
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
  const modelType = writtenType(config);
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
    hidden_act: config.activation ? GELU_TANH : 'silu',
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
        ...formToHf(config),
        layers: config.layers.map(mixerToJson),
      };
    default:
      return modelType satisfies never;
  }
}

/** The model_type under which a model is saved: its own family where that can say everything, else ours. */
function writtenType(config: ModelConfig): ModelType {
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
  return whyNotPlain(config) === null && fits[modelType]() ? modelType : 'postnas';
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
  const same = layers
    .slice(first)
    .every((l) => l.kind === 'sliding_window' && l.window === window && !l.sinks);
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

/** As Hugging Face writes token ids. */
export function oneOrMany(ids: number[]): number | number[] | null {
  return ids.length > 1 ? ids : (ids[0] ?? null);
}
