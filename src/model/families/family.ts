import type { MixerSpec } from '../../mixers/spec.ts';
import { range } from '../../util/range.ts';
import type { ModelConfig } from '../config.ts';
import type { Derivation, Derivations } from '../derived-tensors.ts';
import type { Fields } from '../json-fields.ts';

/**
 * Families that are read as what the decoder knows already: where they differ by factors, these go into the weights, where by
 * the arrangement of tensors, those are cut; where they compute something else, the configuration says so. A model of theirs is
 * written as `llama`, or as `postnas` where that has no place for something. Defaults are those of transformers.
 */
export interface Family {
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
  /** Keys of `rope_parameters` that are its own and change nothing. */
  ropeKeys?: readonly string[];
  /** The share of a head that is rotated where nothing is said; heads are rotated as a whole where this is absent. */
  rotaryShare?: number;
  /** How the model's tensors are made of those of the file, where they are not the same. */
  weights?: (fields: Fields, config: ModelConfig) => Derivations;
}

type RopeOfModel = Pick<ModelConfig, 'ropeTheta' | 'ropeScaling' | 'localRopeTheta'>;

/** By `attention_bias` and `mlp_bias`. */
export function llamaBiases(fields: Fields): Pick<ModelConfig, 'qkvBias' | 'oBias' | 'mlpBias'> {
  const attention = fields.boolean('attention_bias', false);
  return { qkvBias: attention, oBias: attention, mlpBias: fields.boolean('mlp_bias', false) };
}

/** The same without biases of the MLP. */
export function attentionBiases(fields: Fields): ReturnType<typeof llamaBiases> {
  return { ...llamaBiases(fields), mlpBias: false };
}

export const attention: MixerSpec = { kind: 'attention' };
export const near = (window: number): MixerSpec => ({ kind: 'sliding_window', window });

/** The window of all layers, where there is one. */
export function sameWindow(
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
export function byTypes(fields: Fields, count: number, window: number): MixerSpec[] {
  const types = fields.list('layer_types');
  if (types.length !== count) throw fields.wrong('layer_types', `${count} entries`);
  return types.map((type) => {
    if (type === 'full_attention') return attention;
    if (type === 'sliding_attention') return near(window);
    throw fields.wrong('layer_types', "'full_attention' or 'sliding_attention' for each layer");
  });
}

/** Tensors of all layers, by the rest of their names. */
export function inLayers(
  { layers }: ModelConfig,
  of: (prefix: string) => readonly (readonly [name: string, Derivation])[],
): [string, Derivation][] {
  return [...layers.keys()].flatMap((layer) => {
    const prefix = `model.layers.${layer}.`;
    return of(prefix).map(([name, derivation]): [string, Derivation] => [`${prefix}${name}`, derivation]);
  });
}
