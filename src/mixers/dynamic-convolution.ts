import {
  add,
  addDims,
  convolutionStep,
  type Dim,
  linear,
  matmul,
  mul,
  mulDims,
  reshape,
  silu,
  slice,
  split,
  swappedFrom,
  type Tensor,
  unsqueeze,
} from '../graph/index.ts';
import { InputError } from '../util/errors.ts';
import { linearWeight, type Parameter } from './mixer.ts';
import { type ConvolutionPast, stepByToken, withPast } from './short-convolution.ts';

/**
 * Short causal convolution whose filters are made anew for every token, by two matrices from an input z (JetBlock;
 * spec §1.8, names as in the released model):
 *
 *   kappa_t = W2 silu(W1 z_t) + b,   y_t[d] = sum over w of kappa_t[d, w] u_(t - (W - 1) + w)[d]
 *
 * Beside them there is no other filter: what does not depend on the token is b.
 */

interface GeneratorSize {
  /** Width of z. */
  inputs: number;
  channels: number;
  /** Taps of a filter [W]. */
  taps: number;
  /** The generator is `channels / reduction` wide, rounded down. */
  reduction: number;
}

/**
 * The generator of the filters. It starts as the identity, as the static convolutions do: b is 1 at the newest tap
 * and W2 zero. W1 must not be zero then too, or both stay so: each is the factor of the other's gradient.
 *
 * @throws InputError where the reduction leaves no width
 */
export function generatorParameters(
  prefix: string,
  { inputs, channels, taps, reduction }: GeneratorSize,
): Parameter[] {
  const width = Math.floor(channels / reduction);
  if (width < 1) {
    throw new InputError(`generator reduction is ${reduction}, expected at most the ${channels} channels`);
  }
  const flat = channels * taps;
  const name = (part: string) => `${prefix}.kernel_generator.${part}`;
  return [
    linearWeight(name('w1.weight'), width, inputs),
    { ...linearWeight(name('w2.weight'), flat, width), init: () => new Float32Array(flat * width) },
    {
      name: name('w2.bias'),
      shape: [flat],
      init: () => Float32Array.from({ length: flat }, (_, i) => (i % taps === taps - 1 ? 1 : 0)),
      decay: false,
    },
  ];
}

/**
 * Filters for every token.
 *
 * @param z channels last [B, T, inputs], or first [B, inputs, T]
 * @param taps W
 * @returns [B, D, W, T]: a filter is far from its neighbours, so that all of what a tap does is one run of tokens
 */
export function generateFilters(
  prefix: string,
  params: Readonly<Record<string, Tensor>>,
  z: Tensor,
  { taps, channelsFirst }: { taps: number; channelsFirst: boolean },
): Tensor {
  const weight = (part: string) => params[`${prefix}.kernel_generator.${part}`]!;
  const tokens = z.shape[channelsFirst ? 2 : 1]!;
  if (tokens === 1) {
    // The same layout for a single token, by the products that weights are laid out for.
    const [B, first, second] = z.shape as [Dim, Dim, Dim];
    const row = reshape(z, [B, 1, channelsFirst ? first : second]);
    const flat = add(linear(silu(linear(row, weight('w1.weight'))), weight('w2.weight')), weight('w2.bias'));
    return reshape(flat, [B, (flat.shape[2] as number) / taps, taps, 1]);
  }
  const hidden = silu(matmul(weight('w1.weight'), z, { transB: !channelsFirst }));
  const flat = add(matmul(weight('w2.weight'), hidden), unsqueeze(weight('w2.bias'), 1));
  const [B, rows, T] = flat.shape as [Dim, number, Dim];
  return reshape(flat, [B, rows / taps, taps, T]);
}

/**
 * @param u [B, D, T], channels first
 * @param filters [B, D, W, T]
 * @returns y [B, D, T] and the new state [B, D, W]
 */
export function dynamicConvolution(
  u: Tensor,
  filters: Tensor,
  past: ConvolutionPast,
): { y: Tensor; state: Tensor } {
  const [B, D, W, T] = filters.shape as [Dim, number, number, Dim];
  const { seen, state } = withPast(u, W, past);
  const inputs = unsqueeze(seen, 2);
  // Tap w of every token and channel at once.
  const taps = split(filters, 2, new Array<number>(W).fill(1));
  const parts = taps.map((tap, w) => mul(tap, slice(inputs, 3, w, addDims(w, T))));
  return {
    y: reshape(
      parts.reduce((a, b) => add(a, b)),
      [B, D, T],
    ),
    state,
  };
}

/**
 * silu(dynamicConvolution), for a single token in one node: that of a static one, to which the channels of all sequences
 * are channels, each with its filter.
 */
export function activatedDynamicConvolution(
  u: Tensor,
  filters: Tensor,
  past: ConvolutionPast,
): { y: Tensor; state: Tensor } {
  const [B, D, W, T] = filters.shape as [Dim, number, number, Dim];
  if (T !== 1 || past.mask || past.form !== 'fused' || !past.state) {
    const { y, state } = dynamicConvolution(u, filters, past);
    return { y: silu(y), state };
  }
  const kept = swappedFrom(past.state);
  if (kept) return stepByToken(u, reshape(filters, [B, D, W]), kept);
  const channels = mulDims(B, D);
  const { y, state } = convolutionStep(
    reshape(u, [1, channels, 1]),
    reshape(filters, [channels, W]),
    reshape(past.state, [1, channels, W]),
  );
  return { y: reshape(y, [B, D, 1]), state: reshape(state, [B, D, W]) };
}
