import {
  add,
  concat,
  type Dim,
  denormalsAreZero,
  input,
  matmul,
  max,
  maximum,
  mul,
  type RightBytes,
  reshape,
  slice,
  softmax,
  sub,
  type Tensor,
} from '../../graph/index.ts';
import { type PackedKeys, packedSums, roundedQuery } from './packed-attention.ts';
import { merge, sumsOf } from './sums.ts';

/**
 * Attention of the newest token of a sequence whose keys and values so far lie in one block, and packed before it, within a
 * larger graph: the block is an input that is only read, and the new key and value, which are written there afterwards,
 * stand beside it.
 */

/**
 * Weights are at least e^-60 of the largest: far below what a sum of float32 can tell, and far above the numbers that
 * processors are slow at, of which a mask would make many. Where those are zeros, nothing needs to be done.
 */
const LEAST = 60;

/** Scores of which the softmax has no such numbers. */
export function floored(scores: Tensor): Tensor {
  return denormalsAreZero() ? scores : maximum(scores, sub(max(scores, -1, true), LEAST));
}

/** Tensors of a block and a token. */
interface Beside {
  /** Queries, multiplied by d^-0.5 [KV, G, 1, d]. */
  q: Tensor;
  /** Of the block [KV, 1, C, d]. */
  k: Tensor;
  v: Tensor;
  /** Of the newest token [KV, 1, 1, d]. */
  ownK: Tensor;
  ownV: Tensor;
  /** Added to the scores of the block's places [1, C]. */
  hidden: Tensor;
  /** What is packed before. */
  packed: readonly PackedKeys[];
}

/**
 * Attention over a block, of which some places are hidden, the newest token, and what is packed.
 *
 * @returns [KV, G, 1, d]
 */
export function attendBeside({ q, k, v, ownK, ownV, hidden, packed }: Beside): Tensor {
  const score = (keys: Tensor) => matmul(q, keys, { transB: true });
  const scores = floored(concat([add(score(k), hidden), score(ownK)], 3));
  const weigh = (weights: Tensor) =>
    add(matmul(slice(weights, 3, 0, -1), v), mul(slice(weights, 3, -1), ownV));
  if (packed.length === 0) return weigh(softmax(scores));
  const rounded = roundedQuery(q);
  const sums = packed.map((keys) => packedSums(rounded, keys));
  return [...sums, sumsOf(scores, weigh)].reduce(merge).o;
}

/**
 * The same in a step that is not cut. Inputs: `{name}.k` and `{name}.v`, the block [KV, 1, C, d], and those of what is packed,
 * with `{name}.packed.` before them.
 *
 * @param heads q [1, H, 1, d], k and v [1, KV, 1, d]
 * @param packed of what type keys and values are that are packed before, if any
 * @returns what the query gets [1, H, 1, d]; the new key and value
 */
export function attendToBlock(
  name: string,
  { q, k, v }: Record<'q' | 'k' | 'v', Tensor>,
  hidden: Tensor,
  packed: RightBytes | null,
): Record<'attended' | 'k' | 'v', Tensor> {
  const [, H, , d] = q.shape as [1, number, 1, number];
  const KV = k.shape[1] as number;
  const C: Dim = 'C';
  const block = (part: string) => input(`${name}.${part}`, 'float32', [KV, 1, C, d]);
  const own = (x: Tensor) => reshape(x, [KV, 1, 1, d]);
  const attended = attendBeside({
    q: mul(reshape(q, [KV, H / KV, 1, d]), d ** -0.5),
    k: block('k'),
    v: block('v'),
    ownK: own(k),
    ownV: own(v),
    hidden,
    packed: packed === null ? [] : [{ name: `${name}.packed.`, parts: 'N', hides: false, bytes: packed }],
  });
  return { attended: reshape(attended, [1, H, 1, d]), k, v };
}
