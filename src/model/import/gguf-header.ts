/**
 * The header of a GGUF file (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md), versions 2 and 3: metadata as
 * key and value, and for each tensor its type, sizes and place. (@huggingface/gguf reads this too, but takes zeros for
 * what a truncated file lacks.)
 */
import { InputError } from '../../util/errors.ts';
import type { Bytes } from '../bytes.ts';
import { shown } from '../json-fields.ts';

export type GgufValue = number | bigint | boolean | string | readonly string[] | GgufNumbers;

/** A list of numbers or of truth values, in as much memory as it takes in the file. */
type GgufNumbers =
  | Uint8Array<ArrayBuffer>
  | Int8Array<ArrayBuffer>
  | Uint16Array<ArrayBuffer>
  | Int16Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>
  | Float32Array<ArrayBuffer>
  | BigUint64Array<ArrayBuffer>
  | BigInt64Array<ArrayBuffer>
  | Float64Array<ArrayBuffer>;

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
/** Of a key, and of a tensor's name, which llama.cpp holds to 64. */
const LONGEST_NAME = 65535;
const MOST_DIMENSIONS = 4;
const [TEXT, LIST] = [8, 9];
/** The fewest bytes of an entry of the metadata (key, type, value) and of a tensor (name, rank, type, offset). */
const [LEAST_ENTRY, LEAST_TENSOR] = [13, 24];

/** The types of numbers by GGUF's numbers; 7 are truth values. */
const NUMBERS = new Map<number, { bytes: number; list: new (data: ArrayBuffer) => GgufNumbers }>([
  [0, { bytes: 1, list: Uint8Array }],
  [1, { bytes: 1, list: Int8Array }],
  [2, { bytes: 2, list: Uint16Array }],
  [3, { bytes: 2, list: Int16Array }],
  [4, { bytes: 4, list: Uint32Array }],
  [5, { bytes: 4, list: Int32Array }],
  [6, { bytes: 4, list: Float32Array }],
  [7, { bytes: 1, list: Uint8Array }],
  [10, { bytes: 8, list: BigUint64Array }],
  [11, { bytes: 8, list: BigInt64Array }],
  [12, { bytes: 8, list: Float64Array }],
]);

/** Reads forward through a file, a window of it at a time. Nothing is made of a size that the file cannot fill. */
class Cursor {
  position = 0;
  private readonly file: Bytes;
  private window: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  private windowAt = 0;

  constructor(file: Bytes) {
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

  /** A number of bytes: more than the file has cannot be right. */
  size(): number {
    return this.count(1, 'bytes', this.file.size);
  }

  /** How many of something follow, each of so many bytes at least. */
  count(bytes: number, what: string, within = this.file.size - this.position - 8): number {
    const at = this.position;
    const value = this.view(8).getBigUint64(0, true);
    if (value > BigInt(Math.max(0, Math.floor(within / bytes)))) {
      throw new InputError(
        `${this.file.path}: the GGUF header counts ${value} ${what} at byte ${at}, more than the file has room for`,
      );
    }
    return Number(value);
  }

  text(longest = this.file.size): string {
    const at = this.position;
    const length = this.size();
    if (length > longest) {
      throw new InputError(
        `${this.file.path}: a name of ${length} bytes at byte ${at}, expected at most ${longest}`,
      );
    }
    const { buffer, byteOffset, byteLength } = this.view(length);
    return new TextDecoder().decode(new Uint8Array(buffer, byteOffset, byteLength));
  }

  value(key: string): GgufValue {
    const type = this.u32();
    if (type === TEXT) return this.text();
    if (type === LIST) return this.list(key);
    const value = this.numbers(key, type, 1)[0]!;
    return type === 7 ? value !== 0 : value;
  }

  private list(key: string): GgufValue {
    const type = this.u32();
    if (type === LIST) {
      throw new InputError(`${this.file.path}: ${key} is a list of lists, which GGUF's readers do not take`);
    }
    if (type !== TEXT) return this.numbers(key, type);
    const texts: string[] = [];
    for (let left = this.count(8, 'texts'); left > 0; left--) texts.push(this.text());
    return texts;
  }

  /** @param given how many; what the file says where absent */
  private numbers(key: string, type: number, given?: number): GgufNumbers {
    const kind = NUMBERS.get(type);
    if (!kind) {
      throw new InputError(
        `${this.file.path}: ${key} is of value type ${type} at byte ${this.position - 4}, which is none of GGUF's`,
      );
    }
    const length = kind.bytes * (given ?? this.count(kind.bytes, 'numbers'));
    if (given === undefined) {
      const data = this.file.bytes(this.position, length, 'the GGUF header');
      this.position += length;
      return new kind.list(data.buffer);
    }
    const { buffer, byteOffset } = this.view(length);
    return new kind.list(buffer.slice(byteOffset, byteOffset + length) as ArrayBuffer);
  }
}

/**
 * @throws InputError when the file is truncated, is no GGUF of version 2 or 3, counts what it has no room for, or names
 * a key or a tensor twice
 */
export function readGgufHeader(file: Bytes): GgufHeader {
  const cursor = new Cursor(file);
  if (cursor.u32() !== GGUF_MAGIC)
    throw new InputError(`${file.path} is no GGUF file: it does not begin with 'GGUF'`);
  const version = cursor.u32();
  if (version !== 2 && version !== 3) {
    throw new InputError(`${file.path} is of GGUF version ${version}, expected 2 or 3 (little endian)`);
  }
  const tensorCount = cursor.count(LEAST_TENSOR, 'tensors');
  const metadataCount = cursor.count(LEAST_ENTRY, 'entries of metadata');
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < metadataCount; i++) {
    const key = cursor.text(LONGEST_NAME);
    if (metadata.has(key)) throw new InputError(`${file.path}: the key ${shown(key)} is there twice`);
    metadata.set(key, cursor.value(key));
  }
  const tensors = new Map<string, GgufTensor>();
  for (let i = 0; i < tensorCount; i++) {
    const name = cursor.text(LONGEST_NAME);
    if (tensors.has(name)) throw new InputError(`${file.path}: tensor '${name}' is there twice`);
    const rank = cursor.u32();
    if (rank > MOST_DIMENSIONS) {
      throw new InputError(
        `${file.path}: tensor '${name}' has ${rank} dimensions, expected at most ${MOST_DIMENSIONS}`,
      );
    }
    // The smallest block types of ggml have about five values to a byte.
    const dims: number[] = [];
    for (let d = 0; d < rank; d++) dims.push(cursor.count(1, 'values of a dimension', 64 * file.size));
    tensors.set(name, { name, dims, type: cursor.u32(), position: cursor.size() });
  }
  const alignment = alignmentOf(file.path, metadata.get('general.alignment'));
  const dataAt = Math.ceil(cursor.position / alignment) * alignment;
  for (const tensor of tensors.values()) {
    if (tensor.position % alignment !== 0) {
      throw new InputError(
        `${file.path}: tensor '${tensor.name}' begins at offset ${tensor.position}, expected a multiple of ${alignment}`,
      );
    }
    tensor.position += dataAt;
  }
  return { metadata, tensors: [...tensors.values()] };
}

function alignmentOf(path: string, value: GgufValue = 32): number {
  if (typeof value === 'number' && value > 0 && value % 8 === 0 && value <= 1 << 20) return value;
  throw new InputError(`${path}: general.alignment is ${value}, expected a multiple of 8`);
}
