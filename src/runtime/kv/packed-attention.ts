import {
  abs,
  add,
  cast,
  constant,
  div,
  exp,
  input,
  integerProduct,
  lastByte,
  max,
  maximum,
  mul,
  mulDims,
  nearestByte,
  type RightBytes,
  reshape,
  SMALLEST_ROUNDED,
  sub,
  sum,
  type Tensor,
  transpose,
  turnedRows,
  unsqueeze,
  ZERO_BYTE,
} from '../../graph/index.ts';
import { PART } from './blocks.ts';
import type { HeadShape, Keys } from './heads.ts';
import type { Sums } from './sums.ts';

/**
 * What the programs of cached-attention.ts make of packed blocks (packed-blocks.ts).
 *
 * One query is compared by products of integers, which read the cache as it lies. It is rounded to 8 bits as keys are,
 * after the same turn, with one factor for all heads. The weights of values, multiplied by the values' factors, are
 * rounded to 16 bits of the largest possible in their part: two bytes, which are two rows of one product.
 *
 * Several queries take what is packed as float32, a few parts at a time.
 */

const BYTE = 256;

/** Queries of all heads, rounded. */
interface Rounded {
  /** Around ZERO_BYTE, uint8 [1, KV, G, d]. */
  levels: Tensor;
  /** [] */
  factor: Tensor;
}

/** @param q [KV, G, 1, d] */
export function roundedQuery(q: Tensor): Rounded {
  const [KV, G, , d] = q.shape as [number, number, 1, number];
  const turned = reshape(turnedRows(q), [KV * G * d]);
  const largest = maximum(max(abs(turned), 0), SMALLEST_ROUNDED);
  const levels = nearestByte(mul(turned, div(127, largest)), ZERO_BYTE);
  return { levels: reshape(levels, [1, KV, G, d]), factor: mul(largest, 1 / 127) };
}

/** Keys and values of some parts that a program takes. */
export interface PackedKeys {
  /** How the names of its inputs begin. */
  name: string;
  /** Name of their number. */
  parts: string;
  /** Whether some keys are hidden. */
  hides: boolean;
  /** Of keys and values. */
  bytes: RightBytes;
}

/**
 * Sums of a query of each head over packed parts [KV, G, 1, 1 or d]. Inputs: those of `packedInputs`, with `name` before
 * them, and what is added to the scores, `{name}bias` [parts, 1, 1, PART], if it hides some.
 */
export function packedSums({ levels, factor }: Rounded, { name, parts: N, hides, bytes }: PackedKeys): Sums {
  const [, KV, G, d] = levels.shape as [1, number, number, number];
  const of = (kind: string, dtype: 'float32' | RightBytes, ...dims: number[]) =>
    input(name + kind, dtype, [N, KV, ...dims]);
  const scales = of('kFactors', 'float32', 1, PART);
  let scores = integerProduct(levels, of('k', bytes, d, PART), { zero: ZERO_BYTE, scale: factor, scales });
  if (hides) scores = add(scores, input(`${name}bias`, 'float32', [N, 1, 1, PART]));
  const largest = max(scores, -1, true);
  const weights = exp(sub(scores, largest));
  const top = BYTE * BYTE - 1;
  // [N, KV, 2, 1, PART]
  const shares = mul(unsqueeze(of('vShares', 'float32', 1, PART), 2), constant([top / BYTE, top], [2, 1, 1]));
  const rows = lastByte(mul(unsqueeze(weights, 2), shares));
  const products = integerProduct(reshape(rows, [N, KV, 2 * G, PART]), of('v', bytes, PART, d));
  const digits = reshape(products, [N, KV, 2, G, d]);
  const weighted = sum(mul(digits, constant([BYTE / top, 1 / top], [2, 1, 1])), 2);
  const m = max(largest, 0, true);
  const relative = exp(sub(largest, m));
  const l = sum(mul(sum(weights, -1, true), relative), 0, true);
  const o = sum(mul(weighted, mul(of('vLargest', 'float32', 1, 1), relative)), 0, true);
  const result = (x: Tensor, width: number) => reshape(x, [KV, G, 1, width]);
  return { m: result(m, 1), l: result(l, 1), o: result(div(o, l), d) };
}

/** Keys and values of some parts as float32, side by side. */
export function packedKeys({ KV, d }: HeadShape, bytes: RightBytes): Keys {
  const C = mulDims('N', PART);
  const of = (kind: string, dtype: 'float32' | RightBytes, ...dims: number[]) =>
    input(kind, dtype, ['N', KV, ...dims]);
  const levels = (kind: string, ...dims: number[]) => {
    const values = cast(of(kind, bytes, ...dims), 'float32');
    return bytes === 'int8' ? values : sub(values, ZERO_BYTE);
  };
  const k = mul(levels('k', d, PART), of('kFactors', 'float32', 1, PART));
  const factors = mul(of('vShares', 'float32', 1, PART), of('vLargest', 'float32', 1, 1));
  const v = mul(levels('v', PART, d), reshape(factors, ['N', KV, PART, 1]));
  return {
    k: reshape(transpose(k, [1, 0, 3, 2]), [KV, C, d]),
    v: reshape(transpose(v, [1, 0, 2, 3]), [KV, C, d]),
    turn: turnedRows,
  };
}
