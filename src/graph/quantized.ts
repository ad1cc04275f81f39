/**
 * Matrices of 8 or 4 bits a value: blocks of 32 along a row share a factor,
 *
 *   w = (q - 2^(bits - 1)) scale
 *
 * as ONNX Runtime's MatMulNBits has it.
 */
import { type NdArray, ndarray } from './ndarray.ts';
import type { Tensor } from './tensor.ts';
import { topologicalOrder } from './tensor.ts';

export const QUANTIZED_BLOCK = 32;

export type Bits = 4 | 8;

export interface Quantized {
  bits: Bits;
  /** Rows and columns [N, K]. */
  shape: readonly [number, number];
  /** [N, K / 32, 4 * bits] bytes; of 4 bits, the first of two values in the lower half of a byte. Filled up to whole blocks. */
  data: Uint8Array<ArrayBuffer>;
  /** [N, K / 32] */
  scales: Float32Array<ArrayBuffer>;
}

/**
 * @param values [N, K]
 * @param round of the scales, where they will be stored less exactly
 */
export function quantize(
  values: Float32Array,
  shape: readonly [number, number],
  bits: Bits,
  round: (scales: Float32Array<ArrayBuffer>) => Float32Array<ArrayBuffer> = (scales) => scales,
): Quantized {
  const [N, K] = shape;
  const blocks = Math.ceil(K / QUANTIZED_BLOCK);
  const zero = 2 ** (bits - 1);
  const exact = new Float32Array(N * blocks);
  for (let block = 0; block < exact.length; block++) {
    const [from, to] = places(block, blocks, K);
    let largest = 0;
    for (let i = from; i < to; i++) if (Math.abs(values[i]!) > Math.abs(largest)) largest = values[i]!;
    // Of 4 bits, the level without a counterpart goes to the largest value, whatever its sign.
    exact[block] = bits === 4 ? largest / -zero || 0 : Math.abs(largest) / (zero - 1);
  }
  const scales = round(exact);
  const data = new Uint8Array((scales.length * QUANTIZED_BLOCK * bits) / 8).fill(bits === 4 ? 0x88 : zero);
  for (let block = 0; block < scales.length; block++) {
    const inverse = scales[block] === 0 ? 0 : 1 / scales[block]!;
    const [from, to] = places(block, blocks, K);
    for (let i = from; i < to; i++) {
      const q = Math.max(0, Math.min(2 * zero - 1, Math.round(values[i]! * inverse) + zero));
      const at = block * QUANTIZED_BLOCK + i - from;
      if (bits === 8) data[at] = q;
      else data[at >> 1] = at & 1 ? (data[at >> 1]! & 0x0f) | (q << 4) : (data[at >> 1]! & 0xf0) | q;
    }
  }
  return { bits, shape, data, scales };
}

/** Rows from `first` on, as float32. */
export function dequantize(
  { bits, shape, data, scales }: Quantized,
  first = 0,
  rows = shape[0] - first,
  into = new Float32Array(rows * shape[1]),
): Float32Array<ArrayBuffer> {
  const K = shape[1];
  const blocks = Math.ceil(K / QUANTIZED_BLOCK);
  const zero = 2 ** (bits - 1);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < K; column++) {
      const block = (first + row) * blocks + Math.floor(column / QUANTIZED_BLOCK);
      const at = block * QUANTIZED_BLOCK + (column % QUANTIZED_BLOCK);
      const q = bits === 8 ? data[at]! : at & 1 ? data[at >> 1]! >> 4 : data[at >> 1]! & 0x0f;
      into[row * K + column] = (q - zero) * scales[block]!;
    }
  }
  return into;
}

/**
 * Matrices of 8 bits a value for products with many rows. ONNX Runtime's products of integers are several times as fast
 * as those with blocks, but take one factor for each row of a matrix, and one large value in a row leaves the others few
 * of the 255 levels. So both factors are turned first, by the same orthogonal matrix, which changes nothing of the
 * product and spreads large values over their neighbours (Ashkboos et al. 2024, QuaRot):
 *
 *   x W^T = (x R) (W R)^T,   w[n, k] = data[k, n] scales[n] for the entries w of W R
 *
 * R has Hadamard matrices along its diagonal.
 */
export interface RowQuantized {
  /** Rows and columns [N, K]. */
  shape: readonly [number, number];
  /** [K, N] */
  data: Int8Array<ArrayBuffer>;
  /** [N] */
  scales: Float32Array<ArrayBuffer>;
}

const LARGEST_ROTATION = 64;

/** Size of the Hadamard matrices for rows of K values: a power of two that divides K. */
export function rotationSize(K: number): number {
  let size = 1;
  while (size < LARGEST_ROTATION && K % (2 * size) === 0) size *= 2;
  return size;
}

/** The orthonormal, symmetric matrix of signs [size, size]. */
export function hadamard(size: number): NdArray {
  const odd = (bits: number): number => (bits === 0 ? 0 : (bits & 1) ^ odd(bits >> 1));
  return ndarray(
    [size, size],
    Array.from({ length: size * size }, (_, i) => {
      const [row, column] = [Math.floor(i / size), i % size];
      return (odd(row & column) ? -1 : 1) / Math.sqrt(size);
    }),
  );
}

/** Several one below the other. */
export function stackQuantized(parts: readonly Quantized[]): Quantized {
  const [{ bits, shape }] = parts as [Quantized];
  const rows = parts.reduce((sum, part) => sum + part.shape[0], 0);
  const join = <A extends Uint8Array<ArrayBuffer> | Float32Array<ArrayBuffer>>(arrays: A[], all: A): A => {
    let at = 0;
    for (const array of arrays) {
      all.set(array, at);
      at += array.length;
    }
    return all;
  };
  const size = (arrays: { length: number }[]) => arrays.reduce((sum, { length }) => sum + length, 0);
  const data = parts.map((part) => part.data);
  const scales = parts.map((part) => part.scales);
  return {
    bits,
    shape: [rows, shape[1]],
    data: join(data, new Uint8Array(size(data))),
    scales: join(scales, new Float32Array(size(scales))),
  };
}

/** Where a block's values lie in the matrix. */
function places(block: number, blocks: number, K: number): [number, number] {
  const [row, column] = [Math.floor(block / blocks), (block % blocks) * QUANTIZED_BLOCK];
  return [row * K + column, row * K + Math.min(K, column + QUANTIZED_BLOCK)];
}

/** The inputs that are nothing but weights x W^T of linear layers and tables of `take`: what may be given in few bits. */
export function linearWeights(outputs: readonly Tensor[]): Set<Tensor> {
  const found = new Set<Tensor>();
  const others = new Set<Tensor>();
  for (const node of topologicalOrder(outputs)) {
    const { transA, transB, alpha } = node.attributes;
    const linear = node.op.name === 'matmul' && transB && !transA && alpha === 1;
    const place = linear ? 1 : node.op.name === 'take' ? 0 : null;
    for (const [i, x] of node.inputs.entries()) {
      if (x.node.op.name === 'input') (i === place && x.rank === 2 ? found : others).add(x);
    }
  }
  for (const x of others) found.delete(x);
  return found;
}
