import { add, type Dim, exp, linear, mul, neg, reshape, sigmoid, type Tensor } from '../graph/index.ts';
import { calibrateDeltaHeads, deltaHeadParameters, deltaHeadState } from './delta-heads.ts';
import { evenSoftplus } from './even-softplus.ts';
import { decayingDelta } from './gated-deltanet.ts';
import { headDecayParameters, setHeadDecay } from './head-decay.ts';
import { startFromAttention } from './linear-start.ts';
import {
  linearWeight,
  type Mixer,
  type MixerInput,
  type MixerOutput,
  type Parameter,
  vector,
} from './mixer.ts';
import type { KdaSpec, MixerContext } from './spec.ts';

/**
 * Kimi Delta Attention (Kimi Team 2025, arXiv:2510.26692; names as in flash-linear-attention): Gated DeltaNet that
 * forgets by a factor per key channel instead of per head, and whose output gate is a sigmoid. Both the decays and
 * the gate come from projections of rank `gateRank`.
 *
 *   q, k, v = silu(conv(W x)),   q and k of length 1,   beta_t = sigmoid(Wb x_t)
 *   g_t = -e^A softplus(F2 F1 x_t + dt),   S' = e^(g_t) S_(t-1),   S_t = S' + k_t (beta_t (v_t - S'^T k_t))^T
 *   o_t = K^-0.5 S_t^T q_t,   y_t = Wo (RMSNorm(o_t) sigmoid(G2 G1 x_t + b))
 */

function parameters(spec: KdaSpec, { hiddenSize }: MixerContext): Parameter[] {
  const { heads, keyDim, valueDim, gateRank } = spec;
  const [keys, values] = [heads * keyDim, heads * valueDim];
  return [
    ...deltaHeadParameters(spec, hiddenSize),
    linearWeight('b_proj.weight', heads, hiddenSize),
    linearWeight('f_proj.0.weight', gateRank, hiddenSize),
    linearWeight('f_proj.1.weight', keys, gateRank),
    ...headDecayParameters(heads, keys),
    linearWeight('g_proj.0.weight', gateRank, hiddenSize),
    linearWeight('g_proj.1.weight', values, gateRank),
    vector('g_proj.1.bias', values, 0),
    vector('o_norm.weight', valueDim, 1),
    linearWeight('o_proj.weight', hiddenSize, values),
  ];
}

function forward(spec: KdaSpec, context: MixerContext, input: MixerInput): MixerOutput {
  const { params } = input;
  const { heads, keyDim } = spec;
  const [B, T] = input.x.shape as [Dim, Dim];
  const lowRank = (name: string): Tensor =>
    linear(linear(input.x, params[`${name}.0.weight`]!), params[`${name}.1.weight`]!);
  const step = evenSoftplus(add(lowRank('f_proj'), params.dt_bias!));
  const rate = reshape(exp(params.A_log!), [heads, 1]);
  return decayingDelta(spec, context, input, {
    g: mul(reshape(step, [B, T, heads, keyDim]), neg(rate)),
    gate: sigmoid(add(lowRank('g_proj'), params['g_proj.1.bias']!)),
  });
}

export const kda: Mixer<KdaSpec> = {
  kind: 'kda',
  letter: 'K',
  fused: true,
  parameters,
  state: deltaHeadState,
  forward,
  // Its output gate starts half open.
  calibration: {
    output: 'o_proj.weight',
    set: (spec, _context, weights, reading) => {
      setHeadDecay(weights, reading.distance);
      calibrateDeltaHeads(spec, weights, reading);
    },
  },
  fromAttention: (spec, context, weights, random) =>
    startFromAttention(parameters(spec, context), spec, context, weights, random),
};
