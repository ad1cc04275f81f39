import {
  type Dim,
  l2Norm,
  linear,
  mul,
  reshape,
  sigmoid,
  silu,
  swapLast,
  type Tensor,
} from '../graph/index.ts';
import { splitHeads } from './attention.ts';
import { dynamicConvolution, generateFilters, generatorParameters } from './dynamic-convolution.ts';
import { perHead } from './head-decay.ts';
import { linearWeight, type MixerInput, type Parameter, type StateTensor } from './mixer.ts';
import { rope } from './rope.ts';
import { convolutionWeight, projectChannels, shortConvolution } from './short-convolution.ts';
import type { Convolution, JetBlockSpec, MixerContext } from './spec.ts';

/**
 * What the mixers with a delta rule feed it, with or without decay (spec §2.3 and §2.4, names as in
 * flash-linear-attention):
 *
 *   q, k, v = silu(conv(W x)),   q and k of length 1,   beta_t = sigmoid(Wb x_t)
 */

const L2_EPS = 1e-6;

export interface DeltaHeads
  extends Partial<Pick<JetBlockSpec, 'qConv' | 'kConv' | 'vConv' | 'generatorReduction' | 'generatorInput'>> {
  heads: number;
  /** Key width of a head [K]. */
  keyDim: number;
  /** Value width of a head [V]. */
  valueDim: number;
  /** Taps of the short causal convolutions [W]; 0 for none. */
  convSize: number;
  /** Rotate queries and keys as the parent's attention does. */
  rope?: boolean;
}

type Letter = 'q' | 'k' | 'v';
const LETTERS: readonly Letter[] = ['q', 'k', 'v'];

/** Channels of q, k or v over all heads. */
function channels({ heads, keyDim, valueDim }: DeltaHeads, letter: Letter): number {
  return heads * (letter === 'v' ? valueDim : keyDim);
}

/** Which convolution q, k or v goes through: the static one, where the spec leaves no choice. */
function convolution(spec: DeltaHeads, letter: Letter): Convolution {
  return spec.convSize === 0 ? 'none' : (spec[`${letter}Conv`] ?? 'static');
}

/** Below which the weights of a dynamic convolution stand; that of the values has the released model's name. */
function generator(letter: Letter): string {
  return letter === 'v' ? 'dynamic_conv1d' : `${letter}_dynamic_conv1d`;
}

/** Projections of q, k and v, and their convolutions. */
export function deltaHeadParameters(spec: DeltaHeads, hiddenSize: number): Parameter[] {
  const { convSize: taps, generatorReduction: reduction = 1 } = spec;
  return LETTERS.flatMap((letter): Parameter[] => {
    const width = channels(spec, letter);
    const projection = linearWeight(`${letter}_proj.weight`, width, hiddenSize);
    const kind = convolution(spec, letter);
    if (kind === 'none') return [projection];
    if (kind === 'static') return [projection, convolutionWeight(`${letter}_conv1d.weight`, width, taps)];
    const inputs = spec.generatorInput === 'projection' ? width : hiddenSize;
    const size = { inputs, channels: width, taps, reduction };
    return [projection, ...generatorParameters(generator(letter), size)];
  });
}

/** The matrix of each head and the inputs of the convolutions. */
export function deltaHeadState(spec: DeltaHeads): StateTensor[] {
  const { heads, keyDim, valueDim, convSize } = spec;
  return [
    { name: 'recurrent', shape: ['B', heads, keyDim, valueDim] },
    ...LETTERS.filter((letter) => convolution(spec, letter) !== 'none').map(
      (letter): StateTensor => ({ name: `conv_${letter}`, shape: ['B', channels(spec, letter), convSize] }),
    ),
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
  const { heads, keyDim } = spec;
  const [B, T] = x.shape as [Dim, Dim];
  const state: Record<string, Tensor> = {};
  const mixed = (letter: Letter): Tensor => {
    const weight = params[`${letter}_proj.weight`]!;
    const kind = convolution(spec, letter);
    if (kind === 'none') return splitHeads(silu(linear(x, weight)), heads);
    const name = `conv_${letter}`;
    const past = { state: input.state?.[name], mask, paddedLeft: input.paddedLeft };
    const u = projectChannels(x, weight, input.form);
    const conv =
      kind === 'static'
        ? shortConvolution(u, params[`${letter}_conv1d.weight`]!, past)
        : dynamicConvolution(u, filters(spec, letter, params, x, u), past);
    state[name] = conv.state;
    return swapLast(reshape(silu(conv.y), [B, heads, channels(spec, letter) / heads, T]));
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

/** Filters of a dynamic convolution [B, D, W, T], for the mixer's input x [B, T, D] and the projection u [B, D, T]. */
function filters(
  { convSize: taps, generatorInput }: DeltaHeads,
  letter: Letter,
  params: Readonly<Record<string, Tensor>>,
  x: Tensor,
  u: Tensor,
): Tensor {
  const channelsFirst = generatorInput === 'projection';
  return generateFilters(generator(letter), params, channelsFirst ? u : x, { taps, channelsFirst });
}
