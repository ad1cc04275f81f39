/** Products of 8-bit integers, and how to get at integers. For the CPU; none has a gradient. */

import { isByte, type RightBytes, ZERO_BYTE } from '../bytes.ts';
import { showShape } from '../dim.ts';
import { type NdArray, ndarray } from '../ndarray.ts';
import { emitByteProduct } from '../onnx.ts';
import { GraphError, type Op, record, type Tensor } from '../tensor.ts';
import { scalar } from './constant.ts';
import { broadcastShapes } from './elementwise.ts';
import { plainProduct } from './matmul.ts';

const integerProductOp: Op<{ zero: number }> = {
  name: 'integerProduct',
  emit: (emitter, [a, b, scale, scales], { attributes: { zero }, inputs }) => {
    const right = { name: b!, type: inputs[1]!.dtype as RightBytes };
    return [emitByteProduct(emitter, a!, right, [scale!, scales!], zero)];
  },
  vjp: () => [null, null, null, null],
  evaluate: ([a, b, scale, scales], { attributes: { zero }, inputs }) => {
    const less = ({ shape, data }: NdArray, by: number) => ({ shape, data: data.map((x) => x - by) });
    const product = plainProduct(less(a!, zero), less(b!, inputs[1]!.dtype === 'uint8' ? ZERO_BYTE : 0));
    const [M, N] = product.shape.slice(-2) as [number, number];
    const data = product.data.map((x, i) => {
      const column = scales!.data.length === 1 ? 0 : Math.floor(i / (M * N)) * N + (i % N);
      return x * scale!.data[0]! * scales!.data[column]!;
    });
    return [{ shape: product.shape, data }];
  },
};

/**
 * (a - zero) b, times `scale` and each column times its own factor: uint8 [..., M, K] x [..., K, N] gives float32
 * [..., M, N]. b is int8, or uint8 that stands for so much less ZERO_BYTE. Exact but for the factors; of the two
 * `rightBytes` says which needs no turning on the machine at hand. `scale` is [], `scales` [..., 1, N] with the axes in
 * front of b, or [] for one factor.
 */
export function integerProduct(
  a: Tensor,
  b: Tensor,
  {
    zero = 0,
    scale = scalar(1),
    scales = scalar(1),
  }: { zero?: number; scale?: Tensor; scales?: Tensor } = {},
): Tensor {
  const shapes = () => `${a} x ${b}`;
  if (a.dtype !== 'uint8' || !isByte(b.dtype) || a.rank < 2 || b.rank < 2) {
    throw new GraphError(`integerProduct: needs matrices of uint8 and int8 (or uint8), got ${shapes()}`);
  }
  const [front, N] = [b.shape.slice(0, -2), b.shape.at(-1)!];
  if (a.shape.at(-1) !== b.shape.at(-2)) throw new GraphError(`integerProduct: ${shapes()} do not fit`);
  if (scales.rank > 0 && scales.shape.join() !== [...front, 1, N].join()) {
    throw new GraphError(
      `integerProduct: factors of columns are ${scales}, expected ${showShape([...front, 1, N])}`,
    );
  }
  const shape = [
    ...broadcastShapes('integerProduct', a.shape.slice(0, -2), front),
    a.shape.at(-2)!,
    b.shape.at(-1)!,
  ];
  return record(integerProductOp, [a, b, scale, scales], { zero }, 'float32', shape);
}

const lastByteOp: Op = {
  name: 'lastByte',
  // From 32 to 8 bits a cast keeps the lower ones.
  emit: (emitter, [x]) => [emitter.cast(emitter.cast(x!, 'int32'), 'uint8')],
  vjp: () => [null],
  evaluate: ([x]) => [{ shape: x!.shape, data: x!.data.map((value) => Math.floor(value) % 256) }],
};

/** The lower 8 bits of what stands before the point of numbers from 0 on: uint8. */
export function lastByte(x: Tensor): Tensor {
  if (x.dtype !== 'float32') throw new GraphError(`lastByte: needs a float32 tensor, got ${x}`);
  return record(lastByteOp, [x], {}, 'uint8', x.shape);
}

const nearestByteOp: Op<{ zero: number | null }> = {
  name: 'nearestByte',
  emit: (emitter, [x], { attributes: { zero } }) => [
    emitter.node('QuantizeLinear', [
      x!,
      emitter.constant('float32', ndarray([], [1])),
      emitter.constant(zero === null ? 'int8' : 'uint8', ndarray([], [zero ?? 0])),
    ]),
  ],
  vjp: () => [null],
  evaluate: ([x], { attributes: { zero } }) => {
    const [least, most] = zero === null ? [-128, 127] : [0, 255];
    const data = x!.data.map((value) => Math.max(least, Math.min(most, nearestEven(value) + (zero ?? 0))));
    return [{ shape: x!.shape, data }];
  },
};

/**
 * The nearest integer from -128 to 127, the even one of two: int8. With a zero, that integer and the zero, from 0 to 255:
 * uint8.
 */
export function nearestByte(x: Tensor, zero: number | null = null): Tensor {
  if (x.dtype !== 'float32') throw new GraphError(`nearestByte: needs a float32 tensor, got ${x}`);
  return record(nearestByteOp, [x], { zero }, zero === null ? 'int8' : 'uint8', x.shape);
}

function nearestEven(x: number): number {
  const below = Math.floor(x);
  const above = x - below > 0.5 || (x - below === 0.5 && below % 2 !== 0);
  return above ? below + 1 : below;
}
