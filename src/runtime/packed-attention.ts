import {
  abs,
  add,
  cast,
  constant,
  div,
  exp,
  input,
  integerProduct,
  integersAreExact,
  lastDigit,
  max,
  maximum,
  mul,
  mulDims,
  nearestByte,
  reshape,
  SMALLEST_ROUNDED,
  sub,
  sum,
  type Tensor,
  transpose,
  turnedRows,
  unsqueeze,
} from '../graph/index.ts';
import { PART } from './kv-blocks.ts';
import type { Keys } from './several-queries.ts';
import type { HeadShape } from './single-query.ts';
import type { Sums } from './sums.ts';

/**
 * What the programs of cached-attention.ts make of packed blocks (packed-blocks.ts).
 *
 * One query is compared by products of integers, which read the cache as it lies. It is rounded to 8 bits as keys are,
 * after the same turn, with one factor for all heads. The weights of values, multiplied by the values' factors, are
 * rounded to 16 bits of the largest possible in their part: two digits, which are two rows of one product. Where
 * products of bytes are exact for 7 bits only, digits have the base 128 in place of 256.
 *
 * Several queries take what is packed as float32, a few parts at a time.
 */

/** Of digits and of queries: without instructions for products of bytes, those of 7 bits with them are exact. */
export async function digitBase(): Promise<number> {
  return (await integersAreExact()) ? 256 : 128;
}

/** Queries of all heads, rounded. */
interface Rounded {
  /** Around half of the base, uint8 [1, KV, G, d]. */
  levels: Tensor;
  /** [] */
  factor: Tensor;
  base: number;
}

/** @param q [KV, G, 1, d] */
export function roundedQuery(q: Tensor, base: number): Rounded {
  const [KV, G, , d] = q.shape as [number, number, 1, number];
  const turned = reshape(turnedRows(q), [KV * G * d]);
  const largest = maximum(max(abs(turned), 0), SMALLEST_ROUNDED);
  const [zero, top] = [base / 2, base / 2 - 1];
  const levels = nearestByte(mul(turned, div(top, largest)), zero);
  return { levels: reshape(levels, [1, KV, G, d]), factor: mul(largest, 1 / top), base };
}

/** Keys and values of some parts that a program takes. */
export interface PackedKeys {
  /** How the names of its inputs begin. */
  name: string;
  /** Name of their number. */
  parts: string;
  /** Whether some keys are hidden. */
  hides: boolean;
}

/**
 * Sums of a query of each head over packed parts [KV, G, 1, 1 or d]. Inputs: those of `packedInputs`, with `name` before
 * them, and what is added to the scores, `{name}bias` [parts, 1, 1, PART], if it hides some.
 */
export function packedSums({ levels, factor, base }: Rounded, { name, parts: N, hides }: PackedKeys): Sums {
  const [, KV, G, d] = levels.shape as [1, number, number, number];
  const of = (kind: string, dtype: 'float32' | 'int8', ...dims: number[]) =>
    input(name + kind, dtype, [N, KV, ...dims]);
  const scales = of('kFactors', 'float32', 1, PART);
  let scores = integerProduct(levels, of('k', 'int8', d, PART), { zero: base / 2, scale: factor, scales });
  if (hides) scores = add(scores, input(`${name}bias`, 'float32', [N, 1, 1, PART]));
  const largest = max(scores, -1, true);
  const weights = exp(sub(scores, largest));
  const top = base * base - 1;
  // [N, KV, 2, 1, PART]
  const shares = mul(unsqueeze(of('vShares', 'float32', 1, PART), 2), constant([top / base, top], [2, 1, 1]));
  const rows = lastDigit(mul(unsqueeze(weights, 2), shares), base);
  const products = integerProduct(reshape(rows, [N, KV, 2 * G, PART]), of('v', 'int8', PART, d));
  const digits = reshape(products, [N, KV, 2, G, d]);
  const weighted = sum(mul(digits, constant([base / top, 1 / top], [2, 1, 1])), 2);
  const m = max(largest, 0, true);
  const relative = exp(sub(largest, m));
  const l = sum(mul(sum(weights, -1, true), relative), 0, true);
  const o = sum(mul(weighted, mul(of('vLargest', 'float32', 1, 1), relative)), 0, true);
  const result = (x: Tensor, width: number) => reshape(x, [KV, G, 1, width]);
  return { m: result(m, 1), l: result(l, 1), o: result(div(o, l), d) };
}

/** Keys and values of some parts as float32, side by side. */
export function packedKeys({ KV, d }: HeadShape): Keys {
  const C = mulDims('N', PART);
  const of = (kind: string, dtype: 'float32' | 'int8', ...dims: number[]) =>
    input(kind, dtype, ['N', KV, ...dims]);
  const k = mul(cast(of('k', 'int8', d, PART), 'float32'), of('kFactors', 'float32', 1, PART));
  const factors = mul(of('vShares', 'float32', 1, PART), of('vLargest', 'float32', 1, 1));
  const v = mul(cast(of('v', 'int8', PART, d), 'float32'), reshape(factors, ['N', KV, PART, 1]));
  return {
    k: reshape(transpose(k, [1, 0, 3, 2]), [KV, C, d]),
    v: reshape(transpose(v, [1, 0, 2, 3]), [KV, C, d]),
    turn: turnedRows,
  };
}
