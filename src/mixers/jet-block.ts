import { sigmoid, silu } from '../graph/index.ts';
import { deltaHeadState } from './delta-heads.ts';
import { gatedDeltaCalibration, gatedDeltaForward, gatedDeltaParameters } from './gated-deltanet.ts';
import { startFromAttention } from './linear-start.ts';
import type { Mixer } from './mixer.ts';
import type { JetBlockSpec } from './spec.ts';

/**
 * JetBlock (Gu et al. 2025; spec §1.8, names as in the released model): Gated DeltaNet whose only convolution is a
 * dynamic one over the values, with filters that a small generator makes of the mixer's input for every token.
 *
 *   q = silu(Wq x_t),   k = silu(Wk x_t),   v = silu(conv(Wv x; kappa)),   kappa_t = W2 silu(W1 x_t) + b
 *   beta_t = sigmoid(Wb x_t),   g_t = -e^A softplus(Wa x_t + dt),   then the delta rule as in Gated DeltaNet
 *   y_t = Wo (RMSNorm(o_t) silu(Wg x_t))
 */

/** What a search chooses of a JetBlock beside its heads, and whether they are rotated and have biases. */
type Choice = Exclude<keyof JetBlockSpec, 'kind' | 'heads' | 'keyDim' | 'valueDim' | 'rope' | 'qkvBias'>;

/** The design space of the JetBlock: the values that are worth a try, first that of the released model. */
export const JET_BLOCK_SPACE = {
  qConv: ['none', 'static', 'dynamic'],
  kConv: ['none', 'static', 'dynamic'],
  vConv: ['dynamic', 'static', 'none'],
  convSize: [4, 3, 2],
  generatorReduction: [8, 4, 16, 32],
  generatorInput: ['hidden', 'projection'],
  gate: ['silu', 'sigmoid'],
} as const satisfies { [F in Choice]: readonly JetBlockSpec[F][] };

/** The released model's block with these heads. */
export function releasedJetBlock(size: Pick<JetBlockSpec, 'heads' | 'keyDim' | 'valueDim'>): JetBlockSpec {
  const { qConv, kConv, vConv, convSize, generatorReduction, generatorInput, gate } = JET_BLOCK_SPACE;
  return {
    kind: 'jet_block',
    ...size,
    qConv: qConv[0],
    kConv: kConv[0],
    vConv: vConv[0],
    convSize: convSize[0],
    generatorReduction: generatorReduction[0],
    generatorInput: generatorInput[0],
    gate: gate[0],
  };
}

export const jetBlock: Mixer<JetBlockSpec> = {
  kind: 'jet_block',
  letter: 'J',
  fused: true,
  parameters: (spec, { hiddenSize }) => gatedDeltaParameters(spec, hiddenSize),
  state: deltaHeadState,
  forward: (spec, context, input) =>
    gatedDeltaForward(spec, context, input, spec.gate === 'silu' ? silu : sigmoid),
  calibration: gatedDeltaCalibration,
  fromAttention: (spec, context, weights, random) =>
    startFromAttention(gatedDeltaParameters(spec, context.hiddenSize), spec, context, weights, random),
};
