import { expect, test } from 'vitest';
import { Random } from '../util/random.ts';
import { decodeBF16, decodeF16, encodeBF16, encodeF16 } from './float-bits.ts';

function half(values: number[]): number[] {
  return [...encodeF16(new Float32Array(values))];
}

test('every half float but NaN survives decoding and encoding', () => {
  const bits = Uint16Array.from({ length: 65536 }, (_, i) => i);
  const values = new Float32Array(65536);
  decodeF16(bits, values, 0);
  const back = encodeF16(values);
  for (let i = 0; i < 65536; i++) {
    if (Number.isNaN(values[i])) expect(back[i]! & 0x7fff).toBeGreaterThan(0x7c00);
    else expect(back[i]).toBe(i);
  }
  expect([values[0x3c00], values[0x0001], values[0x7bff], values[0xfc00]]).toEqual([
    1,
    2 ** -24,
    65504,
    Number.NEGATIVE_INFINITY,
  ]);
});

test('half floats round to nearest, ties to even', () => {
  const ulp = 2 ** -10;
  expect(half([1 + ulp / 2, 1 + 1.5 * ulp, 1 + ulp / 2 + 2 ** -23])).toEqual([0x3c00, 0x3c02, 0x3c01]);
  expect(half([65519.996, 65520, 1e9, -1e9])).toEqual([0x7bff, 0x7c00, 0x7c00, 0xfc00]);
  // Subnormals are multiples of 2^-24; the carry of the largest one gives the smallest normal number.
  expect(half([2 ** -25, 2 ** -25 * (1 + 2 ** -23), 3 * 2 ** -25, 2 ** -14 - 2 ** -26])).toEqual([
    0, 1, 2, 0x400,
  ]);
  expect(half([-0, 1e-45])).toEqual([0x8000, 0]);
});

test('half floats are the nearest of all on random values', () => {
  const all = new Float32Array(0x7c00);
  decodeF16(Uint16Array.from(all.keys()), all, 0);
  const random = new Random(1);
  const values = Float32Array.from({ length: 2000 }, () => random.uniform() * 2 ** (random.below(44) - 28));
  const bits = encodeF16(values);
  values.forEach((value, i) => {
    if (value >= 65504) return;
    const error = Math.abs(all[bits[i]!]! - value);
    const below = Math.abs(all[Math.max(0, bits[i]! - 1)]! - value);
    const above = Math.abs((all[bits[i]! + 1] ?? Number.POSITIVE_INFINITY) - value);
    expect(error).toBeLessThanOrEqual(Math.min(below, above));
  });
});

test('bfloat16 round trip, ties to even, NaN', () => {
  const values = new Float32Array([1, -2.5, 1 + 2 ** -8, 1 + 3 * 2 ** -8, 3.4e38, Number.POSITIVE_INFINITY]);
  const bits = encodeBF16(values);
  expect([...bits]).toEqual([0x3f80, 0xc020, 0x3f80, 0x3f82, 0x7f80, 0x7f80]);
  const back = new Float32Array(7);
  decodeBF16(bits, back, 1);
  expect([...back]).toEqual([0, 1, -2.5, 1, 1 + 2 ** -6, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]);

  const quietNaN = new Float32Array(new Uint32Array([0x7f800001]).buffer);
  decodeBF16(encodeBF16(quietNaN), back, 0);
  expect(back[0]).toBeNaN();
});
