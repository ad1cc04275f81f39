import { attention, slidingWindow } from './attention.ts';
import { deltaNet } from './deltanet.ts';
import { gatedDeltaNet } from './gated-deltanet.ts';
import { gla } from './gla.ts';
import { jetBlock } from './jet-block.ts';
import { kda } from './kda.ts';
import { mamba2 } from './mamba2.ts';
import type { Mixer } from './mixer.ts';
import { retNet } from './retnet.ts';
import { rwkv7 } from './rwkv7.ts';
import type { MixerKind, MixerSpec } from './spec.ts';

/** Every mixer by its kind. */
const MIXERS: { [K in MixerKind]: Mixer<Extract<MixerSpec, { kind: K }>> } = {
  attention,
  sliding_window: slidingWindow,
  retnet: retNet,
  gla,
  deltanet: deltaNet,
  gated_deltanet: gatedDeltaNet,
  jet_block: jetBlock,
  mamba2,
  kda,
  rwkv7,
};

/** The implementation of a spec's kind. */
export function mixerOf<S extends MixerSpec>(spec: S): Mixer<S> {
  // The table is typed by kind, which TypeScript does not carry through the look-up.
  return MIXERS[spec.kind] as unknown as Mixer<S>;
}

/** An architecture on one line, a letter per layer: 'GGGAGGGA'. */
export function showArchitecture(layers: readonly MixerSpec[]): string {
  return layers.map((spec) => mixerOf(spec).letter).join('');
}
