/** Ops that move elements without changing them. */
import {
  addDims,
  bindShape,
  canonicalShape,
  type Dim,
  divDims,
  type Shape,
  sameShape,
  showShape,
  sizeOf,
  subDims,
} from '../dim.ts';
import { broadcastStrides, type NdArray, ndarray, offsets, strides } from '../ndarray.ts';
import { permutationOf } from '../swapped-from.ts';
import { GraphError, type Op, record, type Tensor } from '../tensor.ts';
import { broadcastShapes } from './elementwise.ts';
import { normalizeAxes, sumTo } from './reduce.ts';
import { split } from './split.ts';

function read(x: NdArray, shape: readonly number[], stride: readonly number[], start = 0): NdArray {
  const at = offsets(shape, stride, start);
  const result = ndarray(shape);
  for (let i = 0; i < at.length; i++) result.data[i] = x.data[at[i]!]!;
  return result;
}

const reshapeOp: Op<{ shape: Shape }> = {
  name: 'reshape',
  emit: (emitter, [x], { attributes: { shape }, inputs }) => [emitter.reshape(x!, inputs[0]!.shape, shape)],
  vjp: ({ inputs: [x] }, [dy]) => [reshape(dy!, x!.shape)],
  evaluate: ([x], { attributes: { shape } }, bindings) => [ndarray(bindShape(shape, bindings), x!.data)],
};

/** The same elements in another shape. One dimension may be -1: what is left over. */
export function reshape(x: Tensor, shape: Shape): Tensor {
  const open = shape.indexOf(-1);
  const given = canonicalShape(
    'reshape',
    shape.filter((_, i) => i !== open),
  );
  let target = given;
  if (open >= 0) {
    const rest = divDims(sizeOf(x.shape), sizeOf(given));
    if (rest === null)
      throw new GraphError(`reshape: ${showShape(x.shape)} does not fit ${showShape(shape)}`);
    target = [...given.slice(0, open), rest, ...given.slice(open)];
  }
  if (sizeOf(x.shape) !== sizeOf(target)) {
    throw new GraphError(
      `reshape: ${showShape(x.shape)} has ${sizeOf(x.shape)} elements, ${showShape(shape)} has ${sizeOf(target)}`,
    );
  }
  if (sameShape(x.shape, target)) return x;
  // Of two after each other the last one counts.
  if (x.node.op === reshapeOp) return reshape(x.node.inputs[0]!, target);
  return record(reshapeOp, [x], { shape: target }, x.dtype, target);
}

const transposeOp: Op<{ permutation: readonly number[] }> = {
  name: 'transpose',
  emit: (emitter, [x], { attributes: { permutation } }) => [
    emitter.node('Transpose', [x!], { perm: [...permutation] }),
  ],
  vjp: ({ attributes: { permutation } }, [dy]) => [
    transpose(
      dy!,
      permutation.map((_, i) => permutation.indexOf(i)),
    ),
  ],
  evaluate: ([x], { attributes: { permutation } }) => {
    const own = strides(x!.shape);
    return [
      read(
        x!,
        permutation.map((axis) => x!.shape[axis]!),
        permutation.map((axis) => own[axis]!),
      ),
    ];
  },
};

/** Axis i of the result is axis permutation[i] of x. */
export function transpose(x: Tensor, permutation: readonly number[]): Tensor {
  const axes = normalizeAxes('transpose', x, permutation);
  if (axes.length !== x.rank || axes.some((axis, i) => axis !== i)) {
    throw new GraphError(`transpose: [${permutation.join(', ')}] is no permutation of the axes of ${x}`);
  }
  const positive = permutation.map((axis) => (axis < 0 ? axis + x.rank : axis));
  if (positive.every((axis, i) => axis === i)) return x;
  const before = permutationOf(x);
  // Of two that undo each other nothing is left.
  if (before && positive.every((axis, i) => before[axis] === i)) return x.node.inputs[0]!;
  // Nothing moves where only axes of size 1 change places.
  const moving = positive.filter((axis) => x.shape[axis] !== 1);
  if (moving.every((axis, i) => i === 0 || axis > moving[i - 1]!)) {
    return reshape(
      x,
      positive.map((axis) => x.shape[axis]!),
    );
  }
  return record(
    transposeOp,
    [x],
    { permutation: positive },
    x.dtype,
    positive.map((axis) => x.shape[axis]!),
  );
}

/** Swaps the last two axes. */
export function swapLast(x: Tensor): Tensor {
  if (x.rank < 2) throw new GraphError(`swapLast: ${x} has fewer than two axes`);
  const axes = x.shape.map((_, i) => i);
  return transpose(x, [...axes.slice(0, -2), x.rank - 1, x.rank - 2]);
}

const expandOp: Op<{ shape: Shape }> = {
  name: 'expand',
  emit: (emitter, [x], { attributes: { shape } }) => [emitter.node('Expand', [x!, emitter.shape(shape)])],
  vjp: ({ inputs: [x] }, [dy]) => [sumTo(dy!, x!.shape)],
  evaluate: ([x], { attributes: { shape } }, bindings) => {
    const target = bindShape(shape, bindings);
    return [read(x!, target, broadcastStrides(x!, target))];
  },
};

/** Repeats axes of size 1, and adds axes in front, until the shape is reached. */
export function expand(x: Tensor, shape: Shape): Tensor {
  const target = canonicalShape('expand', shape);
  if (!sameShape(broadcastShapes('expand', x.shape, target), target)) {
    throw new GraphError(`expand: ${showShape(x.shape)} does not expand to ${showShape(target)}`);
  }
  return sameShape(x.shape, target) ? x : record(expandOp, [x], { shape: target }, x.dtype, target);
}

const sliceOp: Op<{ axis: number; start: Dim; end: Dim }> = {
  name: 'slice',
  emit: (emitter, [x], { attributes: { axis, start, end } }) => [
    emitter.node('Slice', [
      x!,
      emitter.shape([start]),
      emitter.shape([end]),
      emitter.constant('int64', ndarray([1], [axis])),
    ]),
  ],
  vjp: ({ inputs: [x], attributes: { axis, start, end } }, [dy]) => [
    pad(dy!, axis, start, subDims(x!.shape[axis]!, end)),
  ],
  evaluate: ([x], node, bindings) => {
    const { axis, start, end } = node.attributes;
    const own = strides(x!.shape);
    const [from, to] = bindShape([start, end], bindings) as [number, number];
    if (from < 0 || to < from || to > x!.shape[axis]!) {
      throw new GraphError(`slice: ${from} to ${to} of an axis of size ${x!.shape[axis]}`);
    }
    return [read(x!, bindShape(node.outputs[0]!.shape, bindings), own, from * own[axis]!)];
  },
};

/** Elements start <= i < end of one axis. Negative static bounds count from the end. */
export function slice(x: Tensor, axis: number, start: Dim, end?: Dim): Tensor {
  const [normal] = normalizeAxes('slice', x, axis) as [number];
  const size = x.shape[normal]!;
  const place = (bound: Dim): Dim => (typeof bound === 'number' && bound < 0 ? addDims(size, bound) : bound);
  const from = place(start);
  const to = end === undefined ? size : place(end);
  const length = subDims(to, from);
  if (
    (typeof length === 'number' && length < 0) ||
    (typeof from === 'number' && from < 0) ||
    (typeof to === 'number' && typeof size === 'number' && to > size)
  ) {
    throw new GraphError(`slice: ${start} to ${end ?? 'the end'} of axis ${axis} of ${x}`);
  }
  if (from === 0 && to === size) return x;
  const shape = x.shape.map((dim, i) => (i === normal ? length : dim));
  return record(sliceOp, [x], { axis: normal, start: from, end: to }, x.dtype, shape);
}

const padOp: Op<{ axis: number; before: Dim; after: Dim }> = {
  name: 'pad',
  emit: (emitter, [x], { attributes: { axis, before, after }, inputs }) => [
    emitter.node('Pad', [
      x!,
      emitter.shape([before, after]),
      emitter.constant(inputs[0]!.dtype, ndarray([], [0])),
      emitter.constant('int64', ndarray([1], [axis])),
    ]),
  ],
  vjp: ({ inputs: [x], attributes: { axis, before } }, [dy]) => [
    slice(dy!, axis, before, addDims(before, x!.shape[axis]!)),
  ],
  evaluate: ([x], node, bindings) => {
    const { axis, before } = node.attributes;
    const result = ndarray(bindShape(node.outputs[0]!.shape, bindings));
    const own = strides(result.shape);
    const at = offsets(x!.shape, own, bindShape([before], bindings)[0]! * own[axis]!);
    for (let i = 0; i < at.length; i++) result.data[at[i]!] = x!.data[i]!;
    return [result];
  },
};

/** Zeros before and after along one axis. */
export function pad(x: Tensor, axis: number, before: Dim, after: Dim): Tensor {
  const [normal] = normalizeAxes('pad', x, axis) as [number];
  if (before === 0 && after === 0) return x;
  const shape = x.shape.map((dim, i) => (i === normal ? addDims(addDims(dim, before), after) : dim));
  return record(padOp, [x], { axis: normal, before, after }, x.dtype, shape);
}

const concatOp: Op<{ axis: number }> = {
  name: 'concat',
  emit: (emitter, inputs, { attributes: { axis } }) => [emitter.node('Concat', inputs, { axis })],
  vjp: ({ inputs, attributes: { axis } }, [dy]) => {
    const sizes = inputs.map((x) => x.shape[axis]!);
    if (sizes.every((size) => typeof size === 'number')) return split(dy!, axis, sizes);
    let at: Dim = 0;
    return inputs.map((x) => {
      const start = at;
      at = addDims(at, x.shape[axis]!);
      return slice(dy!, axis, start, at);
    });
  },
  evaluate: (inputs, node, bindings) => {
    const { axis } = node.attributes;
    const result = ndarray(bindShape(node.outputs[0]!.shape, bindings));
    const own = strides(result.shape);
    let start = 0;
    for (const x of inputs) {
      const at = offsets(x.shape, own, start);
      for (let i = 0; i < at.length; i++) result.data[at[i]!] = x.data[i]!;
      start += x.shape[axis]! * own[axis]!;
    }
    return [result];
  },
};

/** Joins tensors along one axis; the other axes must be equal. */
export function concat(tensors: readonly Tensor[], axis: number): Tensor {
  const first = tensors[0];
  if (!first) throw new GraphError('concat: no tensors');
  if (tensors.length === 1) return first;
  const [normal] = normalizeAxes('concat', first, axis) as [number];
  for (const x of tensors) {
    const fits = x.rank === first.rank && x.shape.every((dim, i) => i === normal || dim === first.shape[i]);
    if (!fits || x.dtype !== first.dtype)
      throw new GraphError(`concat along axis ${axis}: ${first} and ${x}`);
  }
  const total = tensors.map((x) => x.shape[normal]!).reduce(addDims);
  const shape = first.shape.map((dim, i) => (i === normal ? total : dim));
  return record(concatOp, tensors, { axis: normal }, first.dtype, shape);
}

/** Joins tensors of one shape along a new axis. */
export function stack(tensors: readonly Tensor[], axis: number): Tensor {
  return concat(
    tensors.map((x) => unsqueeze(x, axis)),
    axis,
  );
}

/** Adds an axis of size 1; -1 adds it at the end. */
export function unsqueeze(x: Tensor, axis: number): Tensor {
  const at = axis < 0 ? axis + x.rank + 1 : axis;
  if (!Number.isInteger(at) || at < 0 || at > x.rank) {
    throw new GraphError(`unsqueeze: axis ${axis} of ${x}, which has ${x.rank} axes`);
  }
  return reshape(x, [...x.shape.slice(0, at), 1, ...x.shape.slice(at)]);
}

/** Removes an axis of size 1. */
export function squeeze(x: Tensor, axis: number): Tensor {
  const [normal] = normalizeAxes('squeeze', x, axis) as [number];
  if (x.shape[normal] !== 1) throw new GraphError(`squeeze: axis ${axis} of ${x} is not of size 1`);
  return reshape(
    x,
    x.shape.filter((_, i) => i !== normal),
  );
}
