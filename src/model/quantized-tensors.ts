import { type Bits, dequantize, QUANTIZED_BLOCK, type Quantized, quantize } from '../graph/index.ts';
import { InputError } from '../util/errors.ts';
import { decodeF16, encodeF16 } from './float-bits.ts';
import type { TensorToWrite } from './safetensors.ts';
import type { TensorInfo, TensorSource } from './tensor-source.ts';

/**
 * Weights of 8 or 4 bits: which of a model's they are, and how a checkpoint holds them. Beside the names that others
 * know, a matrix [N, K] of few bits is stored as two tensors: under its own name uint8 [N, K / 32, 32 or 16], two
 * values of 4 bits in a byte, the first in the lower half, and `{name}.scales` float16 [N, K / 32]; a value is
 * (q - 128) scale or (q - 8) scale. config.json says so in `quantization_config`.
 */

export const WEIGHT_DTYPES = ['f32', 'q8', 'q4'] as const;
/** Of the weights of linear layers; the others are float32 always, embedding and head have 8 bits at least. */
export type WeightDtype = (typeof WEIGHT_DTYPES)[number];

/** What weights may be on a device, which multiplies in float16 too. */
export const DEVICE_DTYPES = [...WEIGHT_DTYPES, 'f16'] as const;
export type DeviceDtype = (typeof DEVICE_DTYPES)[number];

const SCALES = '.scales';
/** Fewer rows are gates and the like: little to gain, and much hangs on each. */
const FEWEST_ROWS = 32;
const TABLES = ['model.embed_tokens.weight', 'lm_head.weight'];

/** The bits of a weight under a dtype, or null for one that stays as it is, in files too. */
export function bitsOf(name: string, shape: readonly number[], dtype: WeightDtype): Bits | null {
  return shape.length === 2 && shape[1]! % QUANTIZED_BLOCK === 0 ? bitsInMemory(name, shape, dtype) : null;
}

/** The same where it is computed with: files hold whole blocks only, in memory the last of a row may be filled up. */
export function bitsInMemory(name: string, shape: readonly number[], dtype: WeightDtype): Bits | null {
  const fits = shape.length === 2 && shape[0]! >= FEWEST_ROWS && shape[1]! >= QUANTIZED_BLOCK;
  if (dtype === 'f32' || !fits || !name.endsWith('.weight')) return null;
  return dtype === 'q8' || TABLES.includes(name) ? 8 : 4;
}

/** Blocks whose scales are float16, as they are stored. */
export function quantizeWeight(values: Float32Array, shape: readonly number[], bits: Bits): Quantized {
  return quantize(values, shape as [number, number], bits, (scales) => {
    const rounded = new Float32Array(scales.length);
    decodeF16(encodeF16(scales), rounded, 0);
    return rounded;
  });
}

/** A weight in few bits where it is wanted so, as it is stored if it fits; null for one that is not. */
export function inFewBits(
  source: TensorSource,
  name: string,
  shape: readonly number[],
  /** As the source has them, when absent. */
  dtype: WeightDtype | undefined,
): Quantized | null {
  const stored = source.quantized?.(name) ?? null;
  if (dtype === undefined) return stored;
  const bits = bitsOf(name, shape, dtype);
  if (bits === null || stored?.bits === bits) return bits === null ? null : stored;
  return quantizeWeight(source.read(name), shape, bits);
}

/** Bytes of a matrix of few bits in a file. */
export function quantizedBytes(shape: readonly number[], bits: Bits): number {
  const values = shape.reduce((a, b) => a * b, 1);
  return (values * bits) / 8 + (2 * values) / QUANTIZED_BLOCK;
}

/** The two tensors of a matrix of few bits, made of its values when the first of them is written. */
export function quantizedToWrite(
  name: string,
  shape: readonly number[],
  bits: Bits,
  read: () => Float32Array,
): TensorToWrite[] {
  let made: Quantized | null = null;
  const blocks = [shape[0]!, shape[1]! / QUANTIZED_BLOCK];
  return [
    {
      name,
      dtype: 'U8',
      shape: [...blocks, (QUANTIZED_BLOCK * bits) / 8],
      data: () => {
        made = quantizeWeight(read(), shape, bits);
        return made.data;
      },
    },
    { name: name + SCALES, dtype: 'F16', shape: blocks, data: () => made!.scales },
  ];
}

/** A checkpoint that holds matrices of few bits: read as float32 like all others, or as they are. */
export class QuantizedTensors implements TensorSource {
  private readonly source: TensorSource;

  constructor(source: TensorSource) {
    this.source = source;
    for (const name of this.names()) if (this.isQuantized(name)) this.bits(name);
  }

  names(): string[] {
    return this.source.names().filter((name) => !this.isScales(name));
  }

  has(name: string): boolean {
    return this.source.has(name) && !this.isScales(name);
  }

  info(name: string): TensorInfo {
    const info = this.source.info(name);
    if (!this.isQuantized(name)) return info;
    return { ...info, shape: [info.shape[0]!, info.shape[1]! * QUANTIZED_BLOCK] };
  }

  read(name: string): Float32Array<ArrayBuffer> {
    const quantized = this.quantized(name);
    return quantized ? dequantize(quantized) : this.source.read(name);
  }

  quantized(name: string): Quantized | null {
    if (!this.isQuantized(name)) return null;
    return {
      bits: this.bits(name),
      shape: this.info(name).shape as [number, number],
      data: Uint8Array.from(this.source.read(name)),
      scales: this.source.read(name + SCALES),
    };
  }

  part(name: string, from: number, count: number): Float32Array<ArrayBuffer> {
    const read = (stored: string, start: number, values: number) =>
      this.source.part?.(stored, start, values) ?? this.source.read(stored).slice(start, start + values);
    if (!this.isQuantized(name)) return read(name, from, count);
    const bits = this.bits(name);
    const packed = bits / 8;
    return dequantize({
      bits,
      shape: [1, count],
      data: Uint8Array.from(read(name, from * packed, count * packed)),
      scales: read(name + SCALES, from / QUANTIZED_BLOCK, count / QUANTIZED_BLOCK),
    });
  }

  *pieces(name: string): Generator<Uint8Array> {
    if (!this.source.pieces) throw new Error('the source of these tensors gives no pieces');
    for (const part of this.isQuantized(name) ? [name, name + SCALES] : [name]) {
      yield* this.source.pieces(part);
    }
  }

  private isQuantized(name: string): boolean {
    return this.source.has(name + SCALES);
  }

  private isScales(name: string): boolean {
    return name.endsWith(SCALES) && this.source.has(name.slice(0, -SCALES.length));
  }

  private bits(name: string): Bits {
    const { dtype, shape } = this.source.info(name);
    const bits = (8 * (shape[2] ?? 0)) / QUANTIZED_BLOCK;
    const scales = this.source.info(name + SCALES).shape;
    if (dtype !== 'U8' || shape.length !== 3 || (bits !== 4 && bits !== 8)) {
      throw new InputError(`tensor '${name}' is ${dtype} [${shape}], expected U8 [rows, blocks, 16 or 32]`);
    }
    if (scales.join() !== shape.slice(0, 2).join()) {
      throw new InputError(
        `tensor '${name}${SCALES}' has shape [${scales}], expected [${shape.slice(0, 2)}]: a factor for each block`,
      );
    }
    return bits;
  }
}
