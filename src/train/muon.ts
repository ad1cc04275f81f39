import {
  add,
  div,
  float32,
  input,
  matmul,
  mul,
  Program,
  sqrt,
  sub,
  sum,
  swapLast,
  type Tensor,
  type Value,
} from '../graph/index.ts';

/**
 * Muon (Jordan et al. 2024): momentum whose matrices are replaced by the nearest orthogonal ones, so that a step
 * is equally long in all directions of a weight matrix. For the matrices inside a network; embeddings and vectors
 * go to AdamW. On the small models trained here it needs a fraction of AdamW's tokens (docs/LOG.md).
 *
 *   m = b m + g;  u = g + b m (Nesterov);  p = p (1 - lr decay) - lr sqrt(max(1, rows / columns)) orthogonal(u)
 */
const MOMENTUM = 0.95;
/** Steps of the iteration below; its coefficients bring all singular values near 1 within five. */
const ITERATIONS = 5;
const [A, B, C] = [3.4445, -4.775, 2.0315];

/** Quintic Newton-Schulz iteration towards the orthogonal factor of each matrix of x [n, rows, columns]. */
function orthogonal(x: Tensor): Tensor {
  const [, rows, columns] = x.shape as [number, number, number];
  const wide = rows > columns ? swapLast(x) : x;
  let y = div(wide, add(sqrt(sum(mul(wide, wide), [1, 2], true)), 1e-7));
  for (let i = 0; i < ITERATIONS; i++) {
    const gram = matmul(y, y, { transB: true });
    const polynomial = add(mul(gram, B), matmul(gram, gram, { alpha: C }));
    y = add(mul(y, A), matmul(polynomial, y));
  }
  return rows > columns ? swapLast(y) : y;
}

/** The update of matrices p [n, rows, columns]; its numbers are the inputs `scale`, `keep` and `rate`. */
export function muonUpdate({ p, g, m }: Record<'p' | 'g' | 'm', Tensor>): Record<'newP' | 'newM', Tensor> {
  const number = (name: string) => input(name, 'float32', []);
  const scaled = mul(g, number('scale'));
  const newM = add(mul(m, MOMENTUM), scaled);
  const direction = orthogonal(add(scaled, mul(newM, MOMENTUM)));
  return { newP: sub(mul(p, number('keep')), mul(direction, number('rate'))), newM };
}

/** The numbers of a step. */
export function muonNumbers(
  { rows, columns }: Pick<MatrixGroup, 'rows' | 'columns'>,
  { learningRate, weightDecay, scale }: { learningRate: number; weightDecay: number; scale: number },
): Record<'scale' | 'keep' | 'rate', Value> {
  const number = (x: number) => float32(Float32Array.of(x), []);
  return {
    scale: number(scale),
    keep: number(1 - learningRate * weightDecay),
    rate: number(learningRate * Math.sqrt(Math.max(1, rows / columns))),
  };
}

/** A run of matrices of one shape, side by side in the parameter vector. */
export interface MatrixGroup {
  start: number;
  count: number;
  rows: number;
  columns: number;
}

export class Muon {
  private readonly programs = new Map<string, Promise<Program>>();

  constructor(private readonly threads = 0) {}

  private program({ count, rows, columns }: MatrixGroup): Promise<Program> {
    const key = `${count}x${rows}x${columns}`;
    const known = this.programs.get(key);
    if (known) return known;
    const matrices = (name: string) => input(name, 'float32', [count, rows, columns]);
    const update = muonUpdate({ p: matrices('p'), g: matrices('g'), m: matrices('m') });
    const program = Program.compile(update, { threads: this.threads });
    this.programs.set(key, program);
    return program;
  }

  /**
   * One step of a group of matrices, in place.
   *
   * @param scale factor of the gradient, such as 1 / accumulated batches
   */
  async step(
    group: MatrixGroup,
    given: { parameters: Float32Array; gradient: Float32Array; momentum: Float32Array },
    numbers: { learningRate: number; weightDecay: number; scale: number },
  ): Promise<void> {
    const { start, count, rows, columns } = group;
    const part = (data: Float32Array) =>
      float32(data.subarray(start, start + count * rows * columns), [count, rows, columns]);
    const [p, m] = [part(given.parameters), part(given.momentum)];
    await (await this.program(group)).run(
      { p, m, g: part(given.gradient), ...muonNumbers(group, numbers) },
      { newP: p, newM: m },
    );
  }

  async dispose(): Promise<void> {
    for (const program of this.programs.values()) await (await program).dispose();
    this.programs.clear();
  }
}
