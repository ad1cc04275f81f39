import { InputError } from '../util/errors.ts';
import { attention, slidingWindow } from './attention.ts';
import { deltaNet } from './deltanet.ts';
import { gatedDeltaNet } from './gated-deltanet.ts';
import { gla } from './gla.ts';
import { headAttention } from './head-attention.ts';
import { jetBlock } from './jet-block.ts';
import { kda } from './kda.ts';
import { mamba2 } from './mamba2.ts';
import type { LinearPart, Mixer } from './mixer.ts';
import { retNet } from './retnet.ts';
import { rwkv7 } from './rwkv7.ts';
import type { BuiltInKind, CustomSpec, LinearSpec, MixerSpec } from './spec.ts';
import { WINDOW_LINEAR_LETTER, windowLinear } from './window-linear.ts';

/** Every mixer of the package by its kind, but for that which is made of another. */
const MIXERS: { [K in Exclude<BuiltInKind, 'window_linear'>]: Mixer<Extract<MixerSpec, { kind: K }>> } = {
  attention,
  sliding_window: slidingWindow,
  head_attention: headAttention,
  retnet: retNet,
  gla,
  deltanet: deltaNet,
  gated_deltanet: gatedDeltaNet,
  jet_block: jetBlock,
  mamba2,
  kda,
  rwkv7,
};

/** Those from outside, by their kind. */
const custom = new Map<string, Mixer<CustomSpec>>();

/**
 * Makes a mixer known under its kind: from then on it can be searched with, saved, opened and decoded like those of the
 * package, in this process. To have it in the command line, import the module that registers it before:
 * `NODE_OPTIONS="--import ./my-mixer.mjs" postnas ...`.
 *
 * @throws InputError if the kind does not begin with `custom_`, or if kind or letter belong to another mixer
 */
export function registerMixer(mixer: Mixer<CustomSpec>): void {
  const { kind, letter } = mixer;
  if (!/^custom_[a-z0-9_]+$/.test(kind)) {
    throw new InputError(`the mixer ${JSON.stringify(kind)}: expected a kind such as custom_hgrn2`);
  }
  const others = [
    ...Object.values(MIXERS),
    { kind: 'window_linear', letter: WINDOW_LINEAR_LETTER },
    ...custom.values(),
  ];
  const same = others.find((other) => other.kind === kind || other.letter === letter);
  if (same) {
    const what = same.kind === kind ? `the kind ${kind}` : `the letter ${letter}`;
    throw new InputError(`the mixer ${kind}: ${what} belongs to ${same.kind} already`);
  }
  if (!/^[A-Z0-9]$/.test(letter)) {
    throw new InputError(
      `the mixer ${kind}: expected a capital letter or a digit, not ${JSON.stringify(letter)}`,
    );
  }
  custom.set(kind, mixer);
}

/** The kinds that were registered, in their order. */
export function customKinds(): CustomSpec['kind'][] {
  return [...custom.values()].map(({ kind }) => kind);
}

/**
 * The implementation of a spec's kind.
 *
 * @throws InputError for a custom kind that is not registered
 */
export function mixerOf<S extends MixerSpec>(spec: S): Mixer<S> {
  const { kind } = spec;
  const mixer =
    kind === 'window_linear'
      ? windowLinear(mixerOf<LinearSpec>(spec.linear))
      : Object.hasOwn(MIXERS, kind)
        ? MIXERS[kind as keyof typeof MIXERS]
        : custom.get(kind);
  if (!mixer) throw new InputError(unknownMixer(kind));
  // The table is typed by kind, which TypeScript does not carry through the look-up.
  return mixer as unknown as Mixer<S>;
}

/** What is linear in a mixer: all of it, or what stands beside its attention. */
export function linearPart(mixer: Mixer): LinearPart | undefined {
  return mixer.cached ? mixer.beside : mixer;
}

/** Whether a mixer keeps a state of fixed size, and no keys and values: it took the place of attention. */
export function isLinear(spec: MixerSpec): boolean {
  return mixerOf(spec).cached === undefined;
}

/** Whether there is a linear mixer in it, be it in the place of attention or beside it. */
export function hasLinear(spec: MixerSpec): boolean {
  const { cached, beside } = mixerOf(spec);
  return cached === undefined || beside !== undefined;
}

/** Whether a weight of a mixer is of a linear one, be it in the place of attention or beside it. */
export function isLinearWeight(spec: MixerSpec, name: string): boolean {
  const { cached, beside } = mixerOf(spec);
  return cached === undefined || (beside?.owns(name) ?? false);
}

/** Whether a mixer has a part of which all forms but one are unrolled or cut into chunks of a known number of tokens. */
export function needsLength(spec: MixerSpec): boolean {
  return hasLinear(spec) && !mixerOf(spec).fused;
}

/** Whether every token sees all tokens before it. */
export function isFullAttention(spec: MixerSpec): boolean {
  return spec.kind === 'attention';
}

/**
 * The source text of a mixer from outside, of which nothing else tells one version from another; empty for those of the
 * package. What its functions call elsewhere is not seen.
 */
export function sourceOf(spec: MixerSpec): string {
  if (spec.kind === 'window_linear') return sourceOf(spec.linear);
  return Object.values(custom.get(spec.kind) ?? {})
    .map(String)
    .join('\n');
}

/** What to say of a custom kind that is not registered. */
export function unknownMixer(kind: string): string {
  return (
    `the mixer ${kind} is not registered: import the module that registers it first, as in ` +
    'NODE_OPTIONS="--import ./my-mixer.mjs" postnas ...'
  );
}

/** An architecture on one line, a letter per layer: 'GGGAGGGA'. */
export function showArchitecture(layers: readonly MixerSpec[]): string {
  return layers.map((spec) => mixerOf(spec).letter).join('');
}
