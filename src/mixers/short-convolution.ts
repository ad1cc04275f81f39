import {
  add,
  concat,
  convolutionStep,
  type Dim,
  depthwiseConv,
  fill,
  linear,
  matmul,
  mul,
  pad,
  reshape,
  silu,
  slice,
  swapLast,
  swappedFrom,
  type Tensor,
  unsqueeze,
} from '../graph/index.ts';
import type { Form, Parameter } from './mixer.ts';
import { newestPlaces, trailing } from './padding.ts';

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
 * W x + b with the channels first, as convolutions need them: x [B, T, D] -> [B, channels, T]. In chunks it is a product
 * from the left, whose gradient is the cheaper one; for inference the usual one, whose weight can be packed.
 */
export function projectChannels(
  x: Tensor,
  { weight, bias }: { weight: Tensor; bias?: Tensor | undefined },
  form: Form,
): Tensor {
  if (form === 'chunk') {
    const y = matmul(weight, x, { transB: true });
    return bias ? add(y, unsqueeze(bias, 1)) : y;
  }
  const [B, T] = x.shape as [Dim, Dim];
  const plain = linear(x, weight);
  const y = bias ? add(plain, bias) : plain;
  return T === 1 ? reshape(y, [B, weight.shape[0]!, 1]) : swapLast(y);
}

/** What comes before the inputs of a convolution, and which of them are tokens. */
export interface ConvolutionPast {
  /** The last W inputs before [B, D, W]; zeros when absent. */
  state?: Tensor | undefined;
  /** 1 for a token, 0 for padding, whose inputs count as zeros [B, T]. */
  mask?: Tensor | undefined;
  /** That the mask has no padding after a token. */
  paddedLeft?: boolean | undefined;
  /** Of the mixer: what is fused has no gradient. */
  form?: Form | undefined;
}

/**
 * Inputs u [B, D, T] of a convolution of W taps with padding made zeros; `seen`, the same behind the W - 1 inputs before
 * them [B, D, W - 1 + T]; and the new state [B, D, W].
 */
export function withPast(
  u: Tensor,
  W: number,
  { state, mask, paddedLeft = false }: ConvolutionPast,
): Record<'inputs' | 'seen' | 'state', Tensor> {
  const [B, D] = u.shape as [Dim, Dim];
  const inputs = mask ? mul(u, unsqueeze(mask, 1)) : u;
  if (!mask && state) {
    const seen = concat([slice(state, 2, 1), inputs], 2);
    return { inputs, seen, state: slice(seen, 2, -W) };
  }
  const extended = state ? concat([state, inputs], 2) : pad(inputs, 2, W, 0);
  const newest = newestPlaces(unsqueeze(extended, -1), W, trailing({ mask, paddedLeft }));
  return { inputs, seen: slice(extended, 2, 1), state: reshape(newest, [B, D, W]) };
}

/**
 * @param u [B, D, T], channels first
 * @param weight [D, 1, W]
 * @returns y [B, D, T] and the new state [B, D, W]
 */
export function shortConvolution(
  u: Tensor,
  weight: Tensor,
  past: ConvolutionPast = {},
): { y: Tensor; state: Tensor } {
  const [D, , W] = weight.shape as [number, number, number];
  const { inputs, seen, state } = withPast(u, W, past);
  const filters = reshape(weight, [D, W]);
  if (!past.state) return { y: depthwiseConv(inputs, filters, { before: W - 1 }), state };
  return { y: depthwiseConv(seen, filters), state };
}

/**
 * The same as `convolutionStep` where the last W inputs lie token by token, `kept` [B, W, D]: then it takes half the time by
 * products over all channels at once.
 *
 * @param taps [D, W], or [B, D, W] where sequences have filters of their own
 */
export function stepByToken(
  u: Tensor,
  taps: Tensor,
  kept: Tensor,
  bias?: Tensor,
): { y: Tensor; state: Tensor } {
  const W = taps.shape.at(-1)!;
  const seen = concat([slice(kept, 1, 1), swapLast(u)], 1);
  // As a product the sum is faster than as a sum.
  const sum = matmul(fill(1, [1, W]), mul(seen, swapLast(taps)));
  return { y: swapLast(silu(bias ? add(sum, bias) : sum)), state: swapLast(seen) };
}

/**
 * silu(convolution + bias): for a single token, where a convolution of D channels costs several times the sum that it is,
 * in one node.
 *
 * @param bias [D]
 */
export function activatedConvolution(
  u: Tensor,
  weight: Tensor,
  past: ConvolutionPast,
  bias?: Tensor,
): { y: Tensor; state: Tensor } {
  const [D, , W] = weight.shape as [number, number, number];
  const single = u.shape[2] === 1 && !past.mask && past.form === 'fused';
  if (single && past.state) {
    const taps = reshape(weight, [D, W]);
    const kept = swappedFrom(past.state);
    return kept ? stepByToken(u, taps, kept, bias) : convolutionStep(u, taps, past.state, bias);
  }
  const { y, state } = shortConvolution(u, weight, past);
  return { y: silu(bias ? add(y, unsqueeze(bias, 1)) : y), state };
}
