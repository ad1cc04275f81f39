/** The inverse of a unit lower triangular matrix, which turns a delta rule over a chunk into matrix products. */
import { showShape } from '../dim.ts';
import { ndarray } from '../ndarray.ts';
import type { Emitter } from '../onnx.ts';
import { type DType, GraphError, isFloat, type Op, record, type Tensor } from '../tensor.ts';
import { constant } from './constant.ts';
import { mul } from './elementwise.ts';
import { matmul } from './matmul.ts';
import { squeeze, unsqueeze } from './shape.ts';

/** [size, size] matrix of 1 where the condition holds, else 0. */
function indicator(size: number, condition: (row: number, column: number) => boolean): number[] {
  return Array.from({ length: size * size }, (_, n) => (condition(Math.floor(n / size), n % size) ? 1 : 0));
}

/** Blocks up to this size are inverted as whole matrices, larger ones by their halves. */
const BASE = 16;

/**
 * Nodes for (I + strictly lower part of n)^-1 of n [..., size, size], for a size that is a power of two.
 *
 * With the inverses X and Y of the diagonal blocks, [X 0; C Y]^-1 = [X 0; -Y C X, Y], from blocks of 1 upwards.
 * All that is formed is a block of the inverse or a product of one with rows of n, so that nothing grows which
 * then cancels: the power series (I - N)(I + N^2)(I + N^4)... loses all digits for equal keys (binomials).
 */
function emitInverse(emitter: Emitter, n: string, size: number, dtype: DType): string {
  const matrix = (condition: (row: number, column: number) => boolean) =>
    emitter.constant(dtype, ndarray([size, size], indicator(size, condition)));
  if (size <= BASE) {
    /** The entries of n between the halves of each diagonal block of twice `half`. */
    const between = (half: number) =>
      emitter.node('Mul', [
        n,
        matrix((i, j) => Math.floor(i / half) === Math.floor(j / half) + 1 && Math.floor(j / half) % 2 === 0),
      ]);
    let inverse = emitter.node('Sub', [matrix((i, j) => i === j), between(1)]);
    for (let half = 2; half < size; half *= 2) {
      const product = emitter.node('MatMul', [emitter.node('MatMul', [inverse, between(half)]), inverse]);
      inverse = emitter.node('Sub', [inverse, product]);
    }
    return inverse;
  }
  const half = size / 2;
  const ints = (...values: number[]) => emitter.constant('int64', ndarray([values.length], values));
  const block = (row: number, column: number) =>
    emitter.node('Slice', [
      n,
      ints(row * half, column * half),
      ints((row + 1) * half, (column + 1) * half),
      ints(-2, -1),
    ]);
  const halves = emitInverse(
    emitter,
    emitter.node('Concat', [block(0, 0), block(1, 1)], { axis: 0 }),
    half,
    dtype,
  );
  const [x, y] = emitter.nodeMany('Split', [halves], 2, { axis: 0, num_outputs: 2 }) as [string, string];
  const corner = emitter.node('Neg', [emitter.node('MatMul', [emitter.node('MatMul', [y, block(1, 0)]), x])]);
  const zero = emitter.constant(dtype, ndarray([], [0]));
  const top = emitter.node('Pad', [x, ints(0, half), zero, ints(-1)]);
  return emitter.node('Concat', [top, emitter.node('Concat', [corner, y], { axis: -1 })], { axis: -2 });
}

const unitLowerInverseOp: Op = {
  name: 'unitLowerInverse',
  emit: (emitter, [n], { inputs }) => {
    const { dtype, shape } = inputs[0]!;
    const size = shape[shape.length - 1] as number;
    const padded = 2 ** Math.ceil(Math.log2(size));
    if (padded === size) return [emitInverse(emitter, n!, size, dtype)];
    const ints = (...values: number[]) => emitter.constant('int64', ndarray([values.length], values));
    const zero = emitter.constant(dtype, ndarray([], [0]));
    const missing = padded - size;
    const wide = emitter.node('Pad', [n!, ints(0, 0, missing, missing), zero, ints(-2, -1)]);
    const inverse = emitInverse(emitter, wide, padded, dtype);
    return [emitter.node('Slice', [inverse, ints(0, 0), ints(size, size), ints(-2, -1)])];
  },
  vjp: ({ inputs: [n], outputs: [y] }, [dy]) => {
    // d(A^-1) = -A^-1 dA A^-1, of which only the part that is read counts.
    const size = n!.shape[n!.rank - 1] as number;
    const dn = matmul(y!, matmul(dy!, y!, { transB: true }), { transA: true, alpha: -1 });
    return [
      mul(
        dn,
        constant(
          indicator(size, (i, j) => i > j),
          [size, size],
          n!.dtype,
        ),
      ),
    ];
  },
  evaluate: ([n]) => {
    const size = n!.shape[n!.shape.length - 1]!;
    const result = ndarray(n!.shape);
    for (let z = 0; z < result.data.length; z += size * size) {
      // Row i of the inverse is e_i - sum over j < i of n_ij times row j.
      for (let i = 0; i < size; i++) {
        const row = z + i * size;
        result.data[row + i] = 1;
        for (let j = 0; j < i; j++) {
          for (let c = 0; c <= j; c++) {
            result.data[row + c]! -= n!.data[row + j]! * result.data[z + j * size + c]!;
          }
        }
      }
    }
    return [result];
  },
};

/** (I + L)^-1 where L is the strictly lower triangular part of n [..., C, C]; the rest of n is not read. */
export function unitLowerInverse(n: Tensor): Tensor {
  const [rows, columns] = n.shape.slice(-2);
  if (n.rank < 2 || rows !== columns || typeof rows !== 'number' || rows < 1 || !isFloat(n.dtype)) {
    throw new GraphError(
      `unitLowerInverse: needs float matrices of one static size, got ${n.dtype}${showShape(n.shape)}`,
    );
  }
  // The emission needs an axis to stack halves along.
  if (n.rank === 2) return squeeze(unitLowerInverse(unsqueeze(n, 0)), 0);
  return record(unitLowerInverseOp, [n], {}, n.dtype, n.shape);
}
