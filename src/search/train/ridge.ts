import { input, matmul, Program } from '../../graph/index.ts';
import { float32 } from '../../graph/program.ts';

/** Steps of conjugate gradients. The fewer there are, the less is taken from directions that have little to say. */
const STEPS = 50;
/** Of the squares that are left of those at the start: as exact as float32 products are. */
const ENOUGH = 1e-12;

/**
 * Ridge regression for many targets at once: the B [n, m] with the least |X B - Y|^2 + ridge |B|^2, by conjugate gradients, in which
 * the products are those of matrices.
 *
 * @param gram X^T X [n, n]
 * @param right X^T Y [n, m]
 * @param share of the mean of the gram's diagonal that is the ridge
 */
export async function ridgeRegression(
  gram: Float32Array,
  right: Float32Array,
  share: number,
  threads = 0,
): Promise<Float32Array> {
  const n = Math.sqrt(gram.length);
  const m = right.length / n;
  let trace = 0;
  for (let i = 0; i < n; i++) trace += gram[i * n + i]!;
  const ridge = (share * trace) / n;
  const solution = new Float32Array(n * m);
  const rest = right.slice();
  const direction = right.slice();
  /** Of each column, the product of two. */
  const dots = (a: Float32Array, b: Float32Array) => {
    const sums = new Float64Array(m);
    for (let i = 0; i < a.length; i++) sums[i % m]! += a[i]! * b[i]!;
    return sums;
  };
  const first = dots(rest, rest);
  let norms = first;
  const program = await Program.compile(
    { y: matmul(input('gram', 'float32', [n, n]), input('x', 'float32', [n, m])) },
    { threads },
  );
  try {
    for (let step = 0; step < STEPS && norms.some((norm, c) => norm > ENOUGH * first[c]!); step++) {
      const { y } = await program.run({ gram: float32(gram, [n, n]), x: float32(direction, [n, m]) });
      const moved = y!.data as Float32Array;
      for (let i = 0; i < moved.length; i++) moved[i]! += ridge * direction[i]!;
      const curved = dots(direction, moved);
      const lengths = norms.map((norm, c) => (curved[c]! > 0 ? norm / curved[c]! : 0));
      for (let i = 0; i < moved.length; i++) {
        const length = lengths[i % m]!;
        solution[i]! += length * direction[i]!;
        rest[i]! -= length * moved[i]!;
      }
      const next = dots(rest, rest);
      for (let i = 0; i < moved.length; i++) {
        const c = i % m;
        direction[i] = rest[i]! + (norms[c]! > 0 ? next[c]! / norms[c]! : 0) * direction[i]!;
      }
      norms = next;
    }
  } finally {
    await program.dispose();
  }
  return solution;
}
