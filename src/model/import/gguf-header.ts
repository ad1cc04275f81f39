/**
 * The header of a GGUF file (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md), versions 2 and 3: metadata as
 * key and value, and for each tensor its type, sizes and place. (@huggingface/gguf reads this too, but takes zeros for
 * what a truncated file lacks.)
 */
import { InputError } from '../../util/errors.ts';
import type { FileBytes } from '../file-bytes.ts';

export type GgufValue = number | bigint | boolean | string | GgufValue[];

export interface GgufTensor {
  name: string;
  /** Sizes, innermost first. */
  dims: number[];
  /** ggml's number of the element type. */
  type: number;
  /** Position of the first block in the file. */
  position: number;
}

export interface GgufHeader {
  metadata: Map<string, GgufValue>;
  tensors: GgufTensor[];
}

export const GGUF_MAGIC = 0x46554747; // 'GGUF' read as a little-endian integer
const WINDOW = 1 << 22;

/** Reads forward through a file, a window of it at a time. */
class Cursor {
  position = 0;
  private readonly file: FileBytes;
  private window: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  private windowAt = 0;

  constructor(file: FileBytes) {
    this.file = file;
  }

  private view(bytes: number): DataView {
    const offset = this.position - this.windowAt;
    if (offset + bytes > this.window.length) {
      const length = Math.max(bytes, Math.min(WINDOW, this.file.size - this.position));
      this.window = this.file.bytes(this.position, length, 'the GGUF header');
      this.windowAt = this.position;
    }
    const view = new DataView(this.window.buffer, this.position - this.windowAt, bytes);
    this.position += bytes;
    return view;
  }

  u32(): number {
    return this.view(4).getUint32(0, true);
  }

  /** A count or an offset: more than the file has bytes cannot be right. */
  count(): number {
    const value = this.view(8).getBigUint64(0, true);
    if (value > BigInt(this.file.size)) {
      throw new InputError(
        `${this.file.path}: the GGUF header counts ${value} at byte ${this.position - 8}, more than the file has bytes`,
      );
    }
    return Number(value);
  }

  text(): string {
    const length = this.count();
    const { buffer, byteOffset, byteLength } = this.view(length);
    return new TextDecoder().decode(new Uint8Array(buffer, byteOffset, byteLength));
  }

  value(type: number): GgufValue {
    switch (type) {
      case 0:
        return this.view(1).getUint8(0);
      case 1:
        return this.view(1).getInt8(0);
      case 2:
        return this.view(2).getUint16(0, true);
      case 3:
        return this.view(2).getInt16(0, true);
      case 4:
        return this.u32();
      case 5:
        return this.view(4).getInt32(0, true);
      case 6:
        return this.view(4).getFloat32(0, true);
      case 7:
        return this.view(1).getUint8(0) !== 0;
      case 8:
        return this.text();
      case 9: {
        const element = this.u32();
        const count = this.count();
        return Array.from({ length: count }, () => this.value(element));
      }
      case 10:
        return this.view(8).getBigUint64(0, true);
      case 11:
        return this.view(8).getBigInt64(0, true);
      case 12:
        return this.view(8).getFloat64(0, true);
      default:
        throw new InputError(
          `${this.file.path}: value type ${type} at byte ${this.position} is none of GGUF's`,
        );
    }
  }
}

/** @throws InputError when the file is truncated or is no GGUF of version 2 or 3 */
export function readGgufHeader(file: FileBytes): GgufHeader {
  const cursor = new Cursor(file);
  if (cursor.u32() !== GGUF_MAGIC)
    throw new InputError(`${file.path} is no GGUF file: it does not begin with 'GGUF'`);
  const version = cursor.u32();
  if (version !== 2 && version !== 3) {
    throw new InputError(`${file.path} is of GGUF version ${version}, expected 2 or 3 (little endian)`);
  }
  const tensorCount = cursor.count();
  const metadataCount = cursor.count();
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < metadataCount; i++) metadata.set(cursor.text(), cursor.value(cursor.u32()));
  const tensors = Array.from({ length: tensorCount }, () => {
    const name = cursor.text();
    const rank = cursor.u32();
    if (rank > 4)
      throw new InputError(`${file.path}: tensor '${name}' has ${rank} dimensions, expected at most 4`);
    const dims = Array.from({ length: rank }, () => cursor.count());
    return { name, dims, type: cursor.u32(), position: cursor.count() };
  });
  const alignment = Number(metadata.get('general.alignment') ?? 32);
  const dataAt = Math.ceil(cursor.position / alignment) * alignment;
  for (const tensor of tensors) tensor.position += dataAt;
  return { metadata, tensors };
}
