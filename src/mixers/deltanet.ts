import { linear, rmsNorm } from '../graph/index.ts';
import { joinHeads } from './attention.ts';
import { deltaHeadParameters, deltaHeadState, deltaHeads } from './delta-heads.ts';
import { DELTA_RULE } from './delta-rule.ts';
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

const NORM_EPS = 1e-5;

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
  const { params, form } = input;
  const { state: convolutions, ...rows } = deltaHeads(spec, context, input);
  const result = DELTA_RULE[form]({ ...rows, state: input.state?.recurrent });
  const y = joinHeads(rmsNorm(result.o, params['o_norm.weight']!, NORM_EPS));
  return {
    y: linear(y, params['o_proj.weight']!),
    state: { recurrent: result.state, ...convolutions },
  };
}

export const deltaNet: Mixer<DeltaNetSpec> = {
  kind: 'deltanet',
  letter: 'N',
  fused: true,
  parameters,
  state: deltaHeadState,
  forward,
  fromAttention: (spec, context, weights, random) =>
    startFromAttention(parameters(spec, context), spec, context, weights, random),
};
