import type { Reach } from '../mixers/mixer.ts';
import { linearPart, mixerOf } from '../mixers/registry.ts';
import type { ModelConfig } from '../model/config.ts';
import { isRing, type Window } from './kv/ring.ts';

/** What a sequence remembers of each layer: parts of a size that no number of tokens changes, and caches that grow. */

/** A part of the state that does not grow, under the name it has in a sequence: `2.recurrent`. [B, ...] */
export interface FixedState {
  name: string;
  /** Without B. */
  shape: number[];
  layer: number;
  /** Whether the host keeps the last of its axes before the one before it (StateTensor). */
  transposed?: boolean;
  /** Of what window it holds keys or values (ring.ts). */
  ring?: Window;
}

/** Every part of the state of linear mixers, and the rings of keys and values that heads with a window have. */
export function fixedState(config: ModelConfig): FixedState[] {
  return config.layers.flatMap((spec, layer): FixedState[] => {
    const mixer = mixerOf(spec);
    const rings = keptGroups(config, layer).flatMap(({ heads, window, sinks, ring }) => {
      if (!ring) return [];
      const shape = [heads.length, sinks + window, config.headDim];
      return ['window_k', 'window_v'].map((name) => {
        return { name: `${layer}.${name}`, shape, layer, ring: { window, sinks } };
      });
    });
    const linear = linearPart(mixer)?.state(spec, config) ?? [];
    return [
      ...rings,
      ...linear.map(({ name, shape, transposed = false }) => {
        return { name: `${layer}.${name}`, shape: shape.slice(1) as number[], layer, transposed };
      }),
    ];
  });
}

/** The same as the host keeps it. */
export function hostState(config: ModelConfig): FixedState[] {
  return fixedState(config).map((part) => ({ ...part, shape: hostShape(part.shape, part.transposed) }));
}

/** A shape [..., D, W] of which the last axes are exchanged where it is transposed. */
export function hostShape<T>(shape: readonly T[], transposed = false): T[] {
  return transposed ? [...shape.slice(0, -2), ...shape.slice(-2).reverse()] : [...shape];
}

/** Key and value heads of a layer that see equally far, and whether they are kept as a ring or else in a cache. */
export interface KeptGroup extends Reach {
  ring: boolean;
}

export function keptGroups(config: ModelConfig, layer: number): KeptGroup[] {
  const spec = config.layers[layer]!;
  const groups = mixerOf(spec).cached?.reach(spec, config) ?? [];
  return groups.map((group) => ({ ...group, ring: isRing(group) }));
}

/** Heads whose keys and values are kept in a cache of their own. */
export interface CachedGroup extends Reach {
  layer: number;
  /** Among the groups of its layer. */
  index: number;
}

/** All of them, in the order of their layers. */
export function cachedGroups(config: ModelConfig): CachedGroup[] {
  return [...config.layers.keys()].flatMap((layer) =>
    keptGroups(config, layer).flatMap(({ ring, ...group }, index) =>
      ring ? [] : [{ ...group, layer, index }],
    ),
  );
}
