import { type RightBytes, ZERO_BYTE } from './bytes.ts';
import { constant } from './ops/constant.ts';
import { abs, div, maximum, mul } from './ops/elementwise.ts';
import { nearestByte } from './ops/integers.ts';
import { matmul } from './ops/matmul.ts';
import { max } from './ops/reduce.ts';
import { reshape } from './ops/shape.ts';
import { hadamard, rotationSize } from './quantized.ts';
import type { Tensor } from './tensor.ts';

/** Rows of values [..., K] in 8 bits. */

/** What is smaller counts as zero: a factor of it would not be a normal number. */
export const SMALLEST_ROUNDED = 1e-30;

/** Rows multiplied by Hadamard matrices of `rotationSize(K)` along the diagonal, which spreads large values. */
export function hadamardRows(x: Tensor): Tensor {
  const K = x.shape.at(-1) as number;
  const size = rotationSize(K);
  const parts = reshape(x, [...x.shape.slice(0, -1), K / size, size]);
  return reshape(matmul(parts, constant(hadamard(size).data, [size, size])), x.shape);
}

/**
 * `levels` [..., K], -127 to 127, as right factors of products of bytes, and the `largest` value of each row [..., 1]: a
 * value is levels largest / 127.
 */
export function roundedRows(x: Tensor, type: RightBytes = 'int8'): Record<'levels' | 'largest', Tensor> {
  const largest = maximum(max(abs(x), -1, true), SMALLEST_ROUNDED);
  const zero = type === 'int8' ? null : ZERO_BYTE;
  return { levels: nearestByte(mul(x, div(127, largest)), zero), largest };
}
