import { concat, type Dim, input, type Shape, split, type Tensor } from '../../graph/index.ts';
import { mixerOf } from '../../mixers/registry.ts';
import type { HeadAttentionSpec, MixerSpec, WindowLinearSpec } from '../../mixers/spec.ts';
import type { ModelConfig } from '../../model/config.ts';

/**
 * The state of a layer under the names that transformers.js has for it (its getCacheNames, model_type `qwen3_next`): a
 * cache of keys and values that grows is `past_key_values.{i}.key` and `.value`; what has a fixed size is one or both
 * of `past_conv.{i}` and `past_recurrent.{i}`, of any shape. What comes out is called `present` in the place of `past`.
 */
export interface LayerState {
  /** What earlier tokens left, by the names of the model's inputs. */
  past: Record<string, Tensor>;
  /** The same by the mixer's names. */
  state: Record<string, Tensor>;
  /** The state after the last token, by the mixer's names, as outputs of the model. */
  present(state: Readonly<Record<string, Tensor>>): Record<string, Tensor>;
}

/** Symbols of the exported model's shapes. transformers.js knows `batch_size`; all others are 0 at the start. */
export const BATCH = 'batch_size';
export const TOKENS = 'sequence_length';
export const PAST = 'past_sequence_length';

/** Whether a part of a layer's state grows with the tokens. */
export function grows({ kind }: MixerSpec): boolean {
  return kind === 'attention' || kind === 'head_attention';
}

/** Whether a layer has a window, whose state begins with `window_`, and a state of another kind. */
export function hasWindowBeside(spec: MixerSpec): spec is HeadAttentionSpec | WindowLinearSpec {
  return spec.kind === 'head_attention' || spec.kind === 'window_linear';
}

/**
 * What transformers.js is told of the states, as `layer_types` of config.json: of every layer whether it has a cache that
 * grows or a state of a fixed size. Attention of which some heads have windows has both, and a window beside a linear mixer
 * two of a fixed size: there the window's keys go under a number after the last layer's. Where no cache grows there is one more: transformers.js asks it for the number of tokens.
 */
export function cacheTypes(layers: readonly MixerSpec[]): {
  types: string[];
  /** Of layers with windows and something else, by the layer: the number of the windows' state. */
  windowsOf: ReadonlyMap<number, number>;
  /** The number of the cache that only counts. */
  counter: number | undefined;
} {
  const types: string[] = layers.map((spec) => (grows(spec) ? 'full_attention' : 'linear_attention'));
  const both = [...layers.keys()].filter((layer) => hasWindowBeside(layers[layer]!));
  const windowsOf = new Map(both.map((layer, i) => [layer, layers.length + i]));
  types.push(...both.map(() => 'linear_attention'));
  if (types.includes('full_attention')) return { types, windowsOf, counter: undefined };
  return { types: [...types, 'full_attention'], windowsOf, counter: types.length };
}

/** @param windows number of the state of the windows, where a layer has another state too */
export function layerState(
  config: ModelConfig,
  spec: MixerSpec,
  layer: number,
  windows: number | undefined,
): LayerState {
  const parts = new Map(
    mixerOf(spec)
      .state(spec, config)
      .map(({ name, shape }) => [name, named(shape)]),
  );
  const near =
    windows === undefined
      ? NONE
      : plain(parts, { window_k: fixed('conv', windows), window_v: fixed('recurrent', windows) });
  if (parts.has('k')) {
    // A window has a fixed number of places; which of them hold a token the attention mask says.
    const ports: Ports = grows(spec)
      ? {
          k: [`past_key_values.${layer}.key`, `present.${layer}.key`],
          v: [`past_key_values.${layer}.value`, `present.${layer}.value`],
        }
      : { k: fixed('conv', layer), v: fixed('recurrent', layer) };
    return together(plain(parts, ports), near);
  }
  const inputs = [...parts.keys()].filter((name) => name !== 'recurrent' && !name.startsWith('window_'));
  const recurrent = together(plain(parts, { recurrent: fixed('recurrent', layer) }), near);
  if (inputs.length === 0) return recurrent;
  // The last inputs of the convolutions, [B, channels, ...] each, side by side.
  const [pastName, presentName] = fixed('conv', layer);
  const shapes = inputs.map((name) => parts.get(name)!);
  const channels = shapes.map((shape) => shape[1] as number);
  const all = [BATCH, channels.reduce((a, b) => a + b, 0), ...shapes[0]!.slice(2)];
  const past = input(pastName, 'float32', all);
  const cut = inputs.length > 1 ? split(past, 1, channels) : [past];
  return {
    past: { [pastName]: past, ...recurrent.past },
    state: { ...Object.fromEntries(inputs.map((name, i) => [name, cut[i]!])), ...recurrent.state },
    present: (state) => ({
      [presentName]: concat(
        inputs.map((name) => state[name]!),
        1,
      ),
      ...recurrent.present(state),
    }),
  };
}

/** For names of the mixer's, those of the model's input and output. */
type Ports = Record<string, readonly [past: string, present: string]>;

function fixed(what: 'conv' | 'recurrent', layer: number): [string, string] {
  return [`past_${what}.${layer}`, `present_${what}.${layer}`];
}

function plain(parts: ReadonlyMap<string, Shape>, ports: Ports): LayerState {
  const given = Object.entries(ports).map(
    ([name, [past]]) => [name, past, input(past, 'float32', parts.get(name)!)] as const,
  );
  return {
    past: Object.fromEntries(given.map(([, past, x]) => [past, x])),
    state: Object.fromEntries(given.map(([name, , x]) => [name, x])),
    present: (state) =>
      Object.fromEntries(Object.entries(ports).map(([name, [, present]]) => [present, state[name]!])),
  };
}

const NONE: LayerState = { past: {}, state: {}, present: () => ({}) };

function together(a: LayerState, b: LayerState): LayerState {
  return {
    past: { ...a.past, ...b.past },
    state: { ...a.state, ...b.state },
    present: (state) => ({ ...a.present(state), ...b.present(state) }),
  };
}

function named(shape: Shape): Dim[] {
  return shape.map((dim) => (dim === 'B' ? BATCH : dim === 'P' ? PAST : dim));
}
