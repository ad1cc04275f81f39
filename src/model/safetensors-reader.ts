/**
 * The safetensors file format (https://github.com/huggingface/safetensors#format): eight bytes of header length
 * (little endian), a JSON header {name: {dtype, shape, data_offsets}}, then the values without gaps. Typed arrays
 * are used as they lie in memory, so the host has to be little endian, as every platform of Node's releases for
 * ONNX Runtime is.
 */
import { InputError } from '../util/errors.ts';
import type { Bytes } from './bytes.ts';
import { decodeBF16, decodeF16 } from './float-bits.ts';
import { isObject, parseJsonObject, shown } from './json-fields.ts';
import type { StoredDtype, TensorInfo, TensorSource } from './tensor-source.ts';

export const DTYPE_BYTES: Record<StoredDtype, number> = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
};

/** Those which JavaScript has as an array of numbers. */
const NUMBERS = {
  F64: Float64Array,
  F32: Float32Array,
  I32: Int32Array,
  I16: Int16Array,
  I8: Int8Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
};

/** The reference implementation refuses longer headers too. */
const MAX_HEADER = 100_000_000;
const MOST_DIMENSIONS = 8;
/** Bytes read from disk and converted at a time. */
const CHUNK = 1 << 23;

interface Entry extends TensorInfo {
  /** Position of the first value, from the beginning of the file. */
  begin: number;
  /** Size of the values in bytes. */
  bytes: number;
}

/**
 * One file, whose header is read and checked when it is opened and whose values are read tensor by tensor.
 */
export class Safetensors implements TensorSource {
  readonly path: string;
  /** The header's `__metadata__`. */
  readonly metadata: Record<string, string>;
  private readonly file: Bytes;
  private readonly entries: Map<string, Entry>;

  /** Throws InputError naming file, tensor and expectation when the file breaks the format. */
  constructor(file: Bytes) {
    const { path } = file;
    this.path = path;
    this.file = file;
    const { header, dataAt } = readHeader(file);
    this.metadata = readMetadata(path, header.__metadata__);
    delete header.__metadata__;
    this.entries = new Map(
      Object.entries(header).map(([name, value]) => [name, readEntry(path, name, value, dataAt)]),
    );
    checkCoverage(path, [...this.entries.values()], dataAt, file.size);
  }

  names(): string[] {
    return [...this.entries.keys()];
  }

  has(name: string): boolean {
    return this.entries.has(name);
  }

  info(name: string): TensorInfo {
    const { dtype, shape } = this.entry(name);
    return { name, dtype, shape: [...shape] };
  }

  read(name: string): Float32Array<ArrayBuffer> {
    return readValues(this.file, this.entry(name));
  }

  part(name: string, from: number, count: number): Float32Array<ArrayBuffer> {
    const entry = this.entry(name);
    const size = DTYPE_BYTES[entry.dtype];
    if (from < 0 || (from + count) * size > entry.bytes) {
      throw new Error(
        `values ${from} to ${from + count} of tensor '${name}', which has ${entry.bytes / size}`,
      );
    }
    return readValues(this.file, { ...entry, begin: entry.begin + from * size, bytes: count * size });
  }

  *pieces(name: string): Generator<Uint8Array> {
    const { begin, bytes } = this.entry(name);
    for (let at = 0; at < bytes; at += CHUNK) {
      yield this.file.bytes(begin + at, Math.min(CHUNK, bytes - at), `tensor '${name}'`);
    }
  }

  private entry(name: string): Entry {
    const entry = this.entries.get(name);
    if (!entry) throw new InputError(`${this.path} has no tensor '${name}' (it has ${this.entries.size})`);
    return entry;
  }
}

function readHeader(file: Bytes): { header: Record<string, unknown>; dataAt: number } {
  const { path, size } = file;
  if (size < 8) {
    throw new InputError(
      `${path} has ${size} bytes; a safetensors file begins with 8 bytes of header length`,
    );
  }
  const prefix = new BigUint64Array(file.bytes(0, 8, 'the header length').buffer)[0]!;
  const length = Number(prefix);
  if (length > size - 8 || length > MAX_HEADER) {
    throw new InputError(
      `${path}: header length ${prefix} is beyond the file (${size} bytes) or the format's limit ` +
        `(${MAX_HEADER}): truncated, or not a safetensors file`,
    );
  }
  const what = `${path}: the safetensors header`;
  const bytes = file.bytes(8, length, 'the header');
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new InputError(`${what} is no text in UTF-8`);
  }
  return { header: parseJsonObject(what, text), dataAt: 8 + length };
}

function readMetadata(path: string, value: unknown): Record<string, string> {
  if (value === undefined) return {};
  if (!isObject(value) || !Object.values(value).every((v) => typeof v === 'string')) {
    throw new InputError(`${path}: __metadata__ of the header is not a map of strings`);
  }
  return { ...(value as Record<string, string>) };
}

function readEntry(path: string, name: string, value: unknown, dataAt: number): Entry {
  const where = `${path}: tensor '${name}'`;
  const { dtype, shape, data_offsets: offsets } = isObject(value) ? value : {};
  if (typeof dtype !== 'string' || !Object.hasOwn(DTYPE_BYTES, dtype)) {
    throw new InputError(
      `${where} has dtype ${shown(dtype)}, expected one of ${Object.keys(DTYPE_BYTES).join(', ')}`,
    );
  }
  if (!Array.isArray(shape) || shape.length > MOST_DIMENSIONS || !shape.every(isSize)) {
    throw new InputError(
      `${where} has shape ${shown(shape)}, expected a list of at most ${MOST_DIMENSIONS} sizes`,
    );
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize)) {
    throw new InputError(`${where} has data_offsets ${shown(offsets)}, expected [begin, end]`);
  }
  const [begin, end] = offsets as [number, number];
  const bytes =
    shape.reduce((product: number, size: number) => product * size, 1) * DTYPE_BYTES[dtype as StoredDtype];
  if (end - begin !== bytes) {
    throw new InputError(
      `${where} of dtype ${dtype} and shape [${shape}] takes ${bytes} bytes, its data_offsets [${begin}, ${end}] ` +
        `hold ${end - begin}`,
    );
  }
  return { name, dtype: dtype as StoredDtype, shape, begin: dataAt + begin, bytes };
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** The values have to fill the file from the header's end to its own, each byte once. */
function checkCoverage(path: string, entries: Entry[], dataAt: number, size: number): void {
  entries.sort((a, b) => a.begin - b.begin || a.bytes - b.bytes);
  let at = dataAt;
  let before = 'the header';
  for (const { name, begin, bytes } of entries) {
    if (begin < at) {
      throw new InputError(
        `${path}: tensor '${name}' begins at byte ${begin} and overlaps ${before}, which ends at byte ${at}`,
      );
    }
    if (begin > at) {
      throw new InputError(
        `${path}: ${begin - at} bytes between ${before} and tensor '${name}' belong to nothing`,
      );
    }
    at = begin + bytes;
    before = `tensor '${name}'`;
    if (at > size) {
      throw new InputError(
        `${path} is truncated: tensor '${name}' ends at byte ${at}, the file has ${size} bytes`,
      );
    }
  }
  if (at < size) throw new InputError(`${path}: ${size - at} bytes after ${before} belong to nothing`);
}

function readValues(file: Bytes, { name, dtype, begin, bytes }: Entry): Float32Array<ArrayBuffer> {
  const what = `tensor '${name}'`;
  const size = DTYPE_BYTES[dtype];
  const count = bytes / size;
  const out = new Float32Array(count);
  file.open((fill) => {
    if (dtype === 'F32') {
      fill(new Uint8Array(out.buffer), begin, what);
      return;
    }
    const chunk = new ArrayBuffer(Math.min(CHUNK, bytes));
    const perChunk = CHUNK / size;
    for (let at = 0; at < count; at += perChunk) {
      const n = Math.min(perChunk, count - at);
      fill(new Uint8Array(chunk, 0, n * size), begin + at * size, what);
      decode(dtype, chunk, n, out, at);
    }
  });
  return out;
}

/** out[at + i] = value i of the n in the buffer. */
function decode(dtype: StoredDtype, buffer: ArrayBuffer, n: number, out: Float32Array, at: number): void {
  if (dtype === 'F16') decodeF16(new Uint16Array(buffer, 0, n), out, at);
  else if (dtype === 'BF16') decodeBF16(new Uint16Array(buffer, 0, n), out, at);
  else if (dtype === 'I64') {
    const values = new BigInt64Array(buffer, 0, n);
    for (let i = 0; i < n; i++) out[at + i] = Number(values[i]);
  } else out.set(new NUMBERS[dtype](buffer, 0, n), at);
}
