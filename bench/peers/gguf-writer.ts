import {
  type GgufType,
  ggufParts,
  type MetadataValue,
  tensorBytes,
} from '../../src/export/gguf/gguf-file.ts';
import { encodeF16 } from '../../src/model/float-bits.ts';
import { writeFileAtomic } from '../../src/util/files.ts';
import { Random } from '../../src/util/random.ts';
import { noise, repeated } from './noise.ts';

/** GGUF files with random weights, for benchmarks of llama.cpp. */

export interface DrawnTensor {
  name: string;
  /** Sizes, innermost first; the first a multiple of 32 where quantised. */
  dims: number[];
  type: Exclude<GgufType, 'F16'>;
  /** Of the values that are drawn, or their one value. */
  values: { deviation: number } | { constant: number };
}

/** Blocks drawn for a tensor; they repeat. A prime number, so that rows do not begin alike. */
const BLOCKS = 4093;

export function writeDrawnGguf(
  path: string,
  metadata: Readonly<Record<string, MetadataValue>>,
  tensors: readonly DrawnTensor[],
): void {
  const drawn = tensors.map((tensor) => ({
    ...tensor,
    data: () => repeated(tensorBlock(tensor), tensorBytes(tensor)),
  }));
  writeFileAtomic(path, ggufParts(metadata, drawn));
}

/** What the data of a tensor repeats. */
function tensorBlock({ name, dims, type, values }: DrawnTensor): Uint8Array<ArrayBuffer> {
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
  const bytes = type === 'Q8_0' ? 34 : 18;
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
