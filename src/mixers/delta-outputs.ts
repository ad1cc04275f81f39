import {
  type Dim,
  mul,
  recurrence,
  reshape,
  rmsNorm,
  type Tensor,
  transpose,
  unsqueeze,
} from '../graph/index.ts';
import { joinHeads } from './attention.ts';
import { type DeltaHeads, deltaHeads, deltaRows } from './delta-heads.ts';
import { DELTA_RULE } from './delta-rule.ts';
import type { MixerInput } from './mixer.ts';
import type { MixerContext } from './spec.ts';

const NORM_EPS = 1e-5;

/**
 * What the layers with a delta rule have in common between their projections: q, k, v and beta, the recurrence, the norm
 * of each head.
 *
 * @param gates.g logarithms of the decays, of a head [B, T, H, 1] or of a key channel [B, T, H, K]; absent: none
 * @param gates.beta how much of a token is written [B, T, H], for the fused form, where it is there already
 * @returns o [B, T, H * V] and the new state
 */
export function deltaOutputs(
  spec: DeltaHeads,
  context: MixerContext,
  input: MixerInput,
  { g, beta }: { g?: Tensor; beta?: Tensor | undefined } = {},
): { o: Tensor; state: Record<string, Tensor> } {
  const { params, form, mask } = input;
  const norm = params['o_norm.weight']!;
  const recurrent = input.state?.recurrent;
  const [B, T] = input.x.shape as [Dim, Dim];
  // Padding does not forget.
  if (form === 'fused') {
    if (!recurrent) throw new Error('the fused form of a recurrence needs a state');
    const { heads, keyDim, valueDim } = spec;
    const { state, ...rows } = deltaRows(spec, context, input, beta);
    let decays = g && reshape(g, [B, T, heads * (g.shape[3] as number)]);
    if (decays && mask) decays = mul(decays, unsqueeze(mask, -1));
    const result = recurrence({ ...rows, g: decays, state: recurrent, scale: keyDim ** -0.5 });
    const normalised = rmsNorm(reshape(result.o, [B, T, heads, valueDim]), norm, spec.normEps ?? NORM_EPS);
    return {
      o: reshape(normalised, [B, T, heads * valueDim]),
      state: { recurrent: result.state, ...state },
    };
  }
  let decays = g && transpose(g, [0, 2, 1, 3]);
  if (decays && mask) decays = mul(decays, reshape(mask, [B, 1, T, 1]));
  const { state, ...rows } = deltaHeads(spec, context, input);
  const result = DELTA_RULE[form]({ ...rows, g: decays, state: recurrent });
  return {
    o: joinHeads(rmsNorm(result.o, norm, spec.normEps ?? NORM_EPS)),
    state: { recurrent: result.state, ...state },
  };
}
