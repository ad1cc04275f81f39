import {
  concat,
  type Dim,
  l2Norm,
  linear,
  mul,
  reshape,
  sigmoid,
  silu,
  split,
  swapLast,
  swappedFrom,
  type Tensor,
  transpose,
  unsqueeze,
} from '../graph/index.ts';
import { project, splitHeads } from './attention.ts';
import { type AttentionReading, quieten, setConstantRows, writeLogit } from './calibration.ts';
import { activatedDynamicConvolution, generateFilters, generatorParameters } from './dynamic-convolution.ts';
import { perHead } from './head-decay.ts';
import { linearWeight, type MixerInput, type Parameter, type StateTensor } from './mixer.ts';
import { qkvBiasParameters } from './qkv-bias.ts';
import { rope } from './rope.ts';
import {
  activatedConvolution,
  type ConvolutionPast,
  convolutionWeight,
  projectChannels,
} from './short-convolution.ts';
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
  qkvBias?: true;
  /** Of the RMSNorm over each head's output; 1e-5 when absent. */
  normEps?: number;
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

/** Projections of q, k and v, their biases where there are some, and their convolutions. */
export function deltaHeadParameters(spec: DeltaHeads, hiddenSize: number): Parameter[] {
  const { convSize: taps, generatorReduction: reduction = 1 } = spec;
  const projections = LETTERS.flatMap((letter): Parameter[] => {
    const width = channels(spec, letter);
    const projection = linearWeight(`${letter}_proj.weight`, width, hiddenSize);
    const kind = convolution(spec, letter);
    if (kind === 'none') return [projection];
    if (kind === 'static') return [projection, convolutionWeight(`${letter}_conv1d.weight`, width, taps)];
    const inputs = spec.generatorInput === 'projection' ? width : hiddenSize;
    const size = { inputs, channels: width, taps, reduction };
    return [projection, ...generatorParameters(generator(letter), size)];
  });
  return [...projections, ...qkvBiasParameters(spec)];
}

/** Starts what is written and how large values are from attention that was read. */
export function calibrateDeltaHeads(
  spec: DeltaHeads,
  weights: ReadonlyMap<string, Float32Array>,
  { entropy, one }: AttentionReading,
): void {
  setConstantRows(weights.get('b_proj.weight')!, one, (head) => writeLogit(entropy[head]!));
  // A filter bears it best: it is large against the steps of an optimiser, and there is nothing behind it but the silu.
  const filters = {
    none: ['v_proj.weight', 'v_proj.bias'],
    static: ['v_conv1d.weight'],
    dynamic: [`${generator('v')}.kernel_generator.w2.weight`, `${generator('v')}.kernel_generator.w2.bias`],
  }[convolution(spec, 'v')];
  quieten(...filters.flatMap((name) => weights.get(name) ?? []));
}

/** The letters whose convolution is static: their inputs are remembered as one, their channels in this order. */
function staticLetters(spec: DeltaHeads): Letter[] {
  return LETTERS.filter((letter) => convolution(spec, letter) === 'static');
}

/** The matrix of each head and the inputs of the convolutions. */
export function deltaHeadState(spec: DeltaHeads): StateTensor[] {
  const { heads, keyDim, valueDim, convSize } = spec;
  const together = staticLetters(spec).reduce((sum, letter) => sum + channels(spec, letter), 0);
  const dynamic = LETTERS.filter((letter) => convolution(spec, letter) === 'dynamic');
  return [
    { name: 'recurrent', shape: ['B', heads, keyDim, valueDim] },
    ...(together > 0 ? [{ name: 'conv', shape: ['B', together, convSize] as Dim[], transposed: true }] : []),
    ...dynamic.map(
      (letter): StateTensor => ({
        name: `conv_${letter}`,
        shape: ['B', channels(spec, letter), convSize],
        transposed: true,
      }),
    ),
  ];
}

function projection(params: MixerInput['params'], letter: Letter) {
  return { weight: params[`${letter}_proj.weight`]!, bias: params[`${letter}_proj.bias`] };
}

/** By letter, what is remembered of the inputs of its convolution [B, channels, W]. */
function pastOf(spec: DeltaHeads, state: MixerInput['state']): Partial<Record<Letter, Tensor>> {
  if (!state) return {};
  const letters = staticLetters(spec);
  const widths = letters.map((letter) => channels(spec, letter));
  const kept = state.conv && swappedFrom(state.conv);
  const cut = () => (kept ? split(kept, 2, widths).map(swapLast) : split(state.conv!, 1, widths));
  const parts = letters.length > 0 ? cut() : [];
  return Object.fromEntries(
    LETTERS.map((letter) => [letter, parts[letters.indexOf(letter)] ?? state[`conv_${letter}`]]),
  ) as Partial<Record<Letter, Tensor>>;
}

/** The other way round. */
function joined(spec: DeltaHeads, states: Partial<Record<Letter, Tensor>>): Record<string, Tensor> {
  const letters = staticLetters(spec);
  const rest = LETTERS.filter((letter) => states[letter] && !letters.includes(letter));
  const parts = letters.map((letter) => states[letter]!);
  const kept = parts.flatMap((part) => swappedFrom(part) ?? []);
  const beside = () => (kept.length === parts.length ? swapLast(concat(kept, 2)) : concat(parts, 1));
  return {
    ...(letters.length > 0 ? { conv: beside() } : {}),
    ...Object.fromEntries(rest.map((letter) => [`conv_${letter}`, states[letter]!])),
  };
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
  const past = pastOf(spec, input.state);
  const state: Partial<Record<Letter, Tensor>> = {};
  const mixed = (letter: Letter): Tensor => {
    const named = `${letter}_proj`;
    if (convolution(spec, letter) === 'none') return splitHeads(silu(project(x, params, named)), heads);
    const u = projectChannels(x, projection(params, letter), input.form);
    const conv = convolve(spec, letter, params, x, u, {
      state: past[letter],
      mask,
      paddedLeft: input.paddedLeft,
      form: input.form,
    });
    state[letter] = conv.state;
    return swapLast(reshape(conv.y, [B, heads, channels(spec, letter) / heads, T]));
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
  return { q, k, v, beta, state: joined(spec, state) };
}

/**
 * The same for the fused recurrence, heads beside each other: q and k, of length 1, [B, T, H * K], v [B, T, H * V],
 * beta [B, T, H], 0 for padding.
 *
 * @param written beta but for padding, where it is there already
 */
export function deltaRows(
  spec: DeltaHeads,
  context: MixerContext,
  { x, params, mask, ...input }: MixerInput,
  written?: Tensor,
): Record<'q' | 'k' | 'v' | 'beta', Tensor> & { state: Record<string, Tensor> } {
  const { heads, keyDim } = spec;
  const [B, T] = x.shape as [Dim, Dim];
  const projected = (letter: Letter) => project(x, params, `${letter}_proj`);
  let beta = written ?? sigmoid(linear(x, params['b_proj.weight']!));
  if (mask) beta = mul(beta, unsqueeze(mask, -1));
  const rotate = spec.rope ? rope({ ...context, headDim: keyDim }, { x, params, ...input }) : null;
  const unit = (rows: Tensor, count: number) => {
    const each = l2Norm(reshape(rows, [B, T, count, keyDim]), L2_EPS);
    const turned = rotate ? transpose(rotate(transpose(each, [0, 2, 1, 3])), [0, 2, 1, 3]) : each;
    return reshape(turned, [B, T, count * keyDim]);
  };
  // For a single token it is the number of nodes that costs most.
  const single = T === 1 && !mask;
  /** q and k from both beside each other. */
  const pair = (both: Tensor) => {
    const keys = channels(spec, 'q');
    return split(unit(both, 2 * heads), 2, [keys, keys]) as [Tensor, Tensor];
  };
  if (single && staticLetters(spec).length === LETTERS.length) {
    const u = concat(LETTERS.map(projected), 2);
    const filters = concat(
      LETTERS.map((letter) => params[`${letter}_conv1d.weight`]!),
      0,
    );
    const width = u.shape[2]!;
    const past = { state: input.state?.conv, form: input.form };
    const conv = activatedConvolution(reshape(u, [B, width, 1]), filters, past);
    const widths = [2 * channels(spec, 'q'), channels(spec, 'v')];
    const [both, v] = split(swapLast(conv.y), 2, widths) as [Tensor, Tensor];
    const [q, k] = pair(both);
    return { q, k, v, beta, state: { conv: conv.state } };
  }
  const past = pastOf(spec, input.state);
  const states: Partial<Record<Letter, Tensor>> = {};
  const rows = (letter: Letter) => {
    if (convolution(spec, letter) === 'none') return silu(projected(letter));
    const u = projectChannels(x, projection(params, letter), input.form);
    const conv = convolve(spec, letter, params, x, u, {
      state: past[letter],
      mask,
      paddedLeft: input.paddedLeft,
      form: input.form,
    });
    states[letter] = conv.state;
    return swapLast(conv.y);
  };
  const bare = (['q', 'k'] as const).every((letter) => convolution(spec, letter) === 'none');
  const [q, k] =
    single && bare
      ? pair(silu(concat([projected('q'), projected('k')], 2)))
      : [unit(rows('q'), heads), unit(rows('k'), heads)];
  const v = rows('v');
  return { q, k, v, beta, state: joined(spec, states) };
}

/** silu(convolution) of a letter that has one, on its projection u [B, D, T] of the mixer's input x. */
function convolve(
  spec: DeltaHeads,
  letter: Letter,
  params: Readonly<Record<string, Tensor>>,
  x: Tensor,
  u: Tensor,
  past: ConvolutionPast,
): { y: Tensor; state: Tensor } {
  return convolution(spec, letter) === 'static'
    ? activatedConvolution(u, params[`${letter}_conv1d.weight`]!, past)
    : activatedDynamicConvolution(u, filters(spec, letter, params, x, u), past);
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
