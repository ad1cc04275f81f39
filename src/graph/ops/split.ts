/** Cutting an axis into pieces at once: one node, and one gradient, where slices would each make their own. */
import { bindShape, type Dim, type Shape, showShape } from '../dim.ts';
import { type NdArray, ndarray, offsets, strides } from '../ndarray.ts';
import { emitSplit } from '../onnx.ts';
import { GraphError, type Op, recordMany, type Tensor } from '../tensor.ts';
import { fill } from './constant.ts';
import { normalizeAxes } from './reduce.ts';
import { concat } from './shape.ts';

function withSize(shape: Shape, axis: number, size: Dim): Shape {
  return shape.map((dim, i) => (i === axis ? size : dim));
}

const splitOp: Op<{ axis: number; sizes: readonly number[] }> = {
  name: 'split',
  emit: (emitter, [x], { attributes: { axis, sizes } }) => emitSplit(emitter, x!, axis, sizes),
  vjp: ({ inputs: [x], attributes: { axis, sizes } }, gradients) => [
    concat(
      sizes.map((size, i) => gradients[i] ?? fill(0, withSize(x!.shape, axis, size), x!.dtype)),
      axis,
    ),
  ],
  evaluate: ([x], node, bindings): NdArray[] => {
    const own = strides(x!.shape);
    let start = 0;
    return node.outputs.map((output) => {
      const piece = ndarray(bindShape(output.shape, bindings));
      const at = offsets(piece.shape, own, start);
      for (let i = 0; i < at.length; i++) piece.data[i] = x!.data[at[i]!]!;
      start += piece.shape[node.attributes.axis]! * own[node.attributes.axis]!;
      return piece;
    });
  },
};

/**
 * Pieces of these sizes along one axis, in order; concat puts them together again.
 *
 * @throws GraphError where the sizes do not add up to the axis, which must be static
 */
export function split(x: Tensor, axis: number, sizes: readonly number[]): Tensor[] {
  const [normal] = normalizeAxes('split', x, axis) as [number];
  if (sizes.reduce((a, b) => a + b, 0) !== x.shape[normal] || sizes.some((size) => size < 0)) {
    throw new GraphError(`split: sizes ${sizes.join(', ')} of axis ${axis} of ${showShape(x.shape)}`);
  }
  if (sizes.length === 1) return [x];
  return recordMany(
    splitOp,
    [x],
    { axis: normal, sizes },
    sizes.map((size) => ({ dtype: x.dtype, shape: withSize(x.shape, normal, size) })),
  );
}
