import {
  abs,
  add,
  cast,
  constant,
  div,
  exp,
  hadamardRows,
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
  unsqueeze,
  ZERO_BYTE,
} from '../../graph/index.ts';
import { PART } from './blocks.ts';
import { mergeAlong, type Partial } from './online-softmax.ts';
import { exact, type HeadShape, type Source } from './source.ts';

/** Attention over packed blocks (packed-blocks.ts). Inputs are those of `packedInputs`. */

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
 * In a decode step products of integers read keys and values as they lie. Queries are rounded to 8 bits as keys are, after
 * the same Hadamard transform, with one factor for all heads. Weights, multiplied by the factors of the values, are rounded to
 * 16 bits of the largest possible in their part: two bytes, which are two rows of one product. So they are exponentials, of which
 * the largest is 1, where softmax would round most of them away.
 *
 * @param q [KV, G, 1, d], multiplied by d^-0.5
 * @param name how the names of the inputs begin; `{name}.mask` [N, 1, 1, PART]
 * @param N name of the number of parts
 */
export function attendPacked(q: Tensor, name: string, N: string, { masked, bytes }: PackedKind): Partial {
  const [KV, G, , d] = q.shape as [number, number, 1, number];
  const of = (kind: string, dtype: 'float32' | RightBytes, ...dims: number[]) =>
    input(`${name}.${kind}`, dtype, [N, KV, ...dims]);
  const transformed = reshape(hadamardRows(q), [KV * G * d]);
  const size = maximum(max(abs(transformed), 0), SMALLEST_ROUNDED);
  const levels = nearestByte(mul(transformed, div(127, size)), ZERO_BYTE);
  const products = integerProduct(reshape(levels, [1, KV, G, d]), of('k', bytes, d, PART), {
    zero: ZERO_BYTE,
    scale: mul(size, 1 / 127),
    scales: of('kFactors', 'float32', 1, PART),
  });
  // [N, KV, G, PART]
  const scores = masked ? add(products, input(`${name}.mask`, 'float32', [N, 1, 1, PART])) : products;
  const m = max(scores, -1, true);
  const weights = exp(sub(scores, m));
  const l = sum(weights, -1, true);
  /** [N, KV, 2, ...]: each multiplied for the higher and the lower byte. */
  const byDigit = (x: Tensor, factors: number[]) => mul(unsqueeze(x, 2), constant(factors, [2, 1, 1]));
  const shares = byDigit(of('vShares', 'float32', 1, PART), [TOP / BYTE, TOP]);
  const digits = reshape(lastByte(mul(unsqueeze(weights, 2), shares)), [N, KV, 2 * G, PART]);
  const sums = reshape(integerProduct(digits, of('v', bytes, PART, d)), [N, KV, 2, G, d]);
  const factors = byDigit(div(of('vLargest', 'float32', 1, 1), l), [BYTE / TOP, 1 / TOP]);
  return mergeAlong(0, [{ m, l, o: sum(mul(sums, factors), 2) }], [KV, G, 1]);
}

/** In prefill: the parts as float32, side by side [KV, 1, 1, N PART, d]. */
export function dequantized({ KV, d }: HeadShape, bytes: RightBytes, mask?: Tensor): Source {
  const of = (kind: string, dtype: 'float32' | RightBytes, ...dims: number[]) =>
    input(kind, dtype, ['N', KV, ...dims]);
  const levels = (kind: string, ...dims: number[]) => {
    const values = cast(of(kind, bytes, ...dims), 'float32');
    return bytes === 'int8' ? values : sub(values, ZERO_BYTE);
  };
  const k = mul(levels('k', d, PART), of('kFactors', 'float32', 1, PART));
  const factors = mul(of('vShares', 'float32', 1, PART), of('vLargest', 'float32', 1, 1));
  const v = mul(levels('v', PART, d), reshape(factors, ['N', KV, PART, 1]));
  const rows = (x: Tensor, axes: readonly number[]) =>
    reshape(transpose(x, axes), [KV, 1, 1, mulDims('N', PART), d]);
  const source = exact(rows(k, [1, 0, 3, 2]), rows(v, [1, 0, 2, 3]), { mask, scale: d ** -0.5 });
  return { ...source, score: (q) => source.score(hadamardRows(q)) };
}
