import type { MixerContext } from '../../mixers/spec.ts';
import type { ReachPlacement } from './placement.ts';

/** What a placement costs at a context: bytes of a sequence by formula, milliseconds a token as measured. */

/** Milliseconds a token at the context, measured with an engine. Plain data. */
export interface ReachTimes {
  /** All but the layers' attention: projections, MLPs, head. */
  fixed: number;
  /** A layer's attention, for each window: by the number of its KV heads that see everything, 0 to all of them. */
  layers: readonly { window: number; milliseconds: readonly number[] }[];
}

/** Bytes that a KV head of one layer takes, keys and values. */
export interface HeadBytes {
  full(tokens: number): number;
  window(window: number, sinks: number, tokens: number): number;
}

/** Values that share a scale in a cache of 8 bits. */
const GROUP = 32;

/**
 * As the engine keeps caches: windows in float32; heads that see everything in float32 or, `q8`, in 8 bits with a float32 scale
 * for every 32 values.
 */
export function headBytes({ headDim }: Pick<MixerContext, 'headDim'>, cache: 'f32' | 'q8'): HeadBytes {
  const plain = 2 * headDim * 4;
  const packed = 2 * (headDim + Math.ceil(headDim / GROUP) * 4);
  return {
    full: (tokens) => tokens * (cache === 'q8' ? packed : plain),
    window: (window, sinks, tokens) => Math.min(tokens, window + sinks) * plain,
  };
}

/** Bytes of all layers' keys and values of a sequence of `tokens`. */
export function placementBytes(
  placement: ReachPlacement,
  kvHeads: number,
  tokens: number,
  bytes: HeadBytes,
): number {
  return placement.reduce((sum, { fullHeads, window, sinks }) => {
    const near = kvHeads - fullHeads.length;
    return sum + fullHeads.length * bytes.full(tokens) + near * bytes.window(window, sinks, tokens);
  }, 0);
}

/** Milliseconds a token; undefined where a window was not measured. */
export function placementMilliseconds(placement: ReachPlacement, times: ReachTimes): number | undefined {
  let sum = times.fixed;
  for (const { fullHeads, window } of placement) {
    const found = times.layers.find((entry) => entry.window === window)?.milliseconds[fullHeads.length];
    if (found === undefined) return undefined;
    sum += found;
  }
  return sum;
}
