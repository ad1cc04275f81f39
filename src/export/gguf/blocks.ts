import type { Bits } from '../../graph/index.ts';
import { encodeF16 } from '../../model/float-bits.ts';
import { quantizeWeight } from '../../model/quantized-tensors.ts';
import type { GgufType } from './gguf-file.ts';

/** The bytes of values as a GGUF file has them; layouts after ggml-quants.c, the reader is import/gguf-blocks.ts. */
export function encodeBlocks(
  values: Float32Array<ArrayBuffer>,
  shape: readonly number[],
  type: GgufType,
): Uint8Array {
  switch (type) {
    case 'F32':
      return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    case 'F16':
      return new Uint8Array(encodeF16(values).buffer);
    case 'Q8_0':
      return quantizedBlocks(values, shape, 8);
    case 'Q4_0':
      return quantizedBlocks(values, shape, 4);
    default:
      return type satisfies never;
  }
}

/** Blocks of 32 of a scale in half precision and the levels: signed bytes, or the first 16 in the lower halves of 16. */
function quantizedBlocks(values: Float32Array, shape: readonly number[], bits: Bits): Uint8Array {
  const { data, scales } = quantizeWeight(values, shape, bits);
  const halves = encodeF16(scales);
  const size = 4 * bits;
  const blocks = new Uint8Array(halves.length * (2 + size));
  for (const [i, scale] of halves.entries()) {
    const at = i * (2 + size);
    blocks[at] = scale & 255;
    blocks[at + 1] = scale >>> 8;
    const levels = data.subarray(i * size, (i + 1) * size);
    if (bits === 8) {
      for (let j = 0; j < 32; j++) blocks[at + 2 + j] = levels[j]! - 128;
    } else {
      const level = (j: number) => (j & 1 ? levels[j >> 1]! >> 4 : levels[j >> 1]! & 15);
      for (let j = 0; j < 16; j++) blocks[at + 2 + j] = level(j) | (level(j + 16) << 4);
    }
  }
  return blocks;
}
