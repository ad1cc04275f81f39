import type { DType } from './tensor.ts';

/**
 * Types of a right factor in products of bytes, whose left one is uint8. As uint8, ZERO_BYTE stands for 0.
 *
 * ONNX Runtime has kernels for both. Those for int8 are the faster ones where the processor has an instruction for them
 * (VNNI); without it they multiply by vpmaddubsw, which adds pairs of products in 16 bits and saturates: what is too large
 * for these is wrong. Those for uint8 widen both factors first and are exact on every processor.
 */
export type RightBytes = 'int8' | 'uint8';

export const ZERO_BYTE = 128;

export function isByte(dtype: DType): dtype is RightBytes {
  return dtype === 'int8' || dtype === 'uint8';
}
