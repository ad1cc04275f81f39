import {
  concat,
  type Dim,
  depthwiseConv,
  mul,
  pad,
  reshape,
  slice,
  type Tensor,
  unsqueeze,
} from '../graph/index.ts';
import type { Parameter } from './mixer.ts';
import { newestPlaces } from './padding.ts';

/**
 * Short causal convolution over tokens, a filter of W taps per channel (spec §1.10):
 *
 *   y_t[d] = sum over w of weight[d, w] u_(t - (W - 1) + w)[d]
 *
 * with zeros before the start of the sequence and in the place of padding. Its state is the last W inputs, the
 * newest last; the oldest is never read, but checkpoints of the reference hold it.
 */

/** The filters [D, 1, W], starting as the identity: the newest tap is 1. They get no weight decay. */
export function convolutionWeight(name: string, channels: number, taps: number): Parameter {
  return {
    name,
    shape: [channels, 1, taps],
    init: () => Float32Array.from({ length: channels * taps }, (_, i) => (i % taps === taps - 1 ? 1 : 0)),
    decay: false,
  };
}

/**
 * @param u [B, D, T], channels first
 * @param weight [D, 1, W]
 * @param options.state the last W inputs [B, D, W]; zeros when absent
 * @param options.mask 1 for a token, 0 for padding [B, T]
 * @returns y [B, D, T] and the new state [B, D, W]
 */
export function shortConvolution(
  u: Tensor,
  weight: Tensor,
  { state, mask }: { state?: Tensor | undefined; mask?: Tensor | undefined } = {},
): { y: Tensor; state: Tensor } {
  const [D, , W] = weight.shape as [number, number, number];
  const inputs = mask ? mul(u, unsqueeze(mask, 1)) : u;
  const filters = reshape(weight, [D, W]);
  const extended = state ? concat([state, inputs], 2) : pad(inputs, 2, W, 0);
  const y = state
    ? depthwiseConv(slice(extended, 2, 1), filters)
    : depthwiseConv(inputs, filters, { before: W - 1 });
  const newest = newestPlaces(unsqueeze(extended, -1), W, mask);
  return { y, state: reshape(newest, [u.shape[0] as Dim, D, W]) };
}
