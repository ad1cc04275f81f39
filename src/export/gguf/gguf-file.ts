/** GGUF files of version 3 (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md), written part by part. */

/** A whole number is written as uint32, several as int32; numbers of another kind say so. */
export type MetadataValue = number | string | boolean | boolean[] | number[] | string[] | { float: number };

/** ggml's numbers of the element types, and their blocks. */
const TYPES = {
  F32: { id: 0, values: 1, bytes: 4 },
  F16: { id: 1, values: 1, bytes: 2 },
  Q4_0: { id: 2, values: 32, bytes: 18 },
  Q8_0: { id: 8, values: 32, bytes: 34 },
} as const;
export type GgufType = keyof typeof TYPES;

export interface GgufTensor {
  name: string;
  /** Sizes, innermost first; the first a whole number of blocks. */
  dims: number[];
  type: GgufType;
  /** As many bytes as `tensorBytes` says. */
  data(): Iterable<Uint8Array>;
}

/** What `general.alignment` is unless a file says so. */
const ALIGNMENT = 32;

export function tensorBytes({ name, dims, type }: Pick<GgufTensor, 'name' | 'dims' | 'type'>): number {
  const { values, bytes } = TYPES[type];
  if (dims[0]! % values !== 0)
    throw new Error(`${name}: rows of ${dims[0]} are no whole blocks of ${values}`);
  return (dims.reduce((a, b) => a * b, 1) / values) * bytes;
}

export function* ggufParts(
  metadata: Readonly<Record<string, MetadataValue>>,
  tensors: readonly GgufTensor[],
): Generator<Uint8Array> {
  yield ggufHeader(metadata, tensors);
  for (const tensor of tensors) {
    yield* tensor.data();
    const bytes = tensorBytes(tensor);
    yield new Uint8Array(aligned(bytes) - bytes);
  }
}

/** All before the data of the tensors, filled up to where they begin. */
function ggufHeader(
  metadata: Readonly<Record<string, MetadataValue>>,
  tensors: readonly GgufTensor[],
): Uint8Array {
  const parts: Uint8Array[] = [];
  const u32 = (value: number) => parts.push(new Uint8Array(new Uint32Array([value]).buffer));
  const u64 = (value: number) => parts.push(new Uint8Array(new BigUint64Array([BigInt(value)]).buffer));
  const f32 = (value: number) => parts.push(new Uint8Array(new Float32Array([value]).buffer));
  const bool = (value: boolean) => parts.push(Uint8Array.of(value ? 1 : 0));
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
    } else if (typeof value === 'boolean') {
      u32(7);
      bool(value);
    } else if (!Array.isArray(value)) {
      u32(6);
      f32(value.float);
    } else {
      u32(9);
      const [first] = value;
      // An empty list is one of texts.
      u32(typeof first === 'boolean' ? 7 : typeof first === 'number' ? 5 : 8);
      u64(value.length);
      for (const item of value) {
        if (typeof item === 'boolean') bool(item);
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
    u32(TYPES[tensor.type].id);
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
