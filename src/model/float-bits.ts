/**
 * Half and brain floats to and from float32, as bits in typed arrays. Encoding rounds to nearest, ties to even,
 * as IEEE 754 and PyTorch do; NaN stays NaN and values beyond the range become infinities.
 */

/** The float32 value of each of the 65,536 half floats; 256 KB, made at first use. */
let halfTable: Float32Array | undefined;

function halfValues(): Float32Array {
  if (halfTable) return halfTable;
  const table = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >>> 10) & 31;
    const fraction = bits & 1023;
    if (exponent === 0) table[bits] = sign * fraction * 2 ** -24;
    else if (exponent === 31) table[bits] = fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
    else table[bits] = sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }
  halfTable = table;
  return table;
}

/** The value of one half float given as its 16 bits. */
export function halfToFloat(bits: number): number {
  return halfValues()[bits]!;
}

/** out[at + i] = value of the half float bits[i]. */
export function decodeF16(bits: Uint16Array, out: Float32Array, at: number): void {
  const table = halfValues();
  for (let i = 0; i < bits.length; i++) out[at + i] = table[bits[i]!]!;
}

/** out[at + i] = value of the bfloat16 bits[i]: the upper half of a float32. */
export function decodeBF16(bits: Uint16Array, out: Float32Array, at: number): void {
  const words = new Uint32Array(out.buffer, out.byteOffset + 4 * at, bits.length);
  for (let i = 0; i < bits.length; i++) words[i] = bits[i]! << 16;
}

/** Half float bits of each value. */
export function encodeF16(values: Float32Array): Uint16Array<ArrayBuffer> {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const out = new Uint16Array(values.length);
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const sign = (word >>> 16) & 0x8000;
    const magnitude = word & 0x7fffffff;
    if (magnitude >= 0x47800000) {
      out[i] = sign | (magnitude > 0x7f800000 ? 0x7e00 : 0x7c00); // NaN, or 65,536 and above
    } else if (magnitude >= 0x38800000) {
      // Normal: rebias the exponent by 112; adding just under half of the last place plus its parity rounds to even.
      out[i] = sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
    } else {
      const exponent = magnitude >>> 23;
      if (exponent < 102) {
        out[i] = sign; // below half of the smallest subnormal, 2^-25
        continue;
      }
      const mantissa = (magnitude & 0x7fffff) | 0x800000;
      const shift = 126 - exponent; // in units of 2^-24
      let rounded = mantissa >>> shift;
      const rest = mantissa & ((1 << shift) - 1);
      const half = 1 << (shift - 1);
      if (rest > half || (rest === half && rounded & 1)) rounded++;
      out[i] = sign | rounded;
    }
  }
  return out;
}

/** bfloat16 bits of each value. */
export function encodeBF16(values: Float32Array): Uint16Array<ArrayBuffer> {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const out = new Uint16Array(values.length);
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    out[i] =
      (word & 0x7fffffff) > 0x7f800000
        ? (word >>> 16) | 0x40 // a NaN whose set bits all lie below would round to infinity
        : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  }
  return out;
}
