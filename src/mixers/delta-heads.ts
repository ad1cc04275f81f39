import {
  type Dim,
  l2Norm,
  linear,
  matmul,
  mul,
  reshape,
  sigmoid,
  silu,
  swapLast,
  type Tensor,
} from '../graph/index.ts';
import { splitHeads } from './attention.ts';
import { perHead } from './head-decay.ts';
import { linearWeight, type MixerInput, type Parameter, type StateTensor } from './mixer.ts';
import { rope } from './rope.ts';
import { convolutionWeight, shortConvolution } from './short-convolution.ts';
import type { MixerContext } from './spec.ts';

/**
 * What the mixers with a delta rule feed it, with or without decay (spec §2.3 and §2.4, names as in
 * flash-linear-attention):
 *
 *   q, k, v = silu(conv(W x)),   q and k of length 1,   beta_t = sigmoid(Wb x_t)
 */

const L2_EPS = 1e-6;

export interface DeltaHeads {
  heads: number;
  /** Key width of a head [K]. */
  keyDim: number;
  /** Value width of a head [V]. */
  valueDim: number;
  /** Taps of the short causal convolutions on q, k and v [W]; 0 for none. */
  convSize: number;
  /** Rotate queries and keys as the parent's attention does. */
  rope: boolean;
}

const LETTERS = ['q', 'k', 'v'] as const;

function widths({ keyDim, valueDim }: DeltaHeads) {
  return { q: keyDim, k: keyDim, v: valueDim };
}

/** Projections of q, k and v, and their convolutions. */
export function deltaHeadParameters(spec: DeltaHeads, hiddenSize: number): Parameter[] {
  const { heads, convSize } = spec;
  const width = widths(spec);
  return [
    ...LETTERS.map((x) => linearWeight(`${x}_proj.weight`, heads * width[x], hiddenSize)),
    ...(convSize > 0
      ? LETTERS.map((x) => convolutionWeight(`${x}_conv1d.weight`, heads * width[x], convSize))
      : []),
  ];
}

/** The matrix of each head and the inputs of the convolutions. */
export function deltaHeadState(spec: DeltaHeads): StateTensor[] {
  const { heads, keyDim, valueDim, convSize } = spec;
  const width = widths(spec);
  return [
    { name: 'recurrent', shape: ['B', heads, keyDim, valueDim] },
    ...(convSize > 0
      ? LETTERS.map((x): StateTensor => ({ name: `conv_${x}`, shape: ['B', heads * width[x], convSize] }))
      : []),
  ];
}

/**
 * @returns q, scaled by K^-0.5, and k [B, H, T, K]; v [B, H, T, V]; beta [B, H, T, 1], 0 for padding; and the new
 *   state of the convolutions
 */
export function deltaHeads(
  spec: DeltaHeads,
  context: MixerContext,
  { x, params, mask, ...input }: MixerInput,
): Record<'q' | 'k' | 'v' | 'beta', Tensor> & { state: Record<string, Tensor> } {
  const { heads, keyDim, convSize } = spec;
  const width = widths(spec);
  const [B, T] = x.shape as [Dim, Dim];
  const state: Record<string, Tensor> = {};
  const mixed = (letter: 'q' | 'k' | 'v'): Tensor => {
    const weight = params[`${letter}_proj.weight`]!;
    if (convSize === 0) return splitHeads(silu(linear(x, weight)), heads);
    const name = `conv_${letter}`;
    // Projected with the channels first, as the convolution needs them.
    const u = matmul(weight, x, { transB: true });
    const conv = shortConvolution(u, params[`${letter}_conv1d.weight`]!, {
      state: input.state?.[name],
      mask,
    });
    state[name] = conv.state;
    return swapLast(reshape(silu(conv.y), [B, heads, width[letter], T]));
  };
  // The factor of the queries is put into their length.
  let q = l2Norm(mixed('q'), L2_EPS, keyDim ** -0.5);
  let k = l2Norm(mixed('k'), L2_EPS);
  const v = mixed('v');
  let beta = perHead(sigmoid(linear(x, params['b_proj.weight']!)));
  if (spec.rope) {
    const rotate = rope({ ...context, headDim: keyDim }, { x, params, ...input });
    [q, k] = [rotate(q), rotate(k)];
  }
  // Padding writes nothing.
  if (mask) beta = mul(beta, reshape(mask, [B, 1, T, 1]));
  return { q, k, v, beta, state };
}
