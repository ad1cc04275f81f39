import {
  add,
  cast,
  constant,
  div,
  exp,
  float32,
  hadamard,
  input,
  integerProduct,
  lastDigit,
  matmul,
  max,
  maximum,
  mul,
  mulDims,
  reshape,
  rotationSize,
  sub,
  sum,
  transpose,
  unsqueeze,
  Value,
} from '../graph/index.ts';
import { type Block, PART } from './kv-blocks.ts';
import type { Keys } from './several-queries.ts';
import type { HeadShape, Sums } from './single-query.ts';
import { turnRows } from './turn-rows.ts';

/**
 * What the programs of cached-attention.ts make of packed blocks (packed-blocks.ts).
 *
 * One query is compared by products of integers, which read the cache as it lies. It is rounded to 8 bits as keys are,
 * after the same turn, with one factor for all heads. The weights of values, multiplied by the values' factors, are
 * rounded to 16 bits of the largest possible in their part: two digits, which are two rows of one product. Where
 * products of bytes are exact for 7 bits only, digits have the base 128 in place of 256.
 *
 * Several queries take the block as float32, a few parts at a time.
 */

/** A query [H, d], turned, as integers around half of the base, and their factor with that of all scores. */
export function roundedQuery(
  q: Float32Array,
  { H, KV, d }: HeadShape,
  base: number,
): Record<'levels' | 'scale', Value> {
  const turned = turnRows(q.slice(), rotationSize(d));
  const largest = turned.reduce((top, x) => Math.max(top, Math.abs(x)), 1e-30);
  const [zero, top] = [base / 2, base / 2 - 1];
  return {
    levels: new Value(
      'uint8',
      Uint8Array.from(turned, (x) => Math.round((x / largest) * top) + zero),
      [1, KV, H / KV, d],
    ),
    scale: float32(Float32Array.of((largest / top) * d ** -0.5), []),
  };
}

/** Inputs of a packed block, or of some of its parts, over the same memory. */
export function packedInputs(
  { k, v, factors }: Block,
  from = 0,
  parts = k.dims[0] as number,
): Record<'k' | 'v' | 'kFactors' | 'vFactors', Value> {
  const of = (value: Value) => {
    const [all, ...rest] = value.dims as [number, ...number[]];
    const size = value.size / all;
    const data = (value.data as Float32Array | Int8Array).subarray(from * size, (from + parts) * size);
    return new Value(value.type as 'float32', data as Float32Array, [parts, ...rest]);
  };
  return { k: of(k), v: of(v), kFactors: of(factors!.k), vFactors: of(factors!.v) };
}

/** Sums of each part of a packed block for one query of each head [N, KV, G, 1 or d]. */
export function packedParts({ H, KV, d }: HeadShape, base: number): (n: number, hides: boolean) => Sums {
  const G = H / KV;
  const q = input('levels', 'uint8', [1, KV, G, d]);
  const scale = input('scale', 'float32', []);
  const top = base * base - 1;
  const digits = constant([1 / base, 1], [2, 1, 1]);
  const worth = constant([base, 1], [2, 1, 1]);
  return (n, hides) => {
    const N = `N${n}`;
    const factors = (name: string) => input(`${name}${n}`, 'float32', [N, KV, 1, PART]);
    const k = input(`k${n}`, 'int8', [N, KV, d, PART]);
    const v = input(`v${n}`, 'int8', [N, KV, PART, d]);
    let scores = integerProduct(q, k, { zero: base / 2, scale, scales: factors('kFactors') });
    if (hides) scores = add(scores, input(`bias${n}`, 'float32', [N, 1, 1, PART]));
    const m = max(scores, -1, true);
    const weights = exp(sub(scores, m));
    const l = sum(weights, -1, true);
    const vFactors = factors('vFactors');
    const largest = maximum(max(vFactors, -1, true), 1e-30);
    // [N, KV, 2, 1, PART]
    const shares = mul(unsqueeze(mul(vFactors, div(top, largest)), 2), digits);
    const rows = lastDigit(mul(unsqueeze(weights, 2), shares), base);
    const products = integerProduct(reshape(rows, [N, KV, 2 * G, PART]), v);
    const weighted = sum(mul(reshape(products, [N, KV, 2, G, d]), worth), 2);
    return { m, l, o: mul(weighted, div(div(largest, top), l)) };
  };
}

/** Keys and values of some parts as float32, side by side. */
export function packedKeys({ KV, d }: HeadShape): Keys {
  const size = rotationSize(d);
  const rotation = constant(hadamard(size).data, [size, size]);
  const C = mulDims('N', PART);
  const factors = (name: string) => input(name, 'float32', ['N', KV, 1, PART]);
  const k = mul(cast(input('k', 'int8', ['N', KV, d, PART]), 'float32'), factors('kFactors'));
  const v = mul(
    cast(input('v', 'int8', ['N', KV, PART, d]), 'float32'),
    reshape(factors('vFactors'), ['N', KV, PART, 1]),
  );
  return {
    k: reshape(transpose(k, [1, 0, 3, 2]), [KV, C, d]),
    v: reshape(transpose(v, [1, 0, 2, 3]), [KV, C, d]),
    turn: (q) => reshape(matmul(reshape(q, [...q.shape.slice(0, -1), d / size, size]), rotation), q.shape),
  };
}
