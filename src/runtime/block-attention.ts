import {
  add,
  concat,
  type Dim,
  input,
  matmul,
  max,
  maximum,
  mul,
  reshape,
  slice,
  softmax,
  sub,
  type Tensor,
  unsqueeze,
} from '../graph/index.ts';

/**
 * Attention of the newest token of a sequence whose keys and values so far lie in one block, within a larger graph: the
 * block is an input that is only read, and the new key and value, which are written there afterwards, stand beside it.
 */

/**
 * Weights are at least e^-60 of the largest: far below what a sum of float32 can tell, and far above the numbers that
 * processors are slow at, of which a mask would make many.
 */
const LEAST = 60;

/**
 * Inputs: `{name}.k` and `{name}.v`, the block [KV, C, d].
 *
 * @param heads q [1, H, 1, d], k and v [1, KV, 1, d]
 * @param hidden what is added to the scores of the block's places [1, C]
 * @returns what the query gets [1, H, 1, d]; the new key and value
 */
export function attendToBlock(
  name: string,
  { q, k, v }: Record<'q' | 'k' | 'v', Tensor>,
  hidden: Tensor,
): Record<'attended' | 'k' | 'v', Tensor> {
  const [, H, , d] = q.shape as [1, number, 1, number];
  const KV = k.shape[1] as number;
  const C: Dim = 'C';
  const block = (part: string) => unsqueeze(input(`${name}.${part}`, 'float32', [KV, C, d]), 1);
  const own = (x: Tensor) => reshape(x, [KV, 1, 1, d]);
  const queries = mul(reshape(q, [KV, H / KV, 1, d]), d ** -0.5);
  const score = (keys: Tensor) => matmul(queries, keys, { transB: true });
  const before = add(score(block('k')), hidden);
  const scores = concat([before, score(own(k))], 3);
  const weights = softmax(maximum(scores, sub(max(scores, -1, true), LEAST)));
  const sums = add(matmul(slice(weights, 3, 0, -1), block('v')), mul(slice(weights, 3, -1), own(v)));
  return { attended: reshape(sums, [1, H, 1, d]), k, v };
}
