import type { MixerSpec } from '../../src/mixers/spec.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { linearMixer } from '../../src/search/network/linear-mixer.ts';
import { smolLm2 } from '../smollm2.ts';

/** What a step is timed of: SmolLM2-135M's shape, random weights, 2 x 512 tokens unless told. */
export interface Case {
  name: string;
  title: string;
  /** The student's mixers; the teacher's are all attention. */
  layers: readonly MixerSpec[];
  /**
   * - mixers: KL to the teacher, the linear mixers are trained.
   * - all: KL to the teacher, all weights are trained.
   * - align: each layer's mixer by squared error to the teacher's, on the teacher's inputs.
   */
  trained: 'mixers' | 'all' | 'align';
}

export interface Task {
  case: Case;
  batch: number;
  length: number;
  threads: number;
}

/** Layers that stay full attention in the hybrid, as docs/smollm2-search found them. */
const FULL = [10, 18, 20, 23];
/** KV heads that see everything, as `head_attention` in docs/smollm2: layer and head. */
const FULL_HEADS = new Map([
  [7, [2]],
  [15, [2]],
  [18, [2]],
  [20, [1]],
  [23, [0, 2]],
]);
const NEAR = { window: 128, sinks: 4 } as const;

export function teacherConfig(): ModelConfig {
  return smolLm2();
}

export function casesOf(config: ModelConfig): Case[] {
  const linear = linearMixer('gated_deltanet', config);
  const per = (specOf: (layer: number) => MixerSpec) => config.layers.map((_, layer) => specOf(layer));
  const hybrid = per((layer) => (FULL.includes(layer) ? { kind: 'attention' } : linear));
  const heads = per((layer) => {
    const fullHeads = FULL_HEADS.get(layer);
    return fullHeads ? { kind: 'head_attention', fullHeads, ...NEAR } : { kind: 'sliding_window', ...NEAR };
  });
  const [some, all] = [config.layers.length - FULL.length, config.layers.length];
  return [
    {
      name: 'mixers',
      title: `KL on the linear mixers, ${some} of ${all} layers Gated DeltaNet`,
      layers: hybrid,
      trained: 'mixers',
    },
    {
      name: 'heads',
      title: 'KL on all weights, 6 KV heads see everything, windows of 128 + 4 sinks',
      layers: heads,
      trained: 'all',
    },
    {
      name: 'hybrid',
      title: `KL on all weights, ${some} of ${all} layers Gated DeltaNet`,
      layers: hybrid,
      trained: 'all',
    },
    {
      name: 'align',
      title: `alignment of ${all} layers, Gated DeltaNet`,
      layers: per(() => linear),
      trained: 'align',
    },
  ];
}
