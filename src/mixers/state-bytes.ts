import { mixerOf } from './registry.ts';
import type { MixerContext, MixerSpec } from './spec.ts';

/** What a mixer has to remember of one sequence, in bytes (spec §1.10). */
export interface StateBytes {
  /** Keys and values of tokens; grows with them, up to the window if there is one. */
  cache: number;
  /** What is accumulated over all tokens: float32 always, for rounding would add up over the sequence. */
  recurrent: number;
  /** The last inputs of convolutions and of shifts by a token. */
  inputs: number;
}

/**
 * The bytes of one layer's state after so many tokens, by the names that mixers give to its parts: `k` and `v`
 * [B, KV, places, d] are a cache, as are `window_k` and `window_v`, `recurrent` is accumulated, all else are inputs. `valid`, which places hold a token,
 * is the bookkeeping of a batch and no part of the state of a sequence.
 *
 * @param valueBytes size of a number in caches and inputs: 2 for bfloat16
 */
export function stateBytes(
  spec: MixerSpec,
  context: MixerContext,
  tokens: number,
  valueBytes: number,
): StateBytes {
  const bytes: StateBytes = { cache: 0, recurrent: 0, inputs: 0 };
  for (const { name, shape } of mixerOf(spec).state(spec, context)) {
    // A window has all its places from the start, but not more tokens than there are.
    const sizes = shape.map((dim) => (dim === 'B' ? 1 : dim === 'P' ? tokens : (dim as number)));
    const isCache = /^(window_)?[kv]$/.test(name);
    if (isCache) sizes[2] = Math.min(sizes[2]!, tokens);
    const count = sizes.reduce((a, b) => a * b, 1);
    if (isCache) bytes.cache += count * valueBytes;
    else if (name === 'recurrent') bytes.recurrent += count * 4;
    else if (!name.endsWith('valid')) bytes.inputs += count * valueBytes;
  }
  return bytes;
}

export function totalBytes({ cache, recurrent, inputs }: StateBytes): number {
  return cache + recurrent + inputs;
}
