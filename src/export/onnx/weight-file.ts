import {
  type ExternalData,
  type ExternalWeight,
  linearWeights,
  QUANTIZED_BLOCK,
  type Quantized,
  type Tensor,
} from '../../graph/index.ts';
import { refuseBeyondHalf } from '../../model/checkpoint.ts';
import { encodeF16 } from '../../model/float-bits.ts';
import { bitsOf, inFewBits, type WeightDtype } from '../../model/quantized-tensors.ts';
import type { TensorSource } from '../../model/tensor-source.ts';

/** The data of a model's weights in files beside it: first where each lies, then the bytes one after the other. */

/** Of the matrices; all else is float32. With f16 they are stored in half precision and computed with in float32. */
export type OnnxDtype = WeightDtype | 'f16';

/** No file is larger, a single tensor excepted: a page holds each in one buffer. */
const LARGEST_FILE = 2e9;
/** Large weights begin on whole pages, so that a file can be mapped. */
const PAGE = 4096;
const ALIGNMENT = 64;

export interface WeightFiles {
  weights: Map<Tensor, ExternalWeight>;
  /** Their names, and how to make their bytes. */
  files: { name: string; parts(): Generator<Uint8Array> }[];
  bytes: number;
}

interface Part {
  at: number;
  bytes: number;
  data(): Uint8Array[];
}

/**
 * @param outputs all that the model computes
 * @param inputs the weights among its inputs, by the names that `source` has for them
 * @param name of the first file; others get `_1`, `_2`, ... after it, as transformers.js looks for them
 */
export function weightFiles(
  outputs: readonly Tensor[],
  inputs: Readonly<Record<string, Tensor>>,
  source: TensorSource,
  dtype: OnnxDtype,
  name: string,
  largest = LARGEST_FILE,
): WeightFiles {
  const small = linearWeights(outputs);
  const weights = new Map<Tensor, ExternalWeight>();
  const files: { name: string; parts: Part[]; end: number }[] = [];
  const place = (bytes: number, data: () => Uint8Array[]): ExternalData => {
    let file = files.at(-1);
    if (!file || (file.end > 0 && file.end + bytes > largest)) {
      file = { name: files.length === 0 ? name : `${name}_${files.length}`, parts: [], end: 0 };
      files.push(file);
    }
    const step = bytes >= PAGE ? PAGE : ALIGNMENT;
    const at = Math.ceil(file.end / step) * step;
    file.parts.push({ at, bytes, data });
    file.end = at + bytes;
    return { location: file.name, offset: at, bytes };
  };
  for (const [weight, x] of Object.entries(inputs)) {
    const shape = x.shape as number[];
    const count = shape.reduce((a, b) => a * b, 1);
    const bits = dtype === 'f16' || !small.has(x) ? null : bitsOf(weight, shape, dtype);
    if (bits) {
      // Data and scales of one tensor stand one after the other: made once, for both.
      const values = (count * bits) / 8;
      const scales = (4 * count) / QUANTIZED_BLOCK;
      const make = () => bytesOf(inFewBits(source, weight, shape, dtype as WeightDtype)!);
      const { location, offset = 0 } = place(values + scales, make);
      weights.set(x, {
        location,
        offset,
        bytes: values,
        quantized: { layout: bits, scales: { location, offset: offset + values, bytes: scales } },
      });
    } else if (dtype === 'f16' && shape.length === 2) {
      const half = () => {
        const values = source.read(weight);
        refuseBeyondHalf(weight, values);
        return [new Uint8Array(encodeF16(values).buffer)];
      };
      weights.set(x, { ...place(2 * count, half), half: 'stored' });
    } else {
      weights.set(
        x,
        place(4 * count, () => [new Uint8Array(source.read(weight).buffer)]),
      );
    }
  }
  return {
    weights,
    files: files.map(({ name, parts }) => ({ name, parts: () => bytesInOrder(parts) })),
    bytes: files.reduce((sum, { end }) => sum + end, 0),
  };
}

function bytesOf({ data, scales }: Quantized): Uint8Array[] {
  return [data, new Uint8Array(scales.buffer, scales.byteOffset, scales.byteLength)];
}

function* bytesInOrder(parts: readonly Part[]): Generator<Uint8Array> {
  let at = 0;
  for (const part of parts) {
    yield new Uint8Array(part.at - at);
    yield* part.data();
    at = part.at + part.bytes;
  }
}
