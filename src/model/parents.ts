import type { MixerSpec } from '../mixers/spec.ts';
import type { ModelConfig } from './config.ts';
import type { Derivation, Derivations } from './derived-tensors.ts';
import type { Fields } from './json-fields.ts';

/**
 * Families that are read as what the decoder knows already: where they differ by factors, these go into the weights, where by
 * the arrangement of tensors, those are cut. So there is nothing of them to compute, and a model of theirs is written as
 * `llama`, or as `postnas` where that has no place for something. Defaults are those of transformers.
 */
export interface Parent {
  maxPositions: number;
  ropeTheta: number;
  tieWordEmbeddings: boolean;
  numKvHeads?: number;
  rmsNormEps?: number;
  /** Fields of config.json that mean something to it, beside those that every model reads. */
  reads: readonly string[];
  biases?: (fields: Fields) => Pick<ModelConfig, 'qkvBias' | 'oBias' | 'mlpBias'>;
  /** Full attention in all layers unless told. */
  layers?: (fields: Fields, count: number) => MixerSpec[];
  /** How the model's tensors are made of those of the file, where they are not the same. */
  weights?: (fields: Fields, config: ModelConfig) => Derivations;
}

const NO_BIASES = { qkvBias: false, oBias: false, mlpBias: false };

const attention: MixerSpec = { kind: 'attention' };

/** The window of all layers, where there is one. */
function sameWindow(fields: Fields, count: number, byDefault: number | null): MixerSpec[] {
  const absent = fields.object.sliding_window === undefined;
  const window =
    fields.has('sliding_window') || (absent && byDefault !== null)
      ? fields.integer('sliding_window', byDefault ?? undefined)
      : null;
  // A window that is as long as the context hides nothing.
  const longest = fields.integer('max_position_embeddings', window ?? 1);
  const spec: MixerSpec =
    window === null || window >= longest ? attention : { kind: 'sliding_window', window };
  return Array.from({ length: count }, () => spec);
}

/** By `layer_types`, for each layer full attention or a window. */
function byTypes(fields: Fields, count: number, window: number): MixerSpec[] {
  const types = fields.list('layer_types');
  if (types.length !== count) throw fields.wrong('layer_types', `${count} entries`);
  return types.map((type) => {
    if (type === 'full_attention') return attention;
    if (type === 'sliding_attention') return { kind: 'sliding_window', window };
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
        { stored: `${prefix}${stored}.weight`, rows: [first, count] },
      ]),
    ),
  );
}

export const PARENTS = {
  mistral: {
    ...{ maxPositions: 131072, ropeTheta: 10000, tieWordEmbeddings: false, numKvHeads: 8 },
    reads: [],
    layers: (fields, count) => sameWindow(fields, count, 4096),
  },
  ministral: {
    ...{ maxPositions: 131072, ropeTheta: 10000, tieWordEmbeddings: false, numKvHeads: 8 },
    reads: [],
    layers: (fields, count) =>
      fields.has('layer_types')
        ? byTypes(fields, count, fields.integer('sliding_window', 4096))
        : sameWindow(fields, count, 4096),
  },
  granite: {
    ...{ maxPositions: 2048, ropeTheta: 10000, tieWordEmbeddings: false },
    reads: ['embedding_multiplier', 'logits_scaling', 'residual_multiplier', 'attention_multiplier'],
    biases: (fields) => {
      const attention = fields.boolean('attention_bias', false);
      return { qkvBias: attention, oBias: attention, mlpBias: fields.boolean('mlp_bias', false) };
    },
    weights: graniteWeights,
  },
  phi3: {
    ...{ maxPositions: 4096, ropeTheta: 10000, tieWordEmbeddings: false, rmsNormEps: 1e-5 },
    reads: [],
    layers: (fields, count) => sameWindow(fields, count, null),
    weights: phi3Weights,
  },
} satisfies Record<string, Parent>;

export type ParentType = keyof typeof PARENTS;

export function parentOf(modelType: string): Parent | undefined {
  return Object.hasOwn(PARENTS, modelType) ? PARENTS[modelType as ParentType] : undefined;
}

/** Of a family that has its own, without biases unless it says otherwise. */
export function biasesOf({ biases }: Parent, fields: Fields) {
  return biases?.(fields) ?? NO_BIASES;
}
