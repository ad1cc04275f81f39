import {
  add,
  type Dim,
  input,
  matmul,
  type RightBytes,
  reshape,
  slice,
  subDims,
  type Tensor,
  unsqueeze,
} from '../../graph/index.ts';
import type { HeadShape, Keys } from './heads.ts';
import { packedKeys } from './packed-attention.ts';

import { merge, type Sums, sumsOf } from './sums.ts';

/** The programs of cached-attention.ts for several queries of each head. */

export interface SeveralKind {
  /** What is summed by itself: a block, or the end of it that the queries stand in, and what comes before. */
  over: 'block' | 'end and earlier';
  /** Of what type keys and values are where they are packed. */
  packed: RightBytes | null;
  /** Whether some of a block's keys are hidden from some queries. */
  hides: boolean;
  /** With sums of earlier blocks. */
  carries: boolean;
  /** Without sums for later ones. */
  ends: boolean;
  /** That the queries of a head are cut into. */
  groups: number;
}

/** Groups that T queries of a head are cut into, none of less than 16. */
export function groupsOf(T: number): number {
  return [4, 2].find((count) => T % count === 0 && T / count >= 16) ?? 1;
}

/** As float32 caches keep them. */
function exactKeys({ KV, d }: HeadShape): Keys {
  const block = (name: string) => input(name, 'float32', [KV, 'C', d]);
  return { k: block('k'), v: block('v'), turn: (q) => q };
}

/**
 * Several queries of each head over a block.
 *
 * ONNX Runtime gives each product of a batch to one thread: queries are cut into groups, or of three heads one of two
 * threads would do two.
 */
export function severalQueries(
  shape: HeadShape,
  { over, packed, hides, carries, ends, groups }: SeveralKind,
): Record<string, Tensor> {
  const { H, KV, d } = shape;
  const G = H / KV;
  const keys = packed ? packedKeys(shape, packed) : exactKeys(shape);
  const rows = (name: string, width: number) => input(name, 'float32', [KV, G * groups, 'Q', width]);
  const q = keys.turn(rows('q', d));
  const [k, v] = [unsqueeze(keys.k, 1), unsqueeze(keys.v, 1)];
  const C = k.shape[2]!;
  const seen = (from: Dim, to: Dim, bias?: Tensor) => {
    const scores = matmul(q, slice(k, 2, from, to), { transB: true, alpha: d ** -0.5 });
    const biased = bias && reshape(add(reshape(scores, [KV, G, ...bias.shape]), bias), scores.shape);
    return sumsOf(biased ?? scores, (weights) => matmul(weights, slice(v, 2, from, to)));
  };
  const parts: Sums[] = carries ? [{ m: rows('m', 1), l: rows('l', 1), o: rows('o', d) }] : [];
  const bias = (keys: Dim) => input('bias', 'float32', [groups, 'Q', keys]);
  if (over === 'block') {
    parts.push(seen(0, C, hides ? bias(C) : undefined));
  } else {
    const end = subDims(C, 'W');
    parts.push(seen(0, end), seen(end, C, bias('W')));
  }
  const { m, l, o } = parts.reduce(merge);
  // The largest score comes last: before the softmax, ONNX Runtime would keep the scores beside the weights.
  return ends ? { o } : { o, l, m };
}
