import { describe, expect, test } from 'vitest';
import { Random } from '../util/random.ts';
import { float32, input, int64, linear, matmul, Program, relu, type Tensor, take } from './index.ts';
import { type Bits, dequantize, linearWeights, type Quantized, quantize } from './quantized.ts';

const random = new Random(1);
const draw = (count: number) => Float32Array.from({ length: count }, () => random.normal());

/** x W^T in float64. */
function product(x: Float32Array, weight: Float32Array, K: number): Float64Array {
  const [rows, N] = [x.length / K, weight.length / K];
  return Float64Array.from({ length: rows * N }, (_, i) => {
    const [row, n] = [Math.floor(i / N), i % N];
    let sum = 0;
    for (let k = 0; k < K; k++) sum += x[row * K + k]! * weight[n * K + k]!;
    return sum;
  });
}

function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [difference, size] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    difference += (a[i]! - b[i]!) ** 2;
    size += b[i]! ** 2;
  }
  return Math.sqrt(difference / size);
}

describe.each<[Bits, number]>([
  [8, 0.006],
  [4, 0.1],
])('%i bits', (bits, most) => {
  test.each([
    [3, 64],
    [5, 40],
    [1, 7],
  ])('every value of a [%i, %i] matrix is within half a level', (N, K) => {
    const values = draw(N * K);
    const quantized = quantize(values, [N, K], bits);
    const back = dequantize(quantized);
    expect(distance(back, values)).toBeLessThan(most);
    const blocks = Math.ceil(K / 32);
    for (let i = 0; i < values.length; i++) {
      const step = Math.abs(quantized.scales[Math.floor(i / K) * blocks + Math.floor((i % K) / 32)]!);
      // Of 4 bits, what lies opposite the largest value may be cut by up to a level.
      expect(Math.abs(back[i]! - values[i]!)).toBeLessThanOrEqual(step * (bits === 4 ? 1 : 0.5) * 1.001);
    }
    if (N > 1) expect(dequantize(quantized, 1, 2)).toEqual(back.slice(K, 3 * K));
  });

  test('blocks of zeros stay zeros', () => {
    const values = draw(64).fill(0, 32);
    expect(dequantize(quantize(values, [1, 64], bits)).slice(32)).toEqual(new Float32Array(32));
  });

  // Rows of x are rounded to 8 bits, too.
  test.each([1, 2, 7])('linear layers of one x, %i rows', async (rows) => {
    const K = 96;
    const x = input('x', 'float32', ['T', K]);
    const weights = new Map<Tensor, Quantized>();
    const outputs = Object.fromEntries(
      [40, 33, 64].map((N, i) => {
        const weight = input(`w${i}`, 'float32', [N, K]);
        weights.set(weight, quantize(draw(N * K), [N, K], bits));
        return [`y${i}`, linear(x, weight)];
      }),
    );
    await using program = await Program.compile(outputs, { weights, threads: 1 });
    const given = draw(rows * K);
    const found = await program.run({ x: float32(given, [rows, K]) });
    for (const [i, weight] of [...weights.values()].entries()) {
      const expected = product(given, dequantize(weight), K);
      expect(distance(found[`y${i}`]!.data as Float32Array, expected)).toBeLessThan(0.01);
    }
  });
});

test('only what is a weight and nothing else can be of few bits', async () => {
  const [x, a, b, c] = [
    input('x', 'float32', [2, 32]),
    ...['a', 'b', 'c'].map((n) => input(n, 'float32', [32, 32])),
  ];
  const outputs = [linear(x!, a!), linear(relu(x!), b!), matmul(x!, c!), linear(x!, c!)];
  expect([...linearWeights(outputs)]).toEqual([a, b]);
  const quantized = quantize(draw(1024), [32, 32], 8);
  const compiling = Program.compile({ y: matmul(x!, c!) }, { weights: new Map([[c!, quantized]]) });
  await expect(compiling).rejects.toThrow(
    'weight c of 8 bits is [32, 32], expected float32[32, 32] of a linear',
  );
});

describe('rows of a table of few bits', () => {
  const compile = async (bits: Bits, [N, K]: [number, number]) => {
    const table = input('table', 'float32', [N, K]);
    const rows = take(table, input('ids', 'int64', ['B', 'T']));
    const quantized = quantize(draw(N * K), [N, K], bits);
    // As with tied embeddings, the table is a linear layer's weight too.
    const logits = linear(input('x', 'float32', ['B', K]), table);
    const program = await Program.compile(
      { rows, logits },
      { weights: new Map([[table, quantized]]), threads: 1 },
    );
    return { program, quantized };
  };

  test('are those of the dequantised table', async () => {
    const { program, quantized } = await compile(8, [7, 64]);
    const { rows } = await program.run({ ids: int64([3, 0, 6, 3], [2, 2]), x: float32(draw(128), [2, 64]) });
    const table = dequantize(quantized);
    const expected = [3, 0, 6, 3].flatMap((id) => [...table.subarray(id * 64, (id + 1) * 64)]);
    expect([...(rows!.data as Float32Array)]).toEqual(expected);
    expect(rows!.dims).toEqual([2, 2, 64]);
    await program.dispose();
  });

  test('need 8 bits in whole blocks', async () => {
    await expect(compile(4, [7, 64])).rejects.toThrow(/of 4 bits, expected 8 bits in rows of whole blocks/);
    await expect(compile(8, [7, 40])).rejects.toThrow(/in rows of whole blocks/);
  });
});
