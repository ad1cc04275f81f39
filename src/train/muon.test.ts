import { describe, expect, test } from 'vitest';
import { linearWeight, vector } from '../mixers/mixer.ts';
import { Random } from '../util/random.ts';
import { AdamW, freshMoments } from './adamw.ts';
import { Muon } from './muon.ts';
import { ParameterVector } from './parameters.ts';

type Matrix = number[][];

const product = (a: Matrix, b: Matrix): Matrix =>
  a.map((row) => b[0]!.map((_, j) => row.reduce((sum, x, k) => sum + x * b[k]![j]!, 0)));
const transpose = (a: Matrix): Matrix => a[0]!.map((_, j) => a.map((row) => row[j]!));
const combine = (a: Matrix, x: number, b: Matrix, y: number): Matrix =>
  a.map((row, i) => row.map((value, j) => x * value + y * b[i]![j]!));

function matrix(data: ArrayLike<number>, rows: number, columns: number, start = 0): Matrix {
  return Array.from({ length: rows }, (_, i) =>
    Array.from({ length: columns }, (_, j) => data[start + i * columns + j]!),
  );
}

function drawn(size: number, seed: number): Float32Array {
  const random = new Random(seed);
  return Float32Array.from({ length: size }, () => random.normal());
}

/** The iteration of the paper, in float64. */
function orthogonal(u: Matrix): Matrix {
  if (u.length > u[0]!.length) return transpose(orthogonal(transpose(u)));
  const norm = Math.hypot(...u.flat()) + 1e-7;
  let x = u.map((row) => row.map((value) => value / norm));
  for (let i = 0; i < 5; i++) {
    const gram = product(x, transpose(x));
    const polynomial = combine(gram, -4.775, product(gram, gram), 2.0315);
    x = combine(x, 3.4445, product(polynomial, x), 1);
  }
  return x;
}

/** One step on one matrix, in float64. */
function plainStep(p: Matrix, g: Matrix, m: Matrix, rate: number, decay: number, scale: number) {
  const newM = combine(m, 0.95, g, scale);
  const direction = orthogonal(combine(newM, 0.95, g, scale));
  const stretch = Math.sqrt(Math.max(1, p.length / p[0]!.length));
  return { p: combine(p, 1 - rate * decay, direction, -rate * stretch), m: newM };
}

const far = (a: Matrix, b: Matrix): number =>
  Math.max(...a.flatMap((row, i) => row.map((x, j) => Math.abs(x - b[i]![j]!))));

describe('Muon', () => {
  test.each([
    [3, 8, 16],
    [2, 16, 8],
    [1, 12, 12],
  ])(
    '%d matrices [%d, %d]: steps are those of float64, singular values near 1',
    async (count, rows, columns) => {
      const size = count * rows * columns;
      // The group lies in the middle of the vectors; its surroundings must not change.
      const [parameters, gradient, momentum] = [1, 2, 3].map((seed) => drawn(size + 20, seed));
      const group = { start: 10, count, rows, columns };
      const settings = { learningRate: 0.5, weightDecay: 0.1, scale: 0.25 };
      const part = (data: Float32Array, k: number) => matrix(data, rows, columns, 10 + k * rows * columns);
      const all = Array.from({ length: count }, (_, k) => k);
      const expected = all.map((k) =>
        plainStep(part(parameters!, k), part(gradient!, k), part(momentum!, k), 0.5, 0.1, 0.25),
      );
      const before = { parameters: parameters!.slice(), momentum: momentum!.slice() };

      const muon = new Muon(1);
      await muon.step(group, { parameters: parameters!, gradient: gradient!, momentum: momentum! }, settings);
      await muon.dispose();

      const stretch = 0.5 * Math.sqrt(Math.max(1, rows / columns));
      for (const k of all) {
        expect(far(part(parameters!, k), expected[k]!.p)).toBeLessThan(1e-4);
        expect(far(part(momentum!, k), expected[k]!.m)).toBeLessThan(1e-6);
        const step = combine(part(before.parameters, k), 0.95 / stretch, part(parameters!, k), -1 / stretch);
        const wide = rows > columns ? transpose(step) : step;
        // Singular values between 0.6 and 1.3: those of X X^T are their squares, on the diagonal and in its power.
        const gram = product(wide, transpose(wide));
        for (const value of eigenvalues(gram)) {
          expect(value).toBeGreaterThan(0.3);
          expect(value).toBeLessThan(1.7);
        }
      }
      for (const outside of [0, 9, size + 10, size + 19]) {
        expect(parameters![outside]).toBe(before.parameters[outside]);
        expect(momentum![outside]).toBe(before.momentum[outside]);
      }
    },
  );

  test('in the optimiser it takes the matrices; embedding, head and vectors are left to AdamW', async () => {
    const parameters = new ParameterVector([
      linearWeight('model.embed_tokens.weight', 8, 8),
      linearWeight('first', 8, 8),
      linearWeight('second', 8, 4),
      linearWeight('third', 8, 8),
      vector('norm', 8, 1),
      linearWeight('lm_head.weight', 8, 8),
    ]);
    const start = drawn(parameters.size, 1);
    const gradient = parameters.like();
    gradient.data.set(drawn(parameters.size, 2));
    const run = async (muon: number) => {
      parameters.data.set(start);
      const optimizer = await AdamW.create({ muon, weightDecay: 0.3, clipNorm: Number.POSITIVE_INFINITY }, 1);
      await optimizer.step(parameters, gradient, freshMoments(parameters), 0.01);
      await optimizer.dispose();
      return parameters.data.slice();
    };
    const [adam, both] = [await run(0), await run(10)];
    const of = (data: Float32Array, name: string) => {
      const from = parameters.start(name);
      return data.subarray(from, from + parameters.view(name).length);
    };
    for (const name of ['model.embed_tokens.weight', 'lm_head.weight', 'norm']) {
      expect(of(both, name)).toEqual(of(adam, name));
    }
    for (const [name, columns] of [
      ['first', 8],
      ['second', 4],
      ['third', 8],
    ] as const) {
      const at = (data: Float32Array) => matrix(of(data, name), 8, columns);
      const zero = at(new Float32Array(parameters.size));
      const { p } = plainStep(at(start), at(gradient.data), zero, 0.1, 0.3, 1);
      expect(far(at(both), p)).toBeLessThan(1e-4);
    }
  });
});

/** Of a symmetric matrix, by Jacobi rotations. */
function eigenvalues(a: Matrix): number[] {
  const x = a.map((row) => [...row]);
  const n = x.length;
  for (let sweep = 0; sweep < 30; sweep++) {
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        const angle = Math.atan2(2 * x[p]![q]!, x[q]![q]! - x[p]![p]!) / 2;
        const [c, s] = [Math.cos(angle), Math.sin(angle)];
        for (let k = 0; k < n; k++) {
          const [u, v] = [x[k]![p]!, x[k]![q]!];
          x[k]![p] = c * u - s * v;
          x[k]![q] = s * u + c * v;
        }
        for (let k = 0; k < n; k++) {
          const [u, v] = [x[p]![k]!, x[q]![k]!];
          x[p]![k] = c * u - s * v;
          x[q]![k] = s * u + c * v;
        }
      }
    }
  }
  return x.map((row, i) => row[i]!);
}
