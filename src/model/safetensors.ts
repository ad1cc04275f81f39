/** Safetensors files on disk. */
import { InputError } from '../util/errors.ts';
import { writeFileAtomic } from '../util/files.ts';
import { FileBytes } from './file-bytes.ts';
import { encodeBF16, encodeF16 } from './float-bits.ts';
import { DTYPE_BYTES, Safetensors } from './safetensors-reader.ts';
import type { StoredDtype } from './tensor-source.ts';

/** Bytes converted at a time. */
const CHUNK = 1 << 23;

export class SafetensorsFile extends Safetensors {
  /** Throws InputError when there is no such file, and as Safetensors does. */
  constructor(path: string) {
    super(new FileBytes(path));
  }
}

/** Element types that are written. */
export const WRITTEN_DTYPES = ['F32', 'F16', 'BF16'] as const;
export type WrittenDtype = (typeof WRITTEN_DTYPES)[number];

/** Bytes as they are, or values that are rounded to what is written. */
type TensorData = Float32Array | Uint8Array;

export interface TensorToWrite {
  name: string;
  dtype: WrittenDtype | 'U8';
  shape: number[];
  /** Row-major values, or how to get them when their turn comes, so that not all are in memory at once. */
  data: TensorData | (() => TensorData);
}

/**
 * Writes a file in the order of `tensors`, rounding to each tensor's dtype (nearest, ties to even). The header is
 * padded so that the values begin at a multiple of 8. The file appears when it is complete.
 *
 * @param previous a name under which the file that was there before is kept
 * @throws InputError for a name given twice, or when the number of values does not fit the shape.
 */
export function writeSafetensors(
  path: string,
  tensors: Iterable<TensorToWrite>,
  metadata: Record<string, string> = { format: 'pt' },
  previous?: string,
): void {
  writeFileAtomic(path, safetensorsParts(path, [...tensors], metadata), previous);
}

/** The bytes of the file that writeSafetensors writes, in order; `path` is for messages. */
export function* safetensorsParts(
  path: string,
  tensors: TensorToWrite[],
  metadata: Record<string, string> = { format: 'pt' },
): Generator<Uint8Array> {
  const header = new Map<string, unknown>([['__metadata__', metadata]]);
  let at = 0;
  for (const { name, dtype, shape } of tensors) {
    if (header.has(name)) throw new InputError(`${path}: tensor '${name}' is given twice`);
    const end = at + tensorBytes(shape, dtype);
    header.set(name, { dtype, shape, data_offsets: [at, end] });
    at = end;
  }
  const json = Buffer.from(JSON.stringify(Object.fromEntries(header)));
  const padded = Math.ceil(json.length / 8) * 8;
  const head = Buffer.alloc(8 + padded, ' ');
  head.writeBigUInt64LE(BigInt(padded), 0);
  json.copy(head, 8);
  yield head;

  for (const { name, dtype, shape, data } of tensors) {
    const values = typeof data === 'function' ? data() : data;
    const expected = tensorBytes(shape, 'F32') / 4;
    if (values.length !== expected) {
      throw new InputError(
        `${path}: tensor '${name}' of shape [${shape}] takes ${expected} values, got ${values.length}`,
      );
    }
    if (dtype === 'F32' || !(values instanceof Float32Array)) {
      yield new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
      continue;
    }
    const encode = dtype === 'F16' ? encodeF16 : encodeBF16;
    for (let i = 0; i < values.length; i += CHUNK / 4) {
      yield new Uint8Array(encode(values.subarray(i, i + CHUNK / 4)).buffer);
    }
  }
}

/** Bytes that a tensor's values take in a file. */
export function tensorBytes(shape: number[], dtype: StoredDtype): number {
  return shape.reduce((product, size) => product * size, 1) * DTYPE_BYTES[dtype];
}
