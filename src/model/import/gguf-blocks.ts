/**
 * The element types of GGUF files -> float32. Quantised types store blocks of 32 or 256 neighbouring values with a
 * scale each; layouts and formulas after ggml-quants.c of https://github.com/ggml-org/ggml.
 */
import { decodeBF16, decodeF16, halfToFloat } from '../float-bits.ts';

export interface BlockType {
  name: string;
  /** Values of a block. */
  values: number;
  /** Bytes of a block. */
  bytes: number;
  /** Writes the values of as many blocks as `data` holds to `out`. */
  decode: (data: Uint8Array<ArrayBuffer>, out: Float32Array) => void;
}

const half = (data: Uint8Array, at: number) => halfToFloat(data[at]! | (data[at + 1]! << 8));

/** Blocks of 32 whose first bytes are halves: applies `block` to each. */
function blocksOf32(
  bytes: number,
  block: (data: Uint8Array, at: number, out: Float32Array, o: number) => void,
): BlockType['decode'] {
  return (data, out) => {
    for (let at = 0, o = 0; at < data.length; at += bytes, o += 32) block(data, at, out, o);
  };
}

// In the 4 and 5 bit types the low halves of 16 bytes are the values 0 to 15, the high halves 16 to 31.
const q4_0 = blocksOf32(18, (data, at, out, o) => {
  const scale = half(data, at);
  for (let j = 0; j < 16; j++) {
    const byte = data[at + 2 + j]!;
    out[o + j] = ((byte & 15) - 8) * scale;
    out[o + 16 + j] = ((byte >>> 4) - 8) * scale;
  }
});

const q4_1 = blocksOf32(20, (data, at, out, o) => {
  const scale = half(data, at);
  const least = half(data, at + 2);
  for (let j = 0; j < 16; j++) {
    const byte = data[at + 4 + j]!;
    out[o + j] = (byte & 15) * scale + least;
    out[o + 16 + j] = (byte >>> 4) * scale + least;
  }
});

/** The fifth bits of the 32 values of a block. */
const highBits = (data: Uint8Array, at: number) =>
  data[at]! | (data[at + 1]! << 8) | (data[at + 2]! << 16) | (data[at + 3]! << 24);

const q5_0 = blocksOf32(22, (data, at, out, o) => {
  const scale = half(data, at);
  const high = highBits(data, at + 2);
  for (let j = 0; j < 16; j++) {
    const byte = data[at + 6 + j]!;
    out[o + j] = (((byte & 15) | (((high >>> j) & 1) << 4)) - 16) * scale;
    out[o + 16 + j] = (((byte >>> 4) | (((high >>> (j + 16)) & 1) << 4)) - 16) * scale;
  }
});

const q5_1 = blocksOf32(24, (data, at, out, o) => {
  const scale = half(data, at);
  const least = half(data, at + 2);
  const high = highBits(data, at + 4);
  for (let j = 0; j < 16; j++) {
    const byte = data[at + 8 + j]!;
    out[o + j] = ((byte & 15) | (((high >>> j) & 1) << 4)) * scale + least;
    out[o + 16 + j] = ((byte >>> 4) | (((high >>> (j + 16)) & 1) << 4)) * scale + least;
  }
});

const q8_0 = blocksOf32(34, (data, at, out, o) => {
  const scale = half(data, at);
  for (let j = 0; j < 32; j++) out[o + j] = ((data[at + 2 + j]! << 24) >> 24) * scale;
});

/** 128 bytes of low four bits, 64 of high two bits, 16 signed scales of 16 values each, and the scale of all. */
function q6_k(data: Uint8Array, out: Float32Array): void {
  for (let at = 0, o = 0; at < data.length; at += 210, o += 256) {
    const scale = half(data, at + 208);
    for (let part = 0; part < 2; part++) {
      const low = at + 64 * part;
      const high = at + 128 + 32 * part;
      const scales = at + 192 + 8 * part;
      const first = o + 128 * part;
      for (let group = 0; group < 4; group++) {
        // Groups of 32 values: 0 and 1 are low halves of the bytes, 2 and 3 high halves.
        const bytes = low + 32 * (group & 1);
        const shift = group < 2 ? 0 : 4;
        for (let j = 0; j < 32; j++) {
          const bits = ((data[bytes + j]! >>> shift) & 15) | (((data[high + j]! >>> (2 * group)) & 3) << 4);
          const subscale = (data[scales + 2 * group + (j >>> 4)]! << 24) >> 24;
          out[first + 32 * group + j] = scale * subscale * (bits - 32);
        }
      }
    }
  }
}

const words = (data: Uint8Array<ArrayBuffer>) =>
  new Uint16Array(data.buffer, data.byteOffset, data.length / 2);

/** By ggml's numbers of the types. */
export const BLOCK_TYPES: ReadonlyMap<number, BlockType> = new Map([
  [
    0,
    {
      name: 'F32',
      values: 1,
      bytes: 4,
      decode: (data, out) => out.set(new Float32Array(data.buffer, data.byteOffset, out.length)),
    },
  ],
  [1, { name: 'F16', values: 1, bytes: 2, decode: (data, out) => decodeF16(words(data), out, 0) }],
  [2, { name: 'Q4_0', values: 32, bytes: 18, decode: q4_0 }],
  [3, { name: 'Q4_1', values: 32, bytes: 20, decode: q4_1 }],
  [6, { name: 'Q5_0', values: 32, bytes: 22, decode: q5_0 }],
  [7, { name: 'Q5_1', values: 32, bytes: 24, decode: q5_1 }],
  [8, { name: 'Q8_0', values: 32, bytes: 34, decode: q8_0 }],
  [14, { name: 'Q6_K', values: 256, bytes: 210, decode: q6_k }],
  [30, { name: 'BF16', values: 1, bytes: 2, decode: (data, out) => decodeBF16(words(data), out, 0) }],
] satisfies [number, BlockType][]);
