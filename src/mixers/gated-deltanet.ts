import {
  add,
  type Dim,
  exp,
  l2Norm,
  linear,
  matmul,
  mul,
  neg,
  reshape,
  rmsNorm,
  sigmoid,
  silu,
  softplus,
  swapLast,
  type Tensor,
  transpose,
} from '../graph/index.ts';
import type { Random } from '../util/random.ts';
import { joinHeads, splitHeads } from './attention.ts';
import { deltaRuleChunk, deltaRuleRecurrent } from './delta-rule.ts';
import { startFromAttention } from './linear-start.ts';
import {
  linearWeight,
  type Mixer,
  type MixerInput,
  type MixerOutput,
  type Parameter,
  vector,
} from './mixer.ts';
import { rope } from './rope.ts';
import { convolutionWeight, shortConvolution } from './short-convolution.ts';
import type { GatedDeltaNetSpec, MixerContext } from './spec.ts';

/**
 * Gated DeltaNet (Yang et al. 2024; spec §2.4, names as in flash-linear-attention): a state that first forgets by
 * a factor per head, then replaces what it holds under a key instead of adding to it.
 *
 *   q, k, v = silu(conv(W x)),   q and k of length 1
 *   beta_t = sigmoid(Wb x_t),   g_t = -e^A softplus(Wa x_t + dt)
 *   S' = e^(g_t) S_(t-1),   S_t = S' + k_t (beta_t (v_t - S'^T k_t))^T,   o_t = K^-0.5 S_t^T q_t
 *   y_t = Wo (RMSNorm(o_t) silu(Wg x_t))
 */

const NORM_EPS = 1e-5;
const L2_EPS = 1e-6;

function parameters(spec: GatedDeltaNetSpec, { hiddenSize }: MixerContext): Parameter[] {
  const { heads, keyDim, valueDim, convSize } = spec;
  const [keys, values] = [heads * keyDim, heads * valueDim];
  return [
    linearWeight('q_proj.weight', keys, hiddenSize),
    linearWeight('k_proj.weight', keys, hiddenSize),
    linearWeight('v_proj.weight', values, hiddenSize),
    linearWeight('a_proj.weight', heads, hiddenSize),
    linearWeight('b_proj.weight', heads, hiddenSize),
    { name: 'A_log', shape: [heads], init: (random) => drawDecayRates(random, heads), decay: false },
    { name: 'dt_bias', shape: [heads], init: (random) => drawTimeSteps(random, heads), decay: false },
    ...(convSize > 0
      ? [
          convolutionWeight('q_conv1d.weight', keys, convSize),
          convolutionWeight('k_conv1d.weight', keys, convSize),
          convolutionWeight('v_conv1d.weight', values, convSize),
        ]
      : []),
    linearWeight('g_proj.weight', values, hiddenSize),
    vector('o_norm.weight', valueDim, 1),
    linearWeight('o_proj.weight', hiddenSize, values),
  ];
}

/** Logarithms of rates uniform in (0, 16], as in Mamba2. */
function drawDecayRates(random: Random, heads: number): Float32Array {
  return Float32Array.from({ length: heads }, () => Math.log(16 * (1 - random.uniform())));
}

/** Biases before the softplus, for time steps log-uniform between 0.001 and 0.1. */
function drawTimeSteps(random: Random, heads: number): Float32Array {
  const [low, high] = [Math.log(0.001), Math.log(0.1)];
  return Float32Array.from({ length: heads }, () => {
    const step = Math.exp(low + random.uniform() * (high - low));
    return step + Math.log(-Math.expm1(-step));
  });
}

/** [B, T, H] -> [B, H, T, 1] */
function perHead(x: Tensor): Tensor {
  const [B, T, H] = x.shape as [Dim, Dim, number];
  return reshape(transpose(x, [0, 2, 1]), [B, H, T, 1]);
}

function forward(spec: GatedDeltaNetSpec, context: MixerContext, input: MixerInput): MixerOutput {
  const { x, params, form, mask } = input;
  const { heads, keyDim, valueDim, convSize } = spec;
  const [B, T] = x.shape as [Dim, Dim];
  const project = (name: string) => linear(x, params[`${name}.weight`]!);
  const state: Record<string, Tensor> = {};
  const mixed = (letter: 'q' | 'k' | 'v', width: number): Tensor => {
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
    return swapLast(reshape(silu(conv.y), [B, heads, width, T]));
  };
  // The factor of the queries is put into their length.
  let q = l2Norm(mixed('q', keyDim), L2_EPS, keyDim ** -0.5);
  let k = l2Norm(mixed('k', keyDim), L2_EPS);
  const v = mixed('v', valueDim);
  let beta = perHead(sigmoid(project('b_proj')));
  const step = softplus(add(project('a_proj'), params.dt_bias!));
  let g = perHead(mul(step, neg(exp(params.A_log!))));
  if (spec.rope) {
    const rotate = rope({ ...context, headDim: keyDim }, input);
    [q, k] = [rotate(q), rotate(k)];
  }
  if (mask) {
    // Padding neither writes nor forgets.
    const tokens = reshape(mask, [B, 1, T, 1]);
    [beta, g] = [mul(beta, tokens), mul(g, tokens)];
  }
  const rule = form === 'chunk' ? deltaRuleChunk : deltaRuleRecurrent;
  const result = rule({ q, k, v, g, beta, state: input.state?.recurrent });
  const normalised = rmsNorm(result.o, params['o_norm.weight']!, NORM_EPS);
  const y = mul(joinHeads(normalised), silu(project('g_proj')));
  return { y: linear(y, params['o_proj.weight']!), state: { recurrent: result.state, ...state } };
}

export const gatedDeltaNet: Mixer<GatedDeltaNetSpec> = {
  kind: 'gated_deltanet',
  letter: 'D',
  parameters,
  state: ({ heads, keyDim, valueDim, convSize }) => [
    { name: 'recurrent', shape: ['B', heads, keyDim, valueDim] },
    ...(convSize > 0
      ? [
          { name: 'conv_q', shape: ['B', heads * keyDim, convSize] },
          { name: 'conv_k', shape: ['B', heads * keyDim, convSize] },
          { name: 'conv_v', shape: ['B', heads * valueDim, convSize] },
        ]
      : []),
  ],
  forward,
  fromAttention: (spec, context, weights, random) =>
    startFromAttention(parameters(spec, context), spec, context, weights, random),
};
