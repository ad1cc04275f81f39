/** Ops that read and write whole rows at places of any axis, for states of programs: they have no gradient. */
import { type Shape, sameShape, showShape } from '../dim.ts';
import { ndarray } from '../ndarray.ts';
import { GraphError, type Op, record, type Tensor } from '../tensor.ts';
import { normalizeAxes } from './reduce.ts';

function checkIndices(what: string, indices: Tensor): void {
  if (indices.dtype !== 'int64') throw new GraphError(`${what}: indices are ${indices}, not int64`);
}

const count = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

const gatherOp: Op<{ axis: number }> = {
  name: 'gather',
  emit: (emitter, inputs, { attributes: { axis } }) => [emitter.node('Gather', inputs, { axis })],
  evaluate: ([x, indices], { attributes: { axis } }) => {
    const [outer, inner] = [count(x!.shape.slice(0, axis)), count(x!.shape.slice(axis + 1))];
    const [size, taken] = [x!.shape[axis]!, indices!.data.length];
    const result = ndarray([...x!.shape.slice(0, axis), ...indices!.shape, ...x!.shape.slice(axis + 1)]);
    for (let row = 0; row < outer * taken; row++) {
      const from = (Math.floor(row / taken) * size + indices!.data[row % taken]!) * inner;
      result.data.set(x!.data.subarray(from, from + inner), row * inner);
    }
    return [result];
  },
};

/** Places of an axis: x [A..., N, B...], indices int64 [I...] -> [A..., I..., B...]. */
export function gather(x: Tensor, axis: number, indices: Tensor): Tensor {
  checkIndices('gather', indices);
  const [at] = normalizeAxes('gather', x, axis) as [number];
  const shape = [...x.shape.slice(0, at), ...indices.shape, ...x.shape.slice(at + 1)];
  return record(gatherOp, [x, indices], { axis: at }, x.dtype, shape);
}

const scatterOp: Op = {
  name: 'scatter',
  emit: (emitter, inputs) => [emitter.node('ScatterND', inputs)],
  evaluate: ([x, indices, rows]) => {
    const result = ndarray(x!.shape, x!.data.slice());
    const axes = indices!.shape.at(-1)!;
    const inner = count(x!.shape.slice(axes));
    for (let row = 0; row < indices!.data.length / axes; row++) {
      const place = indices!.data.subarray(row * axes, (row + 1) * axes);
      const at = place.reduce((at, index, axis) => at * x!.shape[axis]! + index, 0) * inner;
      result.data.set(rows!.data.subarray(row * inner, (row + 1) * inner), at);
    }
    return [result];
  },
};

/**
 * x with other rows at some places: indices int64 [I..., k] are places of its first k axes, each there once, rows
 * [I..., the other axes]. On the CPU it is not copied where the result is given the memory of x.
 */
export function scatter(x: Tensor, indices: Tensor, rows: Tensor): Tensor {
  checkIndices('scatter', indices);
  const axes = indices.shape.at(-1);
  const fits = (axes: number): boolean => {
    const shape: Shape = [...indices.shape.slice(0, -1), ...x.shape.slice(axes)];
    return axes <= x.rank && sameShape(rows.shape, shape) && rows.dtype === x.dtype;
  };
  if (typeof axes !== 'number' || !fits(axes)) {
    throw new GraphError(`scatter: ${rows} at indices ${showShape(indices.shape)} of ${x}`);
  }
  return record(scatterOp, [x, indices, rows], {}, x.dtype, x.shape);
}
