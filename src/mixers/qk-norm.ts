import { rmsNorm, type Tensor } from '../graph/index.ts';
import { type MixerInput, type Parameter, vector } from './mixer.ts';
import type { MixerContext } from './spec.ts';

/**
 * RMSNorm over every query and key head, before any rotation, as the attention of Qwen3 has it: for linear mixers whose
 * authors do not normalise queries and keys, so that they can start from all of such a parent's attention. Mixers by the
 * delta rule normalise them anyway, to length 1, and have no such choice.
 */

interface Normed {
  keyDim: number;
  qkNorm?: true;
}

const QK_NORMS = ['q_norm.weight', 'k_norm.weight'] as const;

/** One weight per channel of a head, the same for all heads [K]. */
export function qkNormParameters({ keyDim, qkNorm }: Normed): Parameter[] {
  return qkNorm ? QK_NORMS.map((name) => vector(name, keyDim, 1)) : [];
}

/** Queries and keys [B, H, T, K], normalised where the mixer says so. */
export function qkNormed(
  { qkNorm }: Normed,
  { rmsNormEps }: MixerContext,
  { params }: Pick<MixerInput, 'params'>,
  [q, k]: readonly [Tensor, Tensor],
): [Tensor, Tensor] {
  if (!qkNorm) return [q, k];
  const [ofQ, ofK] = QK_NORMS.map((name) => params[name]!) as [Tensor, Tensor];
  return [rmsNorm(q, ofQ, rmsNormEps), rmsNorm(k, ofK, rmsNormEps)];
}

/** Starts the norms of a mixer from those of the attention, as far as both have them. */
export function copyQkNorms(
  attention: ReadonlyMap<string, Float32Array>,
  into: ReadonlyMap<string, Float32Array>,
): void {
  for (const name of QK_NORMS) {
    const [from, to] = [attention.get(name), into.get(name)];
    if (from && to) to.set(from.subarray(0, to.length));
  }
}
