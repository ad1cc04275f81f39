/**
 * Rotary position encoding in config.json, read as transformers 5 reads it (modeling_rope_utils.py): `rope_scaling`,
 * where it says anything, stands in place of `rope_parameters`; a theta that it lacks is the `rope_theta` outside.
 */
import type { RopeScaling } from '../mixers/spec.ts';
import { InputError } from '../util/errors.ts';
import { type Fields, isObject, type JsonObject } from './json-fields.ts';

interface Rope {
  ropeTheta: number;
  ropeScaling: RopeScaling | null;
}

/** Those that some type has, whether they mean anything to the type at hand or not. */
const KEYS = new Set([
  'rope_type',
  'type',
  'rope_theta',
  'partial_rotary_factor',
  'factor',
  'original_max_position_embeddings',
  'attention_factor',
  'beta_fast',
  'beta_slow',
  'mscale',
  'mscale_all_dim',
  'truncate',
  'low_freq_factor',
  'high_freq_factor',
  'short_factor',
  'long_factor',
]);

/** @throws InputError for a type or a key that is not followed, naming it */
export function readRope(
  config: Fields,
  defaultTheta: number,
  maxPositions: number,
  { partial = false, keys = [] }: { partial?: boolean; keys?: readonly string[] } = {},
): Rope {
  const rope = scalingOf(config);
  const ropeTheta = rope?.has('rope_theta')
    ? rope.positive('rope_theta')
    : config.positive('rope_theta', defaultTheta);
  if (!rope) return { ropeTheta, ropeScaling: null };
  if (!partial) refusePartial(rope);
  refuseUnknown(rope, keys);
  const key = rope.has('rope_type') ? 'rope_type' : 'type';
  const original = () => {
    const name = 'original_max_position_embeddings';
    return config.has(name) ? config.integer(name) : rope.integer(name, maxPositions);
  };
  const type = rope.string(key, 'default');
  switch (type) {
    case 'default':
      return { ropeTheta, ropeScaling: null };
    case 'linear':
      return { ropeTheta, ropeScaling: { type, factor: rope.positive('factor') } };
    case 'llama3': {
      const [lowFreqFactor, highFreqFactor] = [
        rope.positive('low_freq_factor'),
        rope.positive('high_freq_factor'),
      ];
      if (highFreqFactor <= lowFreqFactor) {
        throw rope.wrong('high_freq_factor', `a number above low_freq_factor (${lowFreqFactor})`);
      }
      return {
        ropeTheta,
        ropeScaling: {
          type,
          factor: rope.positive('factor'),
          lowFreqFactor,
          highFreqFactor,
          originalMaxPositionEmbeddings: original(),
        },
      };
    }
    case 'yarn':
      return { ropeTheta, ropeScaling: readYarn(rope, original(), ropeTheta, maxPositions) };
    default:
      throw rope.wrong(key, "'default', 'linear', 'llama3' or 'yarn'");
  }
}

/** The object that counts: an empty one says nothing. */
function scalingOf(config: Fields): Fields | undefined {
  const found = ['rope_scaling', 'rope_parameters']
    .map((name) => config.child(name))
    .find((rope) => rope !== undefined && Object.keys(rope.object).length > 0);
  return found;
}

/**
 * The share of each head that is rotated, of families that know one; absent for all of it.
 *
 * @throws InputError for one that leaves no whole planes
 */
export function readRotaryShare(config: Fields, headDim: number, byDefault = 1): number | undefined {
  const name = 'partial_rotary_factor';
  const rope = scalingOf(config);
  const fields = rope?.has(name) ? rope : config;
  const share = fields.positive(name, byDefault);
  const width = Math.floor(headDim * share);
  if (share > 1 || width === 0 || width % 2 !== 0) {
    throw fields.wrong(name, `a number of at most 1 that makes an even number of ${headDim} channels`);
  }
  return share === 1 ? undefined : share;
}

function refusePartial(rope: Fields): void {
  if (rope.has('partial_rotary_factor') && rope.object.partial_rotary_factor !== 1) {
    throw rope.wrong('partial_rotary_factor', '1: heads are rotated as a whole');
  }
}

function refuseUnknown(rope: Fields, own: readonly string[]): void {
  const unknown = Object.keys(rope.object).find(
    (name) => rope.has(name) && !KEYS.has(name) && !own.includes(name),
  );
  if (unknown === undefined) return;
  if (isObject(rope.object[unknown])) {
    throw new InputError(`${rope.path}: ${unknown}: settings for each type of layers are not supported`);
  }
  throw new InputError(`${rope.path}: ${unknown} is not known, expected some of ${[...KEYS].join(', ')}`);
}

function readYarn(rope: Fields, original: number, theta: number, maxPositions: number): RopeScaling {
  if (theta <= 1) throw rope.wrong('rope_theta', "a number above 1 for type 'yarn'");
  // null, unlike a factor that is absent, says "as the longest context is to the original one".
  const factor = rope.object.factor === null ? maxPositions / original : rope.positive('factor');
  const inferred = (mscale: number) => (factor <= 1 ? 1 : 0.1 * mscale * Math.log(factor) + 1);
  const [mscale, all] = [rope.number('mscale', 0), rope.number('mscale_all_dim', 0)];
  const attentionFactor = mscale > 0 && all > 0 ? inferred(mscale) / inferred(all) : inferred(1);
  return {
    type: 'yarn',
    factor,
    originalMaxPositionEmbeddings: original,
    // 0 stands for the default, as absent ones do.
    betaFast: rope.number('beta_fast', 0) || 32,
    betaSlow: rope.number('beta_slow', 0) || 1,
    truncate: rope.boolean('truncate', true),
    attentionFactor: rope.positive('attention_factor', attentionFactor),
  };
}

/** What `rope_scaling` is to say. */
export function ropeScalingToHf(scaling: RopeScaling | null): JsonObject | null {
  if (!scaling) return null;
  switch (scaling.type) {
    case 'linear':
      return { rope_type: 'linear', factor: scaling.factor };
    case 'llama3':
      return {
        rope_type: 'llama3',
        factor: scaling.factor,
        low_freq_factor: scaling.lowFreqFactor,
        high_freq_factor: scaling.highFreqFactor,
        original_max_position_embeddings: scaling.originalMaxPositionEmbeddings,
      };
    case 'yarn':
      return {
        rope_type: 'yarn',
        factor: scaling.factor,
        original_max_position_embeddings: scaling.originalMaxPositionEmbeddings,
        attention_factor: scaling.attentionFactor,
        beta_fast: scaling.betaFast,
        beta_slow: scaling.betaSlow,
        truncate: scaling.truncate,
      };
    default:
      return scaling satisfies never;
  }
}

/** Where a theta in `rope_parameters` does not count because `rope_scaling` stands beside it; null where none is lost. */
export function unusedTheta(config: JsonObject): string | null {
  const { rope_scaling: scaling, rope_parameters: parameters } = config;
  if (!isObject(scaling) || !isObject(parameters) || Object.keys(scaling).length === 0) return null;
  const [lost, used] = [parameters.rope_theta, scaling.rope_theta ?? config.rope_theta];
  return lost === undefined || lost === used
    ? null
    : `rope_scaling stands in place of rope_parameters: its rope_theta of ${lost} is not used, as in transformers`;
}
