import {
  add,
  addDims,
  concat,
  type Dim,
  denormalsAreZero,
  matmul,
  max,
  maximum,
  mul,
  reshape,
  slice,
  sub,
  type Tensor,
} from '../../graph/index.ts';

/** Query heads, key heads, width of a head. */
export interface HeadShape {
  H: number;
  KV: number;
  d: number;
}

/** Some keys and values, as attention sees them within a recorded graph: whatever they are kept as. */
export interface Source {
  /** How many there are [K]. */
  readonly keys: Dim;
  /** Queries [..., Q, d] -> scores [..., Q, K]: q k^T / sqrt(d), and the mask. */
  score(q: Tensor): Tensor;
  /** Weights [..., Q, K] -> sums of the values [..., Q, d]. */
  weigh(weights: Tensor): Tensor;
}

export interface ExactOptions {
  /** Added to the scores. */
  mask?: Tensor | undefined;
  /** Of so many query heads that each has one, which come with all their queries along one axis. */
  heads?: number;
  /** Of the scores. By default 1: queries come multiplied by d^-0.5. */
  scale?: number;
  /** Keys are [..., d, K]. */
  transposed?: boolean;
}

/** Keys and values in float32 [..., K, d]. */
export function exact(k: Tensor, v: Tensor, options: ExactOptions = {}): Source {
  const { mask, heads, scale = 1, transposed = false } = options;
  return {
    keys: v.shape.at(-2)!,
    score: (q) => {
      const scores = matmul(q, k, { transB: !transposed, alpha: scale });
      if (!mask || !heads) return mask ? add(scores, mask) : scores;
      const byHead = [...scores.shape.slice(0, -2), heads, ...mask.shape.slice(-2)];
      return reshape(add(reshape(scores, byHead), mask), scores.shape);
    },
    weigh: (weights) => matmul(weights, v),
  };
}

/** The same of one token [..., 1, d]. */
export function ownToken(k: Tensor, v: Tensor): Source {
  return { ...exact(k, v), weigh: (weights) => mul(weights, v) };
}

/** Both under one softmax. */
export function sideBySide(a: Source, b: Source): Source {
  return {
    keys: addDims(a.keys, b.keys),
    score: (q) => concat([a.score(q), b.score(q)], q.rank - 1),
    weigh: (weights) => add(a.weigh(slice(weights, -1, 0, a.keys)), b.weigh(slice(weights, -1, a.keys))),
  };
}

/**
 * Weights are at least e^-60 of the largest: far below what a sum of float32 can tell, and far above the denormal numbers that
 * processors are slow at, of which a mask would make many.
 */
const LEAST = 60;

/** Without weights that are denormal numbers. Where those are zeros, nothing needs to be done. */
export function floored(source: Source): Source {
  if (denormalsAreZero()) return source;
  const score = (q: Tensor) => {
    const scores = source.score(q);
    return maximum(scores, sub(max(scores, -1, true), LEAST));
  };
  return { ...source, score };
}
