/**
 * What the family `jet_nemotron` says in its own way in config.json (NVIDIA's Jet-Nemotron; spec §1.1 and §1.2):
 * `layer_types` gives each layer its mixer, `efficient_attention_config` all JetBlocks the same dimensions and all
 * sliding windows the same size. The names of weights are the mixers' own (§1.3), the rest of the decoder is Qwen2's.
 */
import { releasedJetBlock } from '../mixers/jet-block.ts';
import type { JetBlockSpec, MixerSpec } from '../mixers/spec.ts';
import { InputError } from '../util/errors.ts';
import { sameData } from '../util/same-data.ts';
import { type ModelConfig, whyNotPlain } from './config.ts';
import { Fields, type JsonObject, shown } from './json-fields.ts';

const KINDS = { attn: 'attention', swa: 'sliding_window', jet: 'jet_block' } as const;
type LayerType = keyof typeof KINDS;
const TYPES = Object.keys(KINDS) as LayerType[];

/** Of the reference's JetBlock. `mode` and `dconv_implementation` choose kernels and change no result. */
const JET_DEFAULTS = {
  mode: 'chunk',
  num_heads: 6,
  head_dim: 256,
  expand_v: 2,
  conv_size: 4,
  dconv_generator_reduction: 8,
  dconv_implementation: 'triton',
  norm_eps: 1e-5,
};

/**
 * The mixers of a `jet_nemotron` configuration.
 *
 * @param fields of config.json
 * @throws InputError for a layer type or dimension that the reference has not either
 */
export function jetLayersFromHf(fields: Fields, count: number): MixerSpec[] {
  const types = layerTypes(fields, count);
  const settings = (type: LayerType): Fields => {
    const all = fields.child('efficient_attention_config');
    const found = all?.child(type);
    if (found) return found;
    const [where, missing] = all ? [all.path, type] : [fields.path, 'efficient_attention_config'];
    throw new InputError(
      `${where}: ${missing} is missing, expected the settings of layers of type '${type}'`,
    );
  };
  const specs: Partial<Record<LayerType, MixerSpec>> = { attn: { kind: 'attention' } };
  if (types.includes('swa')) {
    specs.swa = { kind: 'sliding_window', window: settings('swa').integer('window_size') };
  }
  if (types.includes('jet')) specs.jet = jetBlockFromHf(settings('jet'));
  return types.map((type) => specs[type]!);
}

/** All 'attn' when absent. Some files have the list as a string, which counts when it is JSON. */
function layerTypes(fields: Fields, count: number): LayerType[] {
  if (!fields.has('layer_types')) return new Array<LayerType>(count).fill('attn');
  let types: unknown = fields.object.layer_types;
  if (typeof types === 'string') {
    try {
      types = JSON.parse(types);
    } catch {
      throw fields.wrong('layer_types', 'a list, or a string that holds one in JSON');
    }
  }
  if (!Array.isArray(types)) throw fields.wrong('layer_types', 'a list');
  if (types.length !== count) {
    throw new InputError(
      `${fields.path}: layer_types has ${types.length} entries, num_hidden_layers is ${count}`,
    );
  }
  for (const [i, type] of types.entries()) {
    if (typeof type !== 'string' || !Object.hasOwn(KINDS, type)) {
      throw new InputError(
        `${fields.path}: layer_types[${i}] is ${shown(type)}, expected one of ${TYPES.join(', ')}`,
      );
    }
  }
  return types;
}

function jetBlockFromHf(fields: Fields): JetBlockSpec {
  const unknown = Object.keys(fields.object).find((name) => !Object.hasOwn(JET_DEFAULTS, name));
  if (unknown) {
    throw new InputError(
      `${fields.path}: ${unknown} is no field of a JetBlock (${Object.keys(JET_DEFAULTS).join(', ')})`,
    );
  }
  const normEps = fields.object.norm_eps ?? JET_DEFAULTS.norm_eps; // "1e-5", a string, in the released files
  if (!['number', 'string'].includes(typeof normEps) || Number(normEps) !== JET_DEFAULTS.norm_eps) {
    throw fields.wrong('norm_eps', '1e-5');
  }
  const heads = fields.integer('num_heads', JET_DEFAULTS.num_heads);
  const keyDim = fields.integer('head_dim', JET_DEFAULTS.head_dim);
  const expand = fields.positive('expand_v', JET_DEFAULTS.expand_v);
  const { valueDim, values } = expanded(heads, keyDim, expand);
  if (values !== heads * valueDim || !isClose(keyDim * expand, valueDim)) {
    throw fields.wrong(
      'expand_v',
      `a factor that makes a whole number, or slightly more, of head_dim (${keyDim}) and of all heads (${heads * keyDim})`,
    );
  }
  const generatorReduction = fields.integer(
    'dconv_generator_reduction',
    JET_DEFAULTS.dconv_generator_reduction,
  );
  if (generatorReduction > values) {
    throw fields.wrong('dconv_generator_reduction', `at most the width of the values (${values})`);
  }
  return {
    ...releasedJetBlock({ heads, keyDim, valueDim }),
    convSize: fields.integer('conv_size', JET_DEFAULTS.conv_size),
    generatorReduction,
  };
}

/** The widths of a head's value and of all values: products that are truncated, not rounded. */
function expanded(heads: number, keyDim: number, expand: number): { valueDim: number; values: number } {
  return { valueDim: Math.trunc(keyDim * expand), values: Math.trunc(heads * keyDim * expand) };
}

/** The reference's tolerance for such products. */
function isClose(a: number, b: number): boolean {
  return Math.abs(a - b) <= 1e-5 * Math.max(Math.abs(a), Math.abs(b));
}

/** The fields of config.json that jetLayersFromHf reads, for layers that the family can express. */
export function jetLayersToHf(layers: readonly MixerSpec[]): JsonObject {
  const efficient: JsonObject = {};
  const types = layers.map((spec) => {
    const type = typeOf(spec);
    if (spec.kind === 'sliding_window') efficient.swa = { window_size: spec.window };
    if (spec.kind === 'jet_block') efficient.jet = jetBlockToHf(spec);
    return type;
  });
  return { layer_types: types, efficient_attention_config: efficient };
}

function typeOf({ kind }: MixerSpec): LayerType | undefined {
  return TYPES.find((type) => KINDS[type] === kind);
}

function jetBlockToHf({ heads, keyDim, valueDim, convSize, generatorReduction }: JetBlockSpec): JsonObject {
  return {
    ...JET_DEFAULTS,
    num_heads: heads,
    head_dim: keyDim,
    expand_v: expandFactor(heads, keyDim, valueDim),
    conv_size: convSize,
    dconv_generator_reduction: generatorReduction,
    // The reference's Triton kernel takes 2 to 4 taps.
    dconv_implementation: convSize >= 2 && convSize <= 4 ? 'triton' : 'naive',
  };
}

/** valueDim / keyDim, with ten decimals and not below it, for products are truncated: 256 / 96 is 2.6666666667. */
function expandFactor(heads: number, keyDim: number, valueDim: number): number {
  const places = 1e10;
  const above = Math.ceil((valueDim / keyDim) * places);
  // A quotient such as 41 / 5 has few decimals, but its product with 60 is less than 492 in floating point.
  const found = expanded(heads, keyDim, above / places);
  const exact = found.valueDim === valueDim && found.values === heads * valueDim;
  return (exact ? above : above + 1) / places;
}

/** Why the family cannot express a model; null where it can. Layers are counted from 0. */
export function whyNotJetNemotron(config: ModelConfig): string | null {
  const { layers, qkvBias, oBias, mlpBias, qkNorm } = config;
  if (!qkvBias || oBias || mlpBias)
    return 'the family has biases on q_proj, k_proj and v_proj, and no others';
  const own = whyNotPlain(config);
  if (own !== null) return `the family has no ${own}`;
  if (qkNorm) return 'the family does not normalise the queries and keys of attention';
  const other = layers.findIndex((spec) => !typeOf(spec));
  if (other >= 0)
    return `layer ${other} is ${layers[other]!.kind}, the family has ${Object.values(KINDS).join(', ')}`;
  // One set of dimensions for all layers of a type, and of JetBlocks the released form only: what is read back tells.
  const back = jetLayersFromHf(new Fields('config.json', jetLayersToHf(layers)), layers.length);
  const changed = layers.findIndex((spec, i) => !sameData(spec, back[i]));
  if (changed < 0) return null;
  return `layer ${changed} is ${JSON.stringify(layers[changed])}, the family would have to make it ${JSON.stringify(back[changed])}`;
}

/**
 * The configuration under which a hybrid of attention, sliding windows and JetBlocks over a Qwen2-like parent is saved
 * as a `jet_nemotron` folder, which the reference's code loads; the weights are the same.
 *
 * @throws InputError saying what the family cannot express
 */
export function asJetNemotron(config: ModelConfig): ModelConfig {
  const why = whyNotJetNemotron(config);
  if (why !== null) throw new InputError(`the model cannot be saved as jet_nemotron: ${why}`);
  return { ...config, modelType: 'jet_nemotron' };
}
