import { expect, test } from 'vitest';
import { Random } from '../../util/random.ts';
import { ridgeRegression } from './ridge.ts';

const [tokens, n, m] = [40, 7, 3];

/** Gaussian elimination with the largest pivot. */
function solve(matrix: number[][], right: number[][]): number[][] {
  const rows = matrix.map((row, i) => [...row, ...right[i]!]);
  for (let i = 0; i < rows.length; i++) {
    const pivot = rows.reduce(
      (best, row, r) => (r >= i && Math.abs(row[i]!) > Math.abs(rows[best]![i]!) ? r : best),
      i,
    );
    [rows[i], rows[pivot]] = [rows[pivot]!, rows[i]!];
    for (let r = 0; r < rows.length; r++) {
      if (r === i) continue;
      const factor = rows[r]![i]! / rows[i]![i]!;
      rows[r] = rows[r]!.map((x, c) => x - factor * rows[i]![c]!);
    }
  }
  return rows.map((row, i) => row.slice(matrix.length).map((x) => x / row[i]!));
}

test('ridge regression is the solution of its equations', async () => {
  const random = new Random(1);
  const draw = (rows: number, columns: number) =>
    Array.from({ length: rows }, () => Array.from({ length: columns }, (_, c) => (c + 1) * random.normal()));
  const [x, y] = [draw(tokens, n), draw(tokens, m)];
  const product = (a: number[][], b: number[][]) =>
    a[0]!.map((_, i) => b[0]!.map((_, j) => a.reduce((sum, row, t) => sum + row[i]! * b[t]![j]!, 0)));
  const [gram, right] = [product(x, x), product(x, y)];
  for (const share of [0, 0.3]) {
    const ridge = (share * gram.reduce((sum, row, i) => sum + row[i]!, 0)) / n;
    const wanted = solve(
      gram.map((row, i) => row.map((value, j) => value + (i === j ? ridge : 0))),
      right,
    ).flat();
    const found = await ridgeRegression(
      Float32Array.from(gram.flat()),
      Float32Array.from(right.flat()),
      share,
      1,
    );
    for (const [i, each] of wanted.entries()) expect(Math.abs(found[i]! - each)).toBeLessThan(1e-5);
  }
});

test('a target of zeros and inputs of zeros', async () => {
  expect([...(await ridgeRegression(Float32Array.of(2, 0, 0, 2), new Float32Array(4), 0.1, 1))]).toEqual([
    0, 0, 0, 0,
  ]);
  expect([...(await ridgeRegression(new Float32Array(4), new Float32Array(2), 0.1, 1))]).toEqual([0, 0]);
});
