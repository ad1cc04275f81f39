/** Matrix products, batched over the axes in front. */
import { type Dim, showShape } from '../dim.ts';
import { broadcastStrides, type NdArray, ndarray, offsets } from '../ndarray.ts';
import { type Emitter, emitLinear } from '../onnx.ts';
import { GraphError, isFloat, type Op, record, type Tensor } from '../tensor.ts';
import { broadcastShapes, broadcastValues } from './elementwise.ts';
import { sumTo } from './reduce.ts';
import { reshape, swapLast } from './shape.ts';

interface MatMulAttributes {
  [name: string]: boolean | number;
  transA: boolean;
  transB: boolean;
  alpha: number;
}

/** A node that swaps the last two axes of x. */
function transposed(emitter: Emitter, name: string, { rank }: Tensor): string {
  const front = Array.from({ length: rank - 2 }, (_, i) => i);
  return emitter.node('Transpose', [name], { perm: [...front, rank - 1, rank - 2] });
}

const matmulOp: Op<MatMulAttributes> = {
  name: 'matmul',
  emit: (emitter, [a, b], { attributes: { transA, transB, alpha }, inputs }) => {
    const linear = transB && !transA && alpha === 1 && inputs[1]!.rank === 2;
    const cut = emitter.fewRows && linear && emitter.device !== 'cpu' && emitter.floats.has(b!);
    if (emitter.quantized.has(b!) || emitter.halves.has(b!) || cut) {
      const x = { name: a!, rank: inputs[0]!.rank };
      return [emitLinear(emitter, x, b!, inputs[1]!.shape as number[])];
    }
    const fused = emitter.device === 'cpu' && inputs[0]!.dtype === 'float32';
    // FusedMatMul turns A again for every 128 columns of the product: for one large matrix once is a third faster.
    const turnA = transA && !(fused && inputs[0]!.rank > 2);
    const turnB = transB && !fused;
    const factors = [
      turnA ? transposed(emitter, a!, inputs[0]!) : a!,
      turnB ? transposed(emitter, b!, inputs[1]!) : b!,
    ];
    if (fused && (transA !== turnA || transB || alpha !== 1)) {
      const attributes = { transA: transA && !turnA ? 1 : 0, transB: transB ? 1 : 0, alpha };
      return [emitter.node('FusedMatMul', factors, attributes, { domain: 'com.microsoft' })];
    }
    const product = emitter.node('MatMul', factors);
    if (alpha === 1) return [product];
    return [emitter.node('Mul', [product, emitter.constant(inputs[0]!.dtype, ndarray([], [alpha]))])];
  },
  vjp: ({ inputs: [a, b], attributes: { transA, transB, alpha } }, [dy]) => {
    // Y = alpha op(A) op(B): d op(A) = alpha dY op(B)^T, d op(B) = alpha op(A)^T dY.
    let da: Tensor;
    if (a!.rank === 2 && b!.rank > 2 && !transA && transB) {
      // As below, for a weight from the left.
      const rows = reshape(b!, [-1, b!.shape[b!.rank - 1]!]);
      const dRows = reshape(swapLast(dy!), [-1, a!.shape[0]!]);
      da = matmul(dRows, rows, { transA: true, alpha });
    } else {
      da = transA
        ? matmul(b!, dy!, { transA: transB, transB: true, alpha })
        : matmul(dy!, b!, { transB: !transB, alpha });
    }
    let db: Tensor;
    if (b!.rank === 2 && a!.rank > 2 && !transA) {
      // One large product over all rows instead of a product per batch element and a sum.
      const rows = reshape(a!, [-1, a!.shape[a!.rank - 1]!]);
      const dRows = reshape(dy!, [-1, dy!.shape[dy!.rank - 1]!]);
      db = transB
        ? matmul(dRows, rows, { transA: true, alpha })
        : matmul(rows, dRows, { transA: true, alpha });
    } else {
      db = transB
        ? matmul(dy!, a!, { transA: true, transB: transA, alpha })
        : matmul(a!, dy!, { transA: !transA, alpha });
    }
    return [sumTo(da, a!.shape), sumTo(db, b!.shape)];
  },
  // When there is nothing to add up, the CPU sets only the first matrix of a batch to zero, and WebGPU crashes.
  nonEmpty: ({ inputs: [a], outputs: [y], attributes: { transA } }, device) =>
    y!.rank > 2 || device === 'webgpu' ? [a!.shape[a!.rank - (transA ? 2 : 1)]!] : [],
  evaluate: ([a, b], { attributes }) => [plainProduct(a!, b!, attributes)],
};

/** The definition of the product, by plain loops. */
export function plainProduct(
  a: NdArray,
  b: NdArray,
  { transA = false, transB = false, alpha = 1 }: { transA?: boolean; transB?: boolean; alpha?: number } = {},
): NdArray {
  const [ra, ca] = a.shape.slice(-2) as [number, number];
  const [rb, cb] = b.shape.slice(-2) as [number, number];
  const [m, k, n] = [transA ? ca : ra, transA ? ra : ca, transB ? rb : cb];
  const batchA = { shape: a.shape.slice(0, -2), data: a.data };
  const batchB = { shape: b.shape.slice(0, -2), data: b.data };
  const batch = broadcastValues([batchA, batchB].map((x) => ({ ...x, shape: [...x.shape, 1] }))).slice(0, -1);
  const startsA = offsets(batch, broadcastStrides(batchA, batch));
  const startsB = offsets(batch, broadcastStrides(batchB, batch));
  const result = ndarray([...batch, m, n]);
  for (let z = 0; z < startsA.length; z++) {
    const [a0, b0, y0] = [startsA[z]! * ra * ca, startsB[z]! * rb * cb, z * m * n];
    for (let i = 0; i < m; i++) {
      for (let p = 0; p < k; p++) {
        const x = alpha * a.data[a0 + (transA ? p * ca + i : i * ca + p)]!;
        for (let j = 0; j < n; j++) {
          result.data[y0 + i * n + j]! += x * b.data[b0 + (transB ? j * cb + p : p * cb + j)]!;
        }
      }
    }
  }
  return result;
}

/**
 * alpha * op(a) op(b) over the last two axes, where op transposes them if asked: [..., M, K] x [..., K, N] gives
 * [..., M, N]. The axes in front broadcast; with them, or on WebGPU, K must not be 0 when a program runs.
 */
export function matmul(
  a: Tensor,
  b: Tensor,
  { transA = false, transB = false, alpha = 1 }: { transA?: boolean; transB?: boolean; alpha?: number } = {},
): Tensor {
  const shapes = () =>
    `${showShape(a.shape)}${transA ? ' transposed' : ''} x ${showShape(b.shape)}${transB ? ' transposed' : ''}`;
  if (a.rank < 2 || b.rank < 2) throw new GraphError(`matmul: ${shapes()}: both need at least two axes`);
  if (a.dtype !== b.dtype || !isFloat(a.dtype))
    throw new GraphError(`matmul: dtypes ${a.dtype} and ${b.dtype}`);
  const [ra, ca] = a.shape.slice(-2) as [Dim, Dim];
  const [rb, cb] = b.shape.slice(-2) as [Dim, Dim];
  const [inner, outer] = [transA ? ra : ca, transB ? cb : rb];
  if (inner !== outer) {
    throw new GraphError(`matmul: ${shapes()}: inner dimensions ${inner} and ${outer} differ`);
  }
  const batch = broadcastShapes('matmul', a.shape.slice(0, -2), b.shape.slice(0, -2));
  const shape = [...batch, transA ? ca : ra, transB ? rb : cb];
  return record(matmulOp, [a, b], { transA, transB, alpha }, a.dtype, shape);
}

/** x W^T for a weight stored [out, in] as checkpoints do. x [..., in] -> [..., out]. */
export function linear(x: Tensor, weight: Tensor): Tensor {
  return matmul(x, weight, { transB: true });
}
