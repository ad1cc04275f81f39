import {
  add,
  addDims,
  arange,
  cast,
  concat,
  constant,
  type Dim,
  expand,
  greaterOrEqual,
  matmul,
  mul,
  mulDims,
  reshape,
  slice,
  softmax,
  split,
  sub,
  subDims,
  type Tensor,
  unsqueeze,
} from '../graph/index.ts';
import type { Sinks } from './sinks.ts';

/** Softmax attention over keys and values at hand, with what a query may not see hidden. */

/** Added to the scores of what must not be seen: finite, so that a row without any key stays finite. */
const HIDDEN = -1e30;

/**
 * What is added to the scores of T queries over P + T keys: 0 where query i may see key j, that is
 * 0 <= (P + i) - j < window, HIDDEN elsewhere. [T, P + T]
 */
function causalBias(T: Dim, P: Dim, window: number): Tensor {
  const S = addDims(P, T);
  if (typeof T === 'number' && typeof S === 'number') {
    const past = S - T;
    const values = Array.from({ length: T * S }, (_, n) => {
      const distance = past + Math.floor(n / S) - (n % S);
      return distance >= 0 && distance < window ? 0 : HIDDEN;
    });
    return constant(values, [T, S]);
  }
  const queries = unsqueeze(slice(arange(S, 'float32'), 0, P), 1);
  const distance = sub(queries, unsqueeze(arange(S, 'float32'), 0));
  const seen = cast(greaterOrEqual(distance, 0), 'float32');
  const near = Number.isFinite(window)
    ? mul(seen, cast(greaterOrEqual(sub(window - 1, distance), 0), 'float32'))
    : seen;
  return mul(sub(near, 1), -HIDDEN);
}

/** Queries of a block: long enough for products of matrices, short enough to leave out much of what is hidden. */
const QUERY_BLOCK = 128;

export interface Seen {
  /** Tokens that a query sees, its own included; Infinity for all. */
  window: number;
  /** 0 for keys that are padding [B, S]. */
  valid?: Tensor | undefined;
  /** Keys that stand beside those of the window. */
  sinks?: Sinks | undefined;
  /** Queries of a block. */
  block?: number;
}

/**
 * Softmax attention of q [B, H, T, d] over k, v [B, KV, S, d], where query i is the token S - T + i and sees the
 * last `window` keys up to its own.
 *
 * Where the sizes are known it goes block by block of queries, each over the keys that one of them sees: the half
 * of the scores above the diagonal is mostly not computed, and what is lies closer together.
 */
export function attend(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  { window, valid, sinks, block = QUERY_BLOCK }: Seen,
): Tensor {
  const [T, S] = [q.shape[2]!, k.shape[2]!];
  if (typeof T !== 'number' || typeof S !== 'number' || T <= block) {
    return attendAll(q, k, v, causalBias(T, subDims(S, T), window), valid, sinks);
  }
  const sizes = Array.from({ length: Math.ceil(T / block) }, (_, i) => Math.min(block, T - i * block));
  const outputs = split(q, 2, sizes).map((queries, i) => {
    const size = sizes[i]!;
    const end = S - T + i * block + size;
    const start = Math.max(0, end - size + 1 - window);
    const seen = (x: Tensor, axis: number) => slice(x, axis, start, end);
    const bias = causalBias(size, end - size - start, window);
    const own = sinks && { ...sinks, seen: slice(sinks.seen, 1, i * block, i * block + size) };
    return attendAll(queries, seen(k, 2), seen(v, 2), bias, valid && seen(valid, 1), own);
  });
  return concat(outputs, 2);
}

/** As `attend`, with all scores at once; each key is read once for its group of queries. bias [T, S] */
function attendAll(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  bias: Tensor,
  valid: Tensor | undefined,
  sinks: Sinks | undefined,
): Tensor {
  if (sinks) {
    const all = besideSinks(bias, valid, sinks);
    return attendAll(q, concat([sinks.k, k], 2), concat([sinks.v, v], 2), all, undefined, undefined);
  }
  const [B, H, T, d] = q.shape as [Dim, number, Dim, number];
  const [, KV, S] = k.shape as [Dim, number, Dim];
  const G = H / KV;
  const rows = mulDims(G, T);
  const scores = reshape(matmul(reshape(q, [B, KV, rows, d]), k, { transB: true, alpha: d ** -0.5 }), [
    B,
    KV,
    G,
    T,
    S,
  ]);
  let masked = add(scores, bias);
  if (valid) masked = add(masked, hides(reshape(valid, [B, 1, 1, 1, S])));
  const weights = reshape(softmax(masked), [B, KV, rows, S]);
  return reshape(matmul(weights, v), [B, H, T, d]);
}

/** 0 for 1, HIDDEN for 0. */
function hides(seen: Tensor): Tensor {
  return mul(sub(seen, 1), -HIDDEN);
}

/** What is added to the scores of the sinks and of the other keys [B, 1, 1, T, s + S]. */
function besideSinks(bias: Tensor, valid: Tensor | undefined, { seen }: Sinks): Tensor {
  const [B, T, s] = seen.shape as [Dim, Dim, number];
  const S = bias.shape[1]!;
  const others = valid ? add(bias, hides(reshape(valid, [B, 1, 1, 1, S]))) : bias;
  return concat([reshape(hides(seen), [B, 1, 1, T, s]), expand(others, [B, 1, 1, T, S])], 4);
}
