import { linear } from '../graph/index.ts';
import { calibrateDeltaHeads, deltaHeadParameters, deltaHeadState } from './delta-heads.ts';
import { deltaOutputs } from './delta-outputs.ts';
import { startFromAttention } from './linear-start.ts';
import {
  linearWeight,
  type Mixer,
  type MixerInput,
  type MixerOutput,
  type Parameter,
  vector,
} from './mixer.ts';
import type { DeltaNetSpec, MixerContext } from './spec.ts';

/**
 * DeltaNet (Schlag et al. 2021, Yang et al. 2024; spec §2.3, names as in flash-linear-attention): a state that
 * replaces what it holds under a key and otherwise never forgets. There is no output gate.
 *
 *   q, k, v = silu(conv(W x)),   q and k of length 1,   beta_t = sigmoid(Wb x_t)
 *   S_t = S_(t-1) + k_t (beta_t (v_t - S_(t-1)^T k_t))^T,   o_t = K^-0.5 S_t^T q_t,   y_t = Wo RMSNorm(o_t)
 */

function parameters(spec: DeltaNetSpec, { hiddenSize }: MixerContext): Parameter[] {
  const { heads, valueDim } = spec;
  return [
    ...deltaHeadParameters(spec, hiddenSize),
    linearWeight('b_proj.weight', heads, hiddenSize),
    vector('o_norm.weight', valueDim, 1),
    linearWeight('o_proj.weight', hiddenSize, heads * valueDim),
  ];
}

function forward(spec: DeltaNetSpec, context: MixerContext, input: MixerInput): MixerOutput {
  const { o, state } = deltaOutputs(spec, context, input);
  return { y: linear(o, input.params['o_proj.weight']!), state };
}

export const deltaNet: Mixer<DeltaNetSpec> = {
  kind: 'deltanet',
  letter: 'N',
  fused: true,
  parameters,
  state: deltaHeadState,
  forward,
  // It has no decay and no output gate.
  calibration: {
    output: 'o_proj.weight',
    set: (spec, _context, weights, reading) => calibrateDeltaHeads(spec, weights, reading),
  },
  fromAttention: (spec, context, weights, random) =>
    startFromAttention(parameters(spec, context), spec, context, weights, random),
};
