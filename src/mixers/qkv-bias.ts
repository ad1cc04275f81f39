import { type Parameter, vector } from './mixer.ts';

/**
 * Biases of the projections of queries, keys and values, as the attention of Qwen2 has them: for linear mixers, whose authors
 * give them none, so that they can start from all of such a parent's attention.
 */

interface Biased {
  heads: number;
  keyDim: number;
  valueDim: number;
  qkvBias?: true;
}

/** @param names of the projections of queries, keys and values, if not as usual */
export function qkvBiasParameters(
  { heads, keyDim, valueDim, qkvBias }: Biased,
  names = { q: 'q_proj', k: 'k_proj', v: 'v_proj' },
): Parameter[] {
  if (!qkvBias) return [];
  return [
    vector(`${names.q}.bias`, heads * keyDim, 0),
    vector(`${names.k}.bias`, heads * keyDim, 0),
    vector(`${names.v}.bias`, heads * valueDim, 0),
  ];
}
