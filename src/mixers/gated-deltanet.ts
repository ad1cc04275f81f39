import { decayGates, exp, linear, mul, neg, silu, type Tensor, unsqueeze } from '../graph/index.ts';
import { type Calibration, setConstantRows } from './calibration.ts';
import { calibrateDeltaHeads, type DeltaHeads, deltaHeadParameters, deltaHeadState } from './delta-heads.ts';
import { deltaOutputs } from './delta-outputs.ts';
import { headDecay, headDecayParameters, setHeadDecay } from './head-decay.ts';
import { startFromAttention } from './linear-start.ts';
import {
  linearWeight,
  type Mixer,
  type MixerInput,
  type MixerOutput,
  type Parameter,
  vector,
} from './mixer.ts';
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

export function gatedDeltaParameters(spec: DeltaHeads, hiddenSize: number): Parameter[] {
  const { heads, valueDim } = spec;
  const values = heads * valueDim;
  return [
    ...deltaHeadParameters(spec, hiddenSize),
    linearWeight('a_proj.weight', heads, hiddenSize),
    linearWeight('b_proj.weight', heads, hiddenSize),
    ...headDecayParameters(heads),
    linearWeight('g_proj.weight', values, hiddenSize),
    vector('o_norm.weight', valueDim, 1),
    linearWeight('o_proj.weight', hiddenSize, values),
  ];
}

/** @param activation of the output gate */
export function gatedDeltaForward(
  spec: DeltaHeads,
  context: MixerContext,
  input: MixerInput,
  activation: (x: Tensor) => Tensor,
): MixerOutput {
  const { x, params, form } = input;
  const project = (name: string) => linear(x, params[`${name}.weight`]!);
  const gate = activation(project('g_proj'));
  if (form === 'fused') {
    const [a, b] = [project('a_proj'), project('b_proj')];
    const { g, beta } = decayGates({ a, b, bias: params.dt_bias!, scale: neg(exp(params.A_log!)) });
    return decayingDelta(spec, context, input, { g: unsqueeze(g, -1), beta, gate });
  }
  const { g } = headDecay(project('a_proj'), params);
  return decayingDelta(spec, context, input, { g: unsqueeze(g, -1), gate });
}

/**
 * The layer when its decays and its output gate are there: q, k, v and beta, the delta rule, the norm of each head,
 * the gate and the output projection.
 *
 * @param made.g logarithms of the decays, of a head [B, T, H, 1] or of a key channel [B, T, H, K]
 * @param made.beta how much of a token is written, where it is there already [B, T, H]
 * @param made.gate factors of the outputs [B, T, H * V]
 */
export function decayingDelta(
  spec: DeltaHeads,
  context: MixerContext,
  input: MixerInput,
  { gate, ...made }: { g: Tensor; beta?: Tensor; gate: Tensor },
): MixerOutput {
  const { params } = input;
  const { o, state } = deltaOutputs(spec, context, input, made);
  return { y: linear(mul(o, gate), params['o_proj.weight']!), state };
}

/** Decays by head, what is written, and an output gate that is open. */
export const gatedDeltaCalibration: Calibration<DeltaHeads> = {
  output: 'o_proj.weight',
  set: (spec, _context, weights, reading) => {
    setHeadDecay(weights, reading.distance);
    calibrateDeltaHeads(spec, weights, reading);
    setConstantRows(weights.get('g_proj.weight')!, reading.one, () => 1);
  },
};

export const gatedDeltaNet: Mixer<GatedDeltaNetSpec> = {
  kind: 'gated_deltanet',
  letter: 'D',
  fused: true,
  parameters: (spec, { hiddenSize }) => gatedDeltaParameters(spec, hiddenSize),
  state: deltaHeadState,
  forward: (spec, context, input) => gatedDeltaForward(spec, context, input, silu),
  calibration: gatedDeltaCalibration,
  fromAttention: (spec, context, weights, random) =>
    startFromAttention(gatedDeltaParameters(spec, context.hiddenSize), spec, context, weights, random),
};
