import { closeSync, openSync, renameSync, writeSync } from 'node:fs';
import { encodeF16 } from '../../src/model/float-bits.ts';
import { Random } from '../../src/util/random.ts';
import { noise, repeated } from './noise.ts';

/**
 * GGUF files of version 3 (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md) with random weights, for
 * benchmarks of llama.cpp.
 */

/** A whole number is written as uint32; a number of another kind says so. */
export type MetadataValue = number | string | boolean[] | number[] | string[] | { float: number };

const TYPES = { F32: 0, Q4_0: 2, Q8_0: 8 } as const;
export type GgufType = keyof typeof TYPES;

export interface GgufTensor {
  name: string;
  /** Sizes, innermost first; the first a multiple of 32 where quantised. */
  dims: number[];
  type: GgufType;
  /** Of the values that are drawn, or their one value. */
  values: { deviation: number } | { constant: number };
}

const ALIGNMENT = 32;
/** Blocks drawn for a tensor; they repeat. A prime number, so that rows do not begin alike. */
const BLOCKS = 4093;

export function writeGguf(
  path: string,
  metadata: Readonly<Record<string, MetadataValue>>,
  tensors: readonly GgufTensor[],
): void {
  const beside = `${path}.tmp`;
  const file = openSync(beside, 'w');
  try {
    const header = ggufHeader(metadata, tensors);
    writeSync(file, header);
    for (const tensor of tensors) {
      const bytes = tensorBytes(tensor);
      for (const part of repeated(tensorBlock(tensor), bytes)) writeSync(file, part);
      writeSync(file, new Uint8Array(aligned(bytes) - bytes));
    }
  } finally {
    closeSync(file);
  }
  renameSync(beside, path);
}

/** All before the data of the tensors, filled up to where they begin. */
function ggufHeader(
  metadata: Readonly<Record<string, MetadataValue>>,
  tensors: readonly GgufTensor[],
): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  const u32 = (value: number) => parts.push(new Uint8Array(new Uint32Array([value]).buffer));
  const u64 = (value: number) => parts.push(new Uint8Array(new BigUint64Array([BigInt(value)]).buffer));
  const f32 = (value: number) => parts.push(new Uint8Array(new Float32Array([value]).buffer));
  const text = (value: string) => {
    const bytes = new TextEncoder().encode(value);
    u64(bytes.length);
    parts.push(bytes);
  };
  parts.push(new TextEncoder().encode('GGUF'));
  u32(3);
  u64(tensors.length);
  u64(Object.keys(metadata).length);
  for (const [key, value] of Object.entries(metadata)) {
    text(key);
    if (typeof value === 'string') {
      u32(8);
      text(value);
    } else if (typeof value === 'number') {
      u32(4);
      u32(value);
    } else if (!Array.isArray(value)) {
      u32(6);
      f32(value.float);
    } else {
      u32(9);
      const [first] = value;
      u32(typeof first === 'boolean' ? 7 : typeof first === 'string' ? 8 : 5);
      u64(value.length);
      for (const item of value) {
        if (typeof item === 'boolean') parts.push(Uint8Array.of(item ? 1 : 0));
        else if (typeof item === 'string') text(item);
        else u32(item);
      }
    }
  }
  let offset = 0;
  for (const tensor of tensors) {
    text(tensor.name);
    u32(tensor.dims.length);
    for (const dim of tensor.dims) u64(dim);
    u32(TYPES[tensor.type]);
    u64(offset);
    offset += aligned(tensorBytes(tensor));
  }
  const bytes = Buffer.concat(parts);
  const header = new Uint8Array(aligned(bytes.length));
  header.set(bytes);
  return header;
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

/** Bytes of a block of 32 values: of the quantised types a scale in half precision and the values. */
function blockBytes(type: GgufType): number {
  return type === 'F32' ? 128 : type === 'Q8_0' ? 34 : 18;
}

function tensorBytes({ name, dims, type }: GgufTensor): number {
  const values = dims.reduce((a, b) => a * b, 1);
  if (type === 'F32') return 4 * values;
  if (dims[0]! % 32 !== 0) throw new Error(`${name}: rows of ${dims[0]} are no whole blocks of 32`);
  return (values / 32) * blockBytes(type);
}

/** What the data of a tensor repeats. */
function tensorBlock({ name, dims, type, values }: GgufTensor): Uint8Array<ArrayBuffer> {
  const random = new Random(name.length);
  if (type === 'F32') {
    const size = Math.min(
      dims.reduce((a, b) => a * b, 1),
      1 << 20,
    );
    const data =
      'constant' in values
        ? new Float32Array(size).fill(values.constant)
        : noise(size, values.deviation, name.length);
    return new Uint8Array(data.buffer);
  }
  if ('constant' in values) throw new Error(`${name}: constants are written as F32`);
  const bytes = blockBytes(type);
  const data = new Uint8Array(BLOCKS * bytes);
  for (let i = 0; i < data.length; i++) data[i] = random.below(256);
  // Of whole numbers drawn uniformly over 256 or 16 values, the deviation is the width over the root of 12.
  const width = type === 'Q8_0' ? 256 : 16;
  const scale = encodeF16(Float32Array.of((values.deviation * Math.sqrt(12)) / width))[0]!;
  for (let at = 0; at < data.length; at += bytes) {
    data[at] = scale & 255;
    data[at + 1] = scale >>> 8;
  }
  return data;
}
