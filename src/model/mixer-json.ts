/** MixerSpec <-> JSON with snake_case keys, as it stands in the `layers` field of our config.json. */
import { JET_BLOCK_SPACE } from '../mixers/jet-block.ts';
import { customKinds, isLinear, unknownMixer } from '../mixers/registry.ts';
import type { BuiltInKind, LinearSpec, MixerSpec } from '../mixers/spec.ts';
import { InputError } from '../util/errors.ts';
import { Fields, isObject, type JsonObject, shown } from './json-fields.ts';

type FieldType<V> = [V] extends [readonly number[]]
  ? 'heads'
  : [V] extends [LinearSpec]
    ? 'linear mixer'
    : undefined extends V
      ? NonNullable<V> extends number
        ? 'none or count' | 'none or number'
        : 'flag'
      : [V] extends [string]
        ? readonly V[]
        : V extends boolean
          ? 'boolean'
          : V extends number
            ? 'size' | 'count'
            : never;

/**
 * The fields of every kind and what they hold: a 'size' is a whole number from 1 on, a 'count' one from 0 on, which a
 * 'none or count' is or absent for 0, a 'none or number' is above 0 or absent, a 'flag' is true or absent, 'heads' are numbers of heads, ascending, and a 'linear
 * mixer' is one with its fields.
 */
type FieldTable = {
  [K in BuiltInKind]: {
    [F in Exclude<keyof Extract<MixerSpec, { kind: K }>, 'kind'>]-?: FieldType<
      Extract<MixerSpec, { kind: K }>[F]
    >;
  };
};

const FIELDS: FieldTable = {
  attention: { noRope: 'flag', localRope: 'flag' },
  sliding_window: { window: 'size', sinks: 'none or count', noRope: 'flag', localRope: 'flag' },
  head_attention: {
    fullHeads: 'heads',
    window: 'size',
    sinks: 'none or count',
    noRope: 'flag',
    localRope: 'flag',
  },
  window_linear: { window: 'size', sinks: 'none or count', linear: 'linear mixer' },
  retnet: { heads: 'size', keyDim: 'size', valueDim: 'size', qkNorm: 'flag', qkvBias: 'flag' },
  gla: {
    heads: 'size',
    keyDim: 'size',
    valueDim: 'size',
    gateRank: 'size',
    rope: 'boolean',
    qkNorm: 'flag',
    qkvBias: 'flag',
  },
  deltanet: {
    heads: 'size',
    keyDim: 'size',
    valueDim: 'size',
    convSize: 'count',
    rope: 'boolean',
    qkvBias: 'flag',
  },
  gated_deltanet: {
    heads: 'size',
    keyDim: 'size',
    valueDim: 'size',
    convSize: 'count',
    rope: 'boolean',
    qkvBias: 'flag',
    normEps: 'none or number',
  },
  kda: {
    heads: 'size',
    keyDim: 'size',
    valueDim: 'size',
    gateRank: 'size',
    convSize: 'count',
    qkvBias: 'flag',
  },
  rwkv7: {
    heads: 'size',
    keyDim: 'size',
    valueDim: 'size',
    decayRank: 'size',
    rateRank: 'size',
    gateRank: 'size',
    valueRank: 'count',
    qkvBias: 'flag',
  },
  jet_block: {
    heads: 'size',
    keyDim: 'size',
    valueDim: 'size',
    ...JET_BLOCK_SPACE,
    convSize: 'size',
    generatorReduction: 'size',
    rope: 'flag',
    qkvBias: 'flag',
  },
  mamba2: {
    heads: 'size',
    keyDim: 'size',
    valueDim: 'size',
    headsPerGroup: 'size',
    convSize: 'size',
    qkNorm: 'flag',
  },
};

type FieldOf =
  | 'size'
  | 'count'
  | 'none or count'
  | 'none or number'
  | 'boolean'
  | 'flag'
  | 'heads'
  | 'linear mixer'
  | readonly string[];

const CUSTOM = { heads: 'size', keyDim: 'size', valueDim: 'size' } as const;

function toSnake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** @param path where the value stands, for messages; numKvHeads of the model. Throws InputError for an unknown kind or a wrong field. */
export function mixerFromJson(path: string, value: unknown, numKvHeads: number): MixerSpec {
  if (!isObject(value)) throw new InputError(`${path} is ${shown(value)}, expected a mixer {kind, ...}`);
  const fields = new Fields(path, value);
  const kind = fields.string('kind');
  const custom: readonly string[] = customKinds();
  if (kind.startsWith('custom_') && !custom.includes(kind))
    throw new InputError(`${path}: ${unknownMixer(kind)}`);
  const known = [...Object.keys(FIELDS), ...custom];
  if (!known.includes(kind)) throw fields.wrong('kind', `one of ${known.join(', ')}`);
  const table: Record<string, FieldOf> = custom.includes(kind) ? CUSTOM : FIELDS[kind as BuiltInKind];
  const names = new Set(['kind', ...Object.keys(table).map(toSnake)]);
  const unknown = Object.keys(value).find((name) => !names.has(name));
  if (unknown)
    throw new InputError(`${path}: ${unknown} is no field of a ${kind} mixer (${[...names].join(', ')})`);
  const spec: JsonObject = { kind };
  for (const [name, type] of Object.entries(table)) {
    const key = toSnake(name);
    if (type === 'boolean') spec[name] = fields.boolean(key);
    else if (type === 'flag') {
      if (fields.has(key) && fields.boolean(key)) spec[name] = true;
    } else if (type === 'heads') {
      spec[name] = headsOf(fields, key, numKvHeads);
    } else if (type === 'linear mixer') {
      spec[name] = linearOf(fields, key, numKvHeads);
    } else if (type === 'none or count') {
      const count = fields.integer(key, 0, 0);
      if (count > 0) spec[name] = count;
    } else if (type === 'none or number') {
      if (fields.has(key)) spec[name] = fields.positive(key);
    } else if (typeof type === 'string') spec[name] = fields.integer(key, undefined, type === 'size' ? 1 : 0);
    else spec[name] = fields.choice(key, type);
  }
  if ('headsPerGroup' in spec && (spec.heads as number) % (spec.headsPerGroup as number) !== 0) {
    throw fields.wrong('heads_per_group', `a divisor of heads, which is ${spec.heads}`);
  }
  return spec as unknown as MixerSpec;
}

function linearOf(fields: Fields, key: string, numKvHeads: number): MixerSpec {
  const expected = 'a linear mixer, such as {"kind": "gated_deltanet", ...}';
  const { path, object } = fields;
  if (!isObject(object[key])) throw fields.wrong(key, expected);
  const spec = mixerFromJson(`${path}: ${key}`, object[key], numKvHeads);
  if (!isLinear(spec)) throw fields.wrong(key, expected);
  return spec;
}

function headsOf(fields: Fields, key: string, numKvHeads: number): number[] {
  const heads = fields.list(key);
  const some = heads.length > 0 && heads.length < numKvHeads;
  const ok = heads.every(
    (head, i) => Number.isInteger(head) && (head as number) > Number(heads[i - 1] ?? -1),
  );
  if (!ok || !some || (heads.at(-1) as number) >= numKvHeads) {
    throw fields.wrong(
      key,
      `some, but not all, of the ${numKvHeads} KV heads from 0 on, ascending, such as [1]`,
    );
  }
  return heads as number[];
}

export function mixerToJson(spec: MixerSpec): JsonObject {
  const shown = (value: unknown) => (isObject(value) ? mixerToJson(value as unknown as MixerSpec) : value);
  return Object.fromEntries(Object.entries(spec).map(([name, value]) => [toSnake(name), shown(value)]));
}
