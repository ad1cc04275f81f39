import { afterEach, describe, expect, test, vi } from 'vitest';
import { Random } from '../util/random.ts';
import {
  dequantize,
  float32,
  input,
  linear,
  Program,
  quantize,
  type RightBytes,
  RowQuantizer,
} from './index.ts';
import { hadamard, rotationSize } from './quantized.ts';

/** What programs are told of the machine, in place of what was found out. */
const told = vi.hoisted(() => ({ type: null as RightBytes | null }));
vi.mock(import('./right-bytes.ts'), async (original) => {
  const { rightBytes } = await original();
  return { rightBytes: async () => told.type ?? rightBytes() };
});
afterEach(() => {
  told.type = null;
});

function normal(count: number, seed: number): Float32Array<ArrayBuffer> {
  const random = new Random(seed);
  return Float32Array.from({ length: count }, () => random.normal());
}

test('Hadamard matrices are orthonormal and symmetric', () => {
  for (const K of [1, 7, 96, 576, 1536]) {
    const size = rotationSize(K);
    expect(K % size).toBe(0);
    const { data } = hadamard(size);
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < size; j++) {
        let product = 0;
        for (let k = 0; k < size; k++) product += data[i * size + k]! * data[k * size + j]!;
        expect(product).toBeCloseTo(i === j ? 1 : 0, 12);
        expect(data[i * size + j]).toBe(data[j * size + i]);
      }
    }
  }
});

for (const [bits, K] of [
  [8, 576],
  [8, 40],
  [4, 64],
] as const) {
  test(`products by rows are those of the matrix of ${bits} bits, ${K} columns`, async () => {
    const [T, N] = [5, 24];
    const matrix = quantize(normal(N * K, 1), [N, K], bits);
    const exact = dequantize(matrix);
    const x = normal(T * K, 2);
    // A value that would leave its row a few levels, and a row of zeros.
    x[3] = 300;
    x.fill(0, 2 * K, 3 * K);
    const [xs, w] = [input('x', 'float32', [1, 'T', K]), input('w', 'float32', [N, K])];
    await using quantizer = new RowQuantizer();
    await using program = await Program.compile(
      { y: linear(xs, w) },
      { weights: new Map([[w, await quantizer.quantize(matrix)]]) },
    );
    const { y } = await program.run({ x: float32(x, [1, T, K]) });
    expect(y!.dims).toEqual([1, T, N]);
    const values = y!.data as Float32Array;
    for (let t = 0; t < T; t++) {
      const length = (row: Float32Array) => Math.hypot(...row);
      const row = x.subarray(t * K, (t + 1) * K);
      for (let n = 0; n < N; n++) {
        const weight = exact.subarray(n * K, (n + 1) * K);
        const product = row.reduce((sum, value, k) => sum + value * weight[k]!, 0);
        // Both are rounded to about a hundredth of their size, independently in every place.
        const error = 0.03 * length(row) * length(weight) * K ** -0.5;
        expect(Math.abs(values[t * N + n]! - product)).toBeLessThanOrEqual(error);
      }
    }
  });
}

test('products by rows are the same bits in the form of machines without VNNI', async () => {
  const [T, N, K] = [5, 24, 192];
  const x = normal(T * K, 2);
  x.fill(300, 0, K);
  const [xs, w] = [input('x', 'float32', [1, 'T', K]), input('w', 'float32', [N, K])];
  await using quantizer = new RowQuantizer();
  const weights = new Map([[w, await quantizer.quantize(quantize(normal(N * K, 1), [N, K], 8))]]);
  const product = async () => {
    await using program = await Program.compile({ y: linear(xs, w) }, { weights });
    const { y } = await program.run({ x: float32(x, [1, T, K]) });
    return y!.data;
  };
  const own = await product();
  told.type = 'uint8';
  expect(await product()).toEqual(own);
});

/** Rows in which everything is the largest: in blocks as they are, by row when they have been turned. */
const FULL = { blocks: () => 1, rows: (k: number) => (k === 0 ? 1 : 0) };

describe.each(['blocks', 'rows'] as const)('weights in %s', (layout) => {
  test.each([
    [8, 1],
    [8, 5],
    [4, 1],
    [4, 5],
  ] as const)('of %i bits do not saturate with the largest values, tokens: %i', async (bits, T) => {
    const [N, K] = [32, 64];
    const rows = (count: number) =>
      Float32Array.from({ length: count * K }, (_, i) => {
        const sign = Math.floor(i / K) % 2 === 0 ? 1 : -1;
        return sign * FULL[layout](i % K);
      });
    const matrix = quantize(rows(N), [N, K], bits);
    const exact = dequantize(matrix);
    const [xs, w] = [input('x', 'float32', ['T', K]), input('w', 'float32', [N, K])];
    await using quantizer = new RowQuantizer();
    const weight = layout === 'blocks' ? matrix : await quantizer.quantize(matrix);
    await using program = await Program.compile({ y: linear(xs, w) }, { weights: new Map([[w, weight]]) });
    const x = rows(T);
    const y = (await program.run({ x: float32(x, [T, K]) })).y!.data as Float32Array;
    for (const [i, found] of y.entries()) {
      const [t, n] = [Math.floor(i / N), i % N];
      const product = Array.from({ length: K }, (_, k) => x[t * K + k]! * exact[n * K + k]!).reduce(
        (a, b) => a + b,
      );
      expect(Math.abs(found - product)).toBeLessThan(1e-3 * Math.abs(product));
    }
  });
});
