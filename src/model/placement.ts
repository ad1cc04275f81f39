import { attentionForm, attentionSpec } from '../mixers/head-attention.ts';
import type { MixerSpec } from '../mixers/spec.ts';
import { InputError } from '../util/errors.ts';
import { range } from '../util/range.ts';
import type { ModelConfig } from './config.ts';
import { Fields, isObject, type JsonObject } from './json-fields.ts';
import { isWeightsHash } from './read-checkpoint.ts';

/**
 * A placement: which key and value heads of a checkpoint see all tokens, and which window and first tokens the others
 * see. The weights stay as they are, so that one checkpoint has many placements, each a file of a few hundred bytes,
 * `placements/NAME.json` in the model's folder:
 *
 *   {
 *     "format": "postnas-placement",
 *     "version": 1,
 *     "name": "64K-100MB",
 *     "weights": "0123456789abcdef",
 *     "num_layers": 30,
 *     "num_kv_heads": 3,
 *     "window": 128,
 *     "sinks": 4,
 *     "full_heads": {"10": [2], "18": [2]},
 *     "windows": {"3": 256}
 *   }
 *
 * This type has the names of the file.
 */
export interface Placement {
  format: 'postnas-placement';
  version: 1;
  /** Letters, digits and `._+-`. */
  name: string;
  /** Hash of the weights that it is for (weights-hash.ts). */
  weights: string;
  num_layers: number;
  num_kv_heads: number;
  /** Tokens that all other heads see, the query's own included. */
  window: number;
  /** First tokens of a text that these see besides. */
  sinks: number;
  /** By the number of a layer the key and value heads that see all tokens, ascending; a layer that is not named has none. */
  full_heads: Readonly<Record<string, readonly number[]>>;
  /** By the number of a layer its window, where it is another one. */
  windows?: Readonly<Record<string, number>>;
  /** Layers that are no full attention in the checkpoint, ascending: they stay what they are. */
  kept_layers?: readonly number[];
  /** How it was found, in a few figures. Nothing depends on it. */
  made?: JsonObject;
}

const FORMAT = 'postnas-placement';
const VERSION = 1;
const NAME = /^[A-Za-z0-9][\w.+-]*$/;
const KNOWN: Readonly<Record<keyof Placement, true>> = {
  ...{ format: true, version: true, name: true, weights: true, num_layers: true, num_kv_heads: true },
  ...{ window: true, sinks: true, full_heads: true, windows: true, kept_layers: true, made: true },
};

export function isPlacementName(text: string): boolean {
  return NAME.test(text) && !text.endsWith('.json');
}

/**
 * @param path the file, for messages
 * @throws InputError naming file, field and value, and what was expected
 */
export function placementFromJson(path: string, json: JsonObject): Placement {
  const fields = new Fields(path, json);
  if (fields.string('format') !== FORMAT) throw fields.wrong('format', `"${FORMAT}"`);
  if (json.version !== VERSION) throw fields.wrong('version', String(VERSION));
  const unknown = Object.keys(json).find((name) => !Object.hasOwn(KNOWN, name));
  if (unknown) {
    throw new InputError(`${path}: ${unknown} is no field of a placement (${Object.keys(KNOWN).join(', ')})`);
  }
  const name = fields.string('name');
  if (!isPlacementName(name)) {
    throw fields.wrong(
      'name',
      'letters, digits and ._+- that begin with a letter or digit and do not end in .json',
    );
  }
  const weights = fields.string('weights');
  if (!isWeightsHash(weights)) {
    throw fields.wrong(
      'weights',
      'the hash of the weights, 16 hexadecimal digits, as `postnas info` shows it',
    );
  }
  const layers = fields.integer('num_layers');
  const kvHeads = fields.integer('num_kv_heads');
  const kept = fields.has('kept_layers') ? keptLayers(fields, layers) : [];
  const full = byLayer(fields, 'full_heads', layers, kept, (own, layer) => headsOf(own, layer, kvHeads));
  if (!full) throw fields.wrong('full_heads', 'an object of layers with their heads, such as {"10": [2]}');
  const windows = byLayer(fields, 'windows', layers, kept, (own, layer) => own.integer(layer));
  for (const layer of Object.keys(windows ?? {})) {
    if (full[layer]?.length === kvHeads) {
      throw fields.wrong('windows', `no window for layer ${layer}, of which full_heads names all heads`);
    }
  }
  return {
    format: FORMAT,
    version: VERSION,
    name,
    weights,
    num_layers: layers,
    num_kv_heads: kvHeads,
    window: fields.integer('window'),
    sinks: fields.integer('sinks', undefined, 0),
    full_heads: full,
    ...(windows && { windows }),
    ...(kept.length > 0 && { kept_layers: kept }),
    ...(fields.child('made') && { made: fields.child('made')!.object }),
  };
}

function keptLayers(fields: Fields, layers: number): number[] {
  const kept = fields.list('kept_layers');
  if (!areAscending(kept, layers)) {
    throw fields.wrong('kept_layers', `numbers of layers from 0 to ${layers - 1}, ascending`);
  }
  return kept;
}

function areAscending(numbers: readonly unknown[], end: number): numbers is number[] {
  return numbers.every(
    (each, i) =>
      Number.isInteger(each) && (each as number) > Number(numbers[i - 1] ?? -1) && (each as number) < end,
  );
}

/** Undefined where there is no such field. */
function byLayer<T>(
  fields: Fields,
  name: string,
  layers: number,
  kept: readonly number[],
  read: (own: Fields, layer: string) => T,
): Record<string, T> | undefined {
  const own = fields.child(name);
  if (!own) return undefined;
  const entries = Object.keys(own.object).map((layer): [string, T] => {
    if (!/^(0|[1-9]\d*)$/.test(layer) || Number(layer) >= layers) {
      throw new InputError(`${own.path}: "${layer}" is no layer, expected "0" to "${layers - 1}"`);
    }
    if (kept.includes(Number(layer))) {
      throw new InputError(`${own.path}: layer ${layer} is among kept_layers, expected another one`);
    }
    return [layer, read(own, layer)];
  });
  return Object.fromEntries(entries);
}

function headsOf(fields: Fields, layer: string, kvHeads: number): number[] {
  const heads = fields.list(layer);
  if (heads.length > 0 && areAscending(heads, kvHeads)) return heads;
  throw fields.wrong(layer, `some of the ${kvHeads} KV heads from 0 on, ascending, such as [${kvHeads - 1}]`);
}

/** The text of a file: a line for each field. */
export function placementText(placement: Placement): string {
  const lines = Object.entries(placement).map(
    ([name, value]) => `  ${JSON.stringify(name)}: ${JSON.stringify(value)}`,
  );
  return `{\n${lines.join(',\n')}\n}\n`;
}

/**
 * The configuration of a model under a placement.
 *
 * @throws InputError where the placement is for other layers than the model's
 */
export function applyPlacement(config: ModelConfig, placement: Placement): ModelConfig {
  const { name, num_layers, num_kv_heads, window, sinks, full_heads, windows, kept_layers = [] } = placement;
  const { layers, numKvHeads } = config;
  const refuse = (what: string): InputError => new InputError(`placement ${name} ${what}`);
  if (num_layers !== layers.length) {
    throw refuse(`is for ${num_layers} layers (num_layers), the model has ${layers.length}`);
  }
  if (num_kv_heads !== numKvHeads) {
    throw refuse(`is for ${num_kv_heads} KV heads in each layer (num_kv_heads), the model has ${numKvHeads}`);
  }
  return {
    ...config,
    layers: layers.map((spec, layer): MixerSpec => {
      const kept = kept_layers.includes(layer);
      if (kept !== (spec.kind !== 'attention')) {
        const expected = kept ? 'something else (kept_layers)' : 'full attention';
        throw refuse(`is for a model with ${expected} in layer ${layer}, where this one has ${spec.kind}`);
      }
      if (kept) return spec;
      const near = { window: windows?.[layer] ?? window, sinks };
      return attentionSpec(full_heads[layer] ?? [], config, { ...near, ...attentionForm(spec) });
    }),
  };
}

export interface PlacementParts extends Pick<Placement, 'name' | 'weights' | 'made'> {}

/**
 * The placement that makes one configuration out of another.
 *
 * @param parent the checkpoint's own
 * @param placed the same model, of which layers of full attention became windows or attention by heads
 * @throws InputError where no placement does that
 */
export function placementOf(
  parent: Pick<ModelConfig, 'layers' | 'numKvHeads'>,
  placed: Pick<ModelConfig, 'layers' | 'numKvHeads'>,
  { name, weights, made }: PlacementParts,
): Placement {
  if (!isPlacementName(name)) {
    throw new InputError(`the placement's name is "${name}", expected letters, digits and ._+-`);
  }
  const { layers, numKvHeads } = parent;
  if (placed.layers.length !== layers.length || placed.numKvHeads !== numKvHeads) {
    throw new InputError('a placement keeps the number of layers and of KV heads');
  }
  const all = range(numKvHeads);
  const full: Record<string, readonly number[]> = {};
  const near = new Map<number, { window: number; sinks: number }>();
  const kept: number[] = [];
  for (const [layer, spec] of placed.layers.entries()) {
    if (layers[layer]!.kind !== 'attention') {
      if (JSON.stringify(spec) !== JSON.stringify(layers[layer])) {
        throw new InputError(
          `layer ${layer} is ${layers[layer]!.kind} in the parent: a placement leaves it as it is`,
        );
      }
      kept.push(layer);
    } else if (spec.kind === 'attention') full[layer] = all;
    else if (spec.kind === 'sliding_window' || spec.kind === 'head_attention') {
      if (spec.kind === 'head_attention') full[layer] = spec.fullHeads;
      near.set(layer, { window: spec.window, sinks: spec.sinks ?? 0 });
    } else
      throw new InputError(`layer ${layer} is ${spec.kind}: a placement makes no such layers of attention`);
  }
  const sinks = [...new Set([...near.values()].map((each) => each.sinks))];
  if (sinks.length > 1) {
    throw new InputError(
      `windows with ${sinks.join(' and ')} sinks: a placement has one number for all layers`,
    );
  }
  const window = mostFrequent([...near.values()].map((each) => each.window)) ?? 1;
  const others = [...near].filter(([, own]) => own.window !== window);
  return {
    format: FORMAT,
    version: VERSION,
    name,
    weights,
    num_layers: layers.length,
    num_kv_heads: numKvHeads,
    window,
    sinks: sinks[0] ?? 0,
    full_heads: full,
    ...(others.length > 0 && {
      windows: Object.fromEntries(others.map(([layer, own]) => [layer, own.window])),
    }),
    ...(kept.length > 0 && { kept_layers: kept }),
    ...(made && { made }),
  };
}

/** The first one of those; undefined of none. */
function mostFrequent(values: readonly number[]): number | undefined {
  const count = (value: number) => values.filter((each) => each === value).length;
  return [...new Set(values)].sort((a, b) => count(b) - count(a))[0];
}

/** @throws InputError for what is neither text nor a placement, as an option of a program that is not type-checked may be */
export function placementOption(value: string | Placement | undefined): string | Placement | undefined {
  if (value === undefined || typeof value === 'string') return value;
  if (isObject(value)) return placementFromJson('placement', value);
  throw new InputError(`placement is ${JSON.stringify(value)}, expected a name, a path or a placement`);
}
