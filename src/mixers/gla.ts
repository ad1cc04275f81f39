import { linear, mul, neg, reshape, rmsNorm, silu } from '../graph/index.ts';
import { joinHeads, project, splitHeads } from './attention.ts';
import { rateOf, setByHead, setConstantRows } from './calibration.ts';
import { evenSoftplus, inverseSoftplus } from './even-softplus.ts';
import { LINEAR_ATTENTION } from './linear-attention.ts';
import { startFromAttention } from './linear-start.ts';
import {
  linearWeight,
  type Mixer,
  type MixerInput,
  type MixerOutput,
  type Parameter,
  vector,
} from './mixer.ts';
import { qkNormed, qkNormParameters } from './qk-norm.ts';
import { qkvBiasParameters } from './qkv-bias.ts';
import { rope } from './rope.ts';
import type { GlaSpec, MixerContext } from './spec.ts';

/**
 * Gated linear attention (Yang et al. 2023; spec §2.2, names as in flash-linear-attention): linear attention that
 * forgets by a factor per token and key channel, which a projection of rank `gateRank` makes of the input.
 *
 *   a_t = logsigmoid(W2 W1 x_t + b) / 16,   S_t = e^(a_t) S_(t-1) + k_t v_t^T,   o_t = K^-0.5 S_t^T q_t
 *   y_t = Wo (RMSNorm(o_t) silu(Wg x_t))
 */

const GATE_DIVISOR = 16;
const NORM_EPS = 1e-5;

function parameters(spec: GlaSpec, { hiddenSize }: MixerContext): Parameter[] {
  const { heads, keyDim, valueDim, gateRank } = spec;
  const [keys, values] = [heads * keyDim, heads * valueDim];
  return [
    linearWeight('q_proj.weight', keys, hiddenSize),
    linearWeight('k_proj.weight', keys, hiddenSize),
    ...qkNormParameters(spec),
    linearWeight('v_proj.weight', values, hiddenSize),
    ...qkvBiasParameters(spec),
    linearWeight('gk_proj.0.weight', gateRank, hiddenSize),
    linearWeight('gk_proj.1.weight', keys, gateRank),
    vector('gk_proj.1.bias', keys, 0),
    linearWeight('g_proj.weight', values, hiddenSize),
    vector('g_norm_swish_gate.weight', valueDim, 1),
    linearWeight('o_proj.weight', hiddenSize, values),
  ];
}

function forward(spec: GlaSpec, context: MixerContext, input: MixerInput): MixerOutput {
  const { x, params, form, state, mask } = input;
  const { heads, keyDim } = spec;
  const headsOf = (name: string) => splitHeads(project(x, params, name), heads);
  let [q, k] = qkNormed(spec, context, input, [headsOf('q_proj'), headsOf('k_proj')]);
  const v = headsOf('v_proj');
  const gate = project(linear(x, params['gk_proj.0.weight']!), params, 'gk_proj.1');
  let g = mul(splitHeads(evenSoftplus(neg(gate)), heads), -1 / GATE_DIVISOR);
  if (spec.rope) {
    const rotate = rope({ ...context, headDim: keyDim }, input);
    [q, k] = [rotate(q), rotate(k)];
  }
  if (mask) {
    // Padding neither writes nor forgets.
    const tokens = reshape(mask, [mask.shape[0]!, 1, mask.shape[1]!, 1]);
    [k, g] = [mul(k, tokens), mul(g, tokens)];
  }
  const result = LINEAR_ATTENTION[form]({ q, k, v, g, state: state?.recurrent, scale: keyDim ** -0.5 });
  const normalised = rmsNorm(result.o, params['g_norm_swish_gate.weight']!, NORM_EPS);
  const y = mul(joinHeads(normalised), silu(linear(x, params['g_proj.weight']!)));
  return { y: linear(y, params['o_proj.weight']!), state: { recurrent: result.state } };
}

export const gla: Mixer<GlaSpec> = {
  kind: 'gla',
  letter: 'G',
  fused: true,
  parameters,
  state: ({ heads, keyDim, valueDim }) => [{ name: 'recurrent', shape: ['B', heads, keyDim, valueDim] }],
  forward,
  calibration: {
    output: 'o_proj.weight',
    set: (_spec, _context, weights, { distance, one }) => {
      setByHead(
        weights.get('gk_proj.1.bias')!,
        distance.map((each) => -inverseSoftplus(GATE_DIVISOR * rateOf(each))),
      );
      setConstantRows(weights.get('g_proj.weight')!, one, () => 1);
    },
  },
  fromAttention: (spec, context, weights, random) =>
    startFromAttention(parameters(spec, context), spec, context, weights, random),
};
