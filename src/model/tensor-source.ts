import type { Quantized } from '../graph/index.ts';

/** Element types found in checkpoints. Quantised GGUF blocks are decoded by their reader and appear as F32. */
export type StoredDtype = 'F32' | 'F16' | 'BF16' | 'F64' | 'I64' | 'I32' | 'I16' | 'I8' | 'U8' | 'BOOL';

export interface TensorInfo {
  name: string;
  dtype: StoredDtype;
  /** Sizes, outermost first. A linear layer's weight is [out, in]. */
  shape: number[];
}

/** Named read-only weights, read one at a time when asked for: a checkpoint on disk or tensors in memory. */
export interface TensorSource {
  names(): string[];
  has(name: string): boolean;
  /** Throws InputError naming the tensor and the file when absent. */
  info(name: string): TensorInfo;
  /** The values as float32, row-major. Reads from disk at each call. */
  read(name: string): Float32Array<ArrayBuffer>;
  /** `count` values from the given one on, both multiples of 32 where the tensor is held in few bits. */
  part?(name: string, from: number, count: number): Float32Array<ArrayBuffer>;
  /** The bytes of a tensor as they are stored, a few megabytes at a time. */
  pieces?(name: string): Iterable<Uint8Array>;
  /** A matrix that is held in few bits, as it is; null for others. */
  quantized?(name: string): Quantized | null;
}
