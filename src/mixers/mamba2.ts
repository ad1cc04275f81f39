import {
  add,
  type Dim,
  expand,
  fill,
  linear,
  mul,
  reshape,
  rmsNorm,
  silu,
  split,
  swapLast,
  type Tensor,
  unsqueeze,
} from '../graph/index.ts';
import { joinHeads } from './attention.ts';
import { type AttentionReading, quieten, setConstantRows } from './calibration.ts';
import { headDecay, headDecayParameters, perHead, setHeadDecay } from './head-decay.ts';
import { LINEAR_ATTENTION } from './linear-attention.ts';
import { copyAttention } from './linear-start.ts';
import {
  type Form,
  linearWeight,
  type Mixer,
  type MixerInput,
  type MixerOutput,
  type Parameter,
  vector,
} from './mixer.ts';
import { copyQkNorms, qkNormed, qkNormParameters } from './qk-norm.ts';
import { activatedConvolution, convolutionWeight, projectChannels } from './short-convolution.ts';
import type { Mamba2Spec, MixerContext } from './spec.ts';

/**
 * Mamba2 (Dao, Gu 2024; spec §2.5, names as in flash-linear-attention): a state-space model with one decay per head,
 * which is linear attention with B as keys, C as queries and the time step times x as values.
 *
 *   [z, u, p] = Win x_t,   [x, B, C] = silu(conv(u) + b),   s_t = softplus(p_t + dt)
 *   S_t = e^(-e^A s_t) S_(t-1) + B_t (s_t x_t)^T,   o_t = S_t^T C_t + D x_t
 *   y_t = Wout RMSNorm(o_t silu(z_t))
 *
 * B and C are shared by the heads of a group, and the norm, which comes after the gate here, is over the channels of
 * a group. With a head per group B, C and x have the shapes of an attention's keys, queries and values.
 */

const NORM_EPS = 1e-5;

/** Groups of heads, and the channels of x, and of B or C. */
function widths({ heads, keyDim, valueDim, headsPerGroup }: Mamba2Spec) {
  const groups = heads / headsPerGroup;
  return { groups, values: heads * valueDim, keys: groups * keyDim };
}

function parameters(spec: Mamba2Spec, { hiddenSize }: MixerContext): Parameter[] {
  const { heads, convSize } = spec;
  const { values, keys } = widths(spec);
  const mixed = values + 2 * keys;
  return [
    linearWeight('in_proj.weight', values + mixed + heads, hiddenSize),
    convolutionWeight('conv1d.weight', mixed, convSize),
    vector('conv1d.bias', mixed, 0),
    ...qkNormParameters(spec),
    ...headDecayParameters(heads),
    vector('D', heads, 1),
    vector('norm.weight', values, 1),
    linearWeight('out_proj.weight', hiddenSize, values),
  ];
}

/** Each of [B, groups, T, K] for all heads of its group: [B, heads, T, K] */
function shared(x: Tensor, heads: number): Tensor {
  const [B, groups, T, K] = x.shape as [Dim, number, Dim, number];
  if (groups === heads) return x;
  return reshape(expand(unsqueeze(x, 2), [B, groups, heads / groups, T, K]), [B, heads, T, K]);
}

/** RMSNorm of the channels of each group [B, T, groups * width]. */
function groupNorm(x: Tensor, weight: Tensor, groups: number): Tensor {
  if (groups === 1) return rmsNorm(x, weight, NORM_EPS);
  const [B, T, channels] = x.shape as [Dim, Dim, number];
  const width = channels / groups;
  const normalised = rmsNorm(reshape(x, [B, T, groups, width]), fill(1, [width]), NORM_EPS);
  return mul(reshape(normalised, [B, T, channels]), weight);
}

/**
 * The three projections of x [B, T, D] that one weight holds, `rows` of it each: the gate and the time steps [B, T, rows],
 * and, with its channels first, what goes through the convolution [B, rows, T].
 */
function project(
  x: Tensor,
  weight: Tensor,
  form: Form,
  rows: readonly [number, number, number],
): Record<'gate' | 'u' | 'steps', Tensor> {
  if (form === 'chunk') {
    const [toGate, toMixed, toSteps] = split(weight, 0, rows) as [Tensor, Tensor, Tensor];
    return {
      gate: linear(x, toGate),
      u: projectChannels(x, { weight: toMixed }, form),
      steps: linear(x, toSteps),
    };
  }
  // Whole, the weight can be packed.
  const [gate, mixed, steps] = split(linear(x, weight), 2, rows) as [Tensor, Tensor, Tensor];
  return { gate, u: swapLast(mixed), steps };
}

function forward(spec: Mamba2Spec, context: MixerContext, input: MixerInput): MixerOutput {
  const { x, params, form, state, mask } = input;
  const { heads, keyDim, valueDim } = spec;
  const { groups, values, keys } = widths(spec);
  const [B, T] = x.shape as [Dim, Dim];
  const { gate, u, steps } = project(x, params['in_proj.weight']!, form, [values, values + 2 * keys, heads]);
  const past = { state: state?.conv, mask, paddedLeft: input.paddedLeft, form };
  const conv = activatedConvolution(u, params['conv1d.weight']!, past, params['conv1d.bias']!);
  const rows = (channels: Tensor, count: number, width: number) =>
    swapLast(reshape(channels, [B, count, width, T]));
  const parts = split(conv.y, 1, [values, keys, keys]) as [Tensor, Tensor, Tensor];
  const v = rows(parts[0], heads, valueDim);
  const [toQ, toK] = qkNormed(spec, context, input, [
    rows(parts[2], groups, keyDim),
    rows(parts[1], groups, keyDim),
  ]);
  const [q, k] = [shared(toQ, heads), shared(toK, heads)];

  const decay = headDecay(steps, params);
  let [step, g] = [perHead(decay.step), perHead(decay.g)];
  if (mask) {
    // Padding neither writes nor forgets.
    const tokens = reshape(mask, [B, 1, T, 1]);
    [step, g] = [mul(step, tokens), mul(g, tokens)];
  }
  const result = LINEAR_ATTENTION[form]({ q, k, v: mul(v, step), g, state: state?.recurrent });
  const o = add(result.o, mul(v, reshape(params.D!, [heads, 1, 1])));
  const y = groupNorm(mul(joinHeads(o), silu(gate)), params['norm.weight']!, groups);
  return {
    y: linear(y, params['out_proj.weight']!),
    state: { recurrent: result.state, conv: conv.state },
  };
}

/** Decays, and a gate that is open; the direct path from x to the output is shut, as attention has none. */
function calibrate(
  spec: Mamba2Spec,
  { hiddenSize }: MixerContext,
  weights: ReadonlyMap<string, Float32Array>,
  { distance, one }: AttentionReading,
): void {
  const { values } = widths(spec);
  setHeadDecay(weights, distance);
  setConstantRows(weights.get('in_proj.weight')!.subarray(0, values * hiddenSize), one, () => 1);
  quieten(
    weights.get('conv1d.weight')!.subarray(0, values * spec.convSize),
    weights.get('conv1d.bias')!.subarray(0, values),
  );
  weights.get('D')!.fill(0);
}

export const mamba2: Mixer<Mamba2Spec> = {
  kind: 'mamba2',
  letter: 'M',
  fused: true,
  parameters,
  state: (spec) => {
    const { values, keys } = widths(spec);
    return [
      { name: 'recurrent', shape: ['B', spec.heads, spec.keyDim, spec.valueDim] },
      { name: 'conv', shape: ['B', values + 2 * keys, spec.convSize], transposed: true },
    ];
  },
  forward,
  calibration: { output: 'out_proj.weight', set: calibrate },
  fromAttention: (spec, context, weights, random) => {
    const { heads, keyDim, valueDim } = spec;
    const { groups, values, keys } = widths(spec);
    const start = new Map(parameters(spec, context).map(({ name, init }) => [name, init(random)]));
    const input = start.get('in_proj.weight')!;
    const biases = start.get('conv1d.bias')!;
    // Of what goes through the convolution, which starts as the identity and has biases behind it.
    const mixed = (from: number, count: number) => ({
      weight: input.subarray(
        (values + from) * context.hiddenSize,
        (values + from + count) * context.hiddenSize,
      ),
      bias: biases.subarray(from, from + count),
    });
    copyAttention(context, weights, {
      v: { heads, rows: valueDim, ...mixed(0, values) },
      k: { heads: groups, rows: keyDim, ...mixed(values, keys) },
      q: { heads: groups, rows: keyDim, ...mixed(values + keys, keys) },
      o: { heads, rows: valueDim, weight: start.get('out_proj.weight')! },
    });
    copyQkNorms(weights, start);
    return start;
  },
};
