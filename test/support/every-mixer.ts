import { releasedJetBlock } from '../../src/mixers/jet-block.ts';
import type { MixerKind, MixerSpec } from '../../src/mixers/spec.ts';

/** A tiny spec of every kind, for models of width 32 with 4 heads over 2. */
export const EVERY_MIXER: { [K in MixerKind]: Extract<MixerSpec, { kind: K }> } = {
  attention: { kind: 'attention' },
  sliding_window: { kind: 'sliding_window', window: 5 },
  head_attention: { kind: 'head_attention', fullHeads: [1], window: 5, sinks: 2 },
  retnet: { kind: 'retnet', heads: 2, keyDim: 8, valueDim: 16 },
  gla: { kind: 'gla', heads: 2, keyDim: 8, valueDim: 16, gateRank: 4, rope: true },
  deltanet: { kind: 'deltanet', heads: 2, keyDim: 8, valueDim: 8, convSize: 4, rope: true },
  gated_deltanet: { kind: 'gated_deltanet', heads: 2, keyDim: 8, valueDim: 8, convSize: 4, rope: false },
  jet_block: releasedJetBlock({ heads: 2, keyDim: 8, valueDim: 16 }),
  mamba2: { kind: 'mamba2', heads: 4, keyDim: 8, valueDim: 4, headsPerGroup: 2, convSize: 4 },
  kda: { kind: 'kda', heads: 2, keyDim: 8, valueDim: 8, gateRank: 4, convSize: 3 },
  rwkv7: {
    kind: 'rwkv7',
    heads: 2,
    keyDim: 8,
    valueDim: 16,
    decayRank: 4,
    rateRank: 4,
    gateRank: 4,
    valueRank: 0,
  },
  window_linear: {
    kind: 'window_linear',
    window: 5,
    sinks: 2,
    linear: { kind: 'gated_deltanet', heads: 2, keyDim: 8, valueDim: 8, convSize: 4, rope: true },
  },
};
