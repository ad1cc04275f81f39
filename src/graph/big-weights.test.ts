import { expect, test } from 'vitest';
import { float32, input, matmul, Program, type Tensor, type Value } from './index.ts';

/**
 * Weights beyond the 2 GB that a protobuf can hold. Needs 8 GB of memory and half a minute, so it is run when
 * asked for: POSTNAS_BIG=1 npx vitest run src/graph/big-weights.test.ts
 */
test.skipIf(process.env.POSTNAS_BIG !== '1')(
  'a program with more than 2 GB of weights (needs POSTNAS_BIG=1 and 8 GB of memory)',
  { timeout: 600_000 },
  async () => {
    const [D, H] = [512, 600_000];
    const x = input('x', 'float32', ['T', D]);
    const up = input('up', 'float32', [D, H]);
    const down = input('down', 'float32', [H, D]);
    const weights = new Map<Tensor, Value>();
    for (const w of [up, down]) {
      const [rows, columns] = w.shape as [number, number];
      const data = new Float32Array(rows * columns);
      // Only the first row and the last column are not zero, so that the far end of the data counts.
      for (let j = 0; j < columns; j++) data[j] = 1;
      for (let i = 0; i < rows; i++) data[i * columns + columns - 1] = 2;
      weights.set(w, float32(data, [rows, columns]));
    }
    const bytes = [...weights.values()].reduce((sum, { data }) => sum + (data as Float32Array).byteLength, 0);
    expect(bytes).toBeGreaterThan(2 ** 31);
    const hidden = matmul(x, up);
    await using program = await Program.compile({ y: matmul(hidden, down) }, { weights });
    const { y } = await program.run({ x: float32(new Float32Array(2 * D).fill(1), [2, D]) });
    // A row of hidden is 1 everywhere but 2 D at its end; down has one row of ones, then twos in its last column.
    const result = y!.data as Float32Array;
    for (const row of [result.subarray(0, D), result.subarray(D)]) {
      expect([...row.subarray(0, D - 1)]).toEqual(new Array(D - 1).fill(1));
      expect(row[D - 1]).toBe(2 * (H - 1 + 2 * D));
    }
  },
);

test.skipIf(process.env.POSTNAS_BIG !== '1')(
  'a single weight of 2 GB is refused (needs POSTNAS_BIG=1 and 8 GB of memory)',
  async () => {
    const shape = [2 ** 15, 2 ** 14];
    const w = input('w', 'float32', shape);
    const weights = new Map([[w, float32(new Float32Array(2 ** 29), shape)]]);
    await expect(Program.compile({ y: matmul(w, w, { transB: true }) }, { weights })).rejects.toThrow(
      'weight w of float32[32768, 16384] has 2147483648 bytes',
    );
  },
);
