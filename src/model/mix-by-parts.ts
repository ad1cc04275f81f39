import { add, type Tensor } from '../graph/index.ts';
import type { LinearPart, MixerInput, MixerOutput } from '../mixers/mixer.ts';
import { linearPart, mixerOf } from '../mixers/registry.ts';
import type { ModelConfig } from './config.ts';
import type { Layer, Mix } from './decoder.ts';

/** Queries [B, H, T, d], keys and values [B, KV, T, d], rotated where they are to be. */
export type Heads = Record<'q' | 'k' | 'v', Tensor>;

/** How the parts of mixers are computed by whoever has their keys, values and states. */
export interface PartsOfMixers {
  positions: Tensor;
  angles: NonNullable<MixerInput['angles']>;
  /** What query heads get [B, H, T, d]. */
  attend(heads: Heads, layer: Layer): Tensor;
  /** What is linear in a mixer, or all of it. */
  linear(part: LinearPart, layer: Layer): MixerOutput;
}

/** The mixer of a layer cut in its parts: heads, attention over them outside, their output; and what is linear beside. */
export function mixByParts(config: ModelConfig, { positions, angles, attend, linear }: PartsOfMixers): Mix {
  return (layer, stream) => {
    const { spec, params } = layer;
    const mixer = mixerOf(spec);
    const { cached } = mixer;
    const mixed: Tensor[] = [];
    if (cached) {
      const given = { x: layer.normed(), params, form: 'recurrent', positions, angles } as const;
      const attended = attend(cached.heads(spec, config, given), layer);
      mixed.push(cached.output(attended, params, layer.normed));
    }
    const part = linearPart(mixer);
    if (part) {
      const { y, firstValues } = linear(part, layer);
      stream.firstValues ??= firstValues;
      mixed.push(y);
    }
    return mixed.reduce((a, b) => add(a, b));
  };
}
