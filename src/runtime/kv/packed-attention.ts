import {
  abs,
  add,
  cast,
  constant,
  div,
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
import { mergeAlong, type Partial, partialByExp } from './online-softmax.ts';
import { exact, type HeadShape, type Source } from './source.ts';

/** Attention over packed blocks (packed-blocks.ts): their inputs are those of `packedInputs`. */

const BYTE = 256;
/** The largest number of 16 bits. */
const TOP = BYTE * BYTE - 1;

export interface PackedKind {
  /** Some of the keys are masked. */
  masked: boolean;
  /** Of what type keys and values are. */
  bytes: RightBytes;
}

/**
 * For a decode step: products of integers read keys and values as they lie. Queries are rounded to 8 bits as keys are, after
 * the same Hadamard transform, with one factor for all heads. Weights, multiplied by the factors of the values, are rounded to
 * 16 bits of the largest possible in their part: two bytes, which are two rows of one product.
 *
 * @param name how the names of its inputs begin; `{name}mask` [N, 1, 1, PART]
 * @param N name of the number of parts
 * @returns for queries [KV, G, 1, d], multiplied by d^-0.5: what they get of each part, [N, KV, G, ...]
 */
function packedParts(
  name: string,
  N: string,
  { H, KV, d }: HeadShape,
  { masked, bytes }: PackedKind,
): Source {
  const G = H / KV;
  const of = (kind: string, dtype: 'float32' | RightBytes, ...dims: number[]) =>
    input(name + kind, dtype, [N, KV, ...dims]);
  return {
    keys: PART,
    score: (q) => {
      const transformed = reshape(turnedRows(q), [KV * G * d]);
      const largest = maximum(max(abs(transformed), 0), SMALLEST_ROUNDED);
      const levels = nearestByte(mul(transformed, div(127, largest)), ZERO_BYTE);
      const scores = integerProduct(reshape(levels, [1, KV, G, d]), of('k', bytes, d, PART), {
        zero: ZERO_BYTE,
        scale: mul(largest, 1 / 127),
        scales: of('kFactors', 'float32', 1, PART),
      });
      return masked ? add(scores, input(`${name}mask`, 'float32', [N, 1, 1, PART])) : scores;
    },
    weigh: (weights) => {
      // [N, KV, 2, 1, PART]
      const factors = mul(
        unsqueeze(of('vShares', 'float32', 1, PART), 2),
        constant([TOP / BYTE, TOP], [2, 1, 1]),
      );
      const digits = reshape(lastByte(mul(unsqueeze(weights, 2), factors)), [N, KV, 2 * G, PART]);
      const sums = reshape(integerProduct(digits, of('v', bytes, PART, d)), [N, KV, 2, G, d]);
      const places = mul(
        unsqueeze(of('vLargest', 'float32', 1, 1), 2),
        constant([BYTE / TOP, 1 / TOP], [2, 1, 1]),
      );
      return sum(mul(sums, places), 2);
    },
  };
}

/** All parts together, [KV, G, 1, ...]. */
export function attendPacked(
  q: Tensor,
  name: string,
  N: string,
  shape: HeadShape,
  kind: PackedKind,
): Partial {
  const { m, l, o } = mergeAlong(0, [partialByExp(q, packedParts(name, N, shape, kind))]);
  const heads = q.shape.slice(0, -1);
  return { m: reshape(m, [...heads, 1]), l: reshape(l, [...heads, 1]), o: reshape(o, q.shape) };
}

/** For prefill: N parts as float32, side by side [KV, 1, 1, N PART, d], for queries [KV, G, groups, Q, d]. */
export function dequantized({ KV, d }: HeadShape, bytes: RightBytes, mask: Tensor | undefined): Source {
  const K = mulDims('N', PART);
  const of = (kind: string, dtype: 'float32' | RightBytes, ...dims: number[]) =>
    input(kind, dtype, ['N', KV, ...dims]);
  const levels = (kind: string, ...dims: number[]) => {
    const values = cast(of(kind, bytes, ...dims), 'float32');
    return bytes === 'int8' ? values : sub(values, ZERO_BYTE);
  };
  const k = mul(levels('k', d, PART), of('kFactors', 'float32', 1, PART));
  const factors = mul(of('vShares', 'float32', 1, PART), of('vLargest', 'float32', 1, 1));
  const v = mul(levels('v', PART, d), reshape(factors, ['N', KV, PART, 1]));
  const source = exact(
    reshape(transpose(k, [1, 0, 3, 2]), [KV, 1, 1, K, d]),
    reshape(transpose(v, [1, 0, 2, 3]), [KV, 1, 1, K, d]),
    { mask, scale: d ** -0.5 },
  );
  return { ...source, score: (q) => source.score(turnedRows(q)) };
}
