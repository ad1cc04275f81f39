/** Ops that read or write at positions given by another tensor. */
import { type Shape, sameShape, showShape, sizeOf } from '../dim.ts';
import { type NdArray, ndarray } from '../ndarray.ts';
import type { Emitter } from '../onnx.ts';
import { QUANTIZED_BLOCK } from '../quantized.ts';
import { type DType, GraphError, type Op, record, type Tensor } from '../tensor.ts';
import { fill } from './constant.ts';
import { cast } from './elementwise.ts';
import { normalizeAxes } from './reduce.ts';
import { reshape, squeeze } from './shape.ts';

function checkIndices(what: string, indices: Tensor): void {
  if (indices.dtype !== 'int64' && indices.dtype !== 'int32') {
    throw new GraphError(`${what}: indices are ${indices}, not int64 or int32`);
  }
}

function checkedIndex(what: string, index: number, size: number): number {
  if (index < 0 || index >= size) throw new Error(`${what}: index ${index} outside 0..${size - 1}`);
  return index;
}

const takeOp: Op = {
  name: 'take',
  emit: (emitter, [table, indices], { inputs, outputs }) => {
    const { layout: bits, scales } = emitter.quantized.get(table!) ?? {};
    const rows = (from: string) => emitter.node('Gather', [from, indices!], { axis: 0 });
    if (!bits || !scales) return [rows(table!)];
    const blocks = (inputs[0]!.shape[1] as number) / QUANTIZED_BLOCK;
    if (bits !== 8 || !Number.isInteger(blocks)) {
      throw new GraphError(`take: ${inputs[0]} of ${bits} bits, expected 8 bits in rows of whole blocks`);
    }
    const number = (value: number) => emitter.constant('float32', ndarray([], [value]));
    const levels = emitter.node('Sub', [emitter.cast(rows(table!), 'float32'), number(2 ** (bits - 1))]);
    const axes = emitter.constant('int64', ndarray([1], [-1]));
    const values = emitter.node('Mul', [levels, emitter.node('Unsqueeze', [rows(scales), axes])]);
    const shape = [...inputs[1]!.shape, blocks, QUANTIZED_BLOCK];
    return [emitter.reshape(values, shape, outputs[0]!.shape)];
  },
  vjp: ({ inputs: [table, indices] }, [dy]) => [scatterAddRows(dy!, indices!, table!.shape), null],
  evaluate: ([table, indices]) => {
    const row = table!.data.length / table!.shape[0]!;
    const result = ndarray([...indices!.shape, ...table!.shape.slice(1)]);
    for (let i = 0; i < indices!.data.length; i++) {
      const from = checkedIndex('take', indices!.data[i]!, table!.shape[0]!) * row;
      result.data.set(table!.data.subarray(from, from + row), i * row);
    }
    return [result];
  },
};

/** Rows of a table: table [N, ...], indices [I...] -> [I..., ...]. The embedding lookup. */
export function take(table: Tensor, indices: Tensor): Tensor {
  checkIndices('take', indices);
  if (table.rank === 0) throw new GraphError(`take: from ${table}, which has no rows`);
  return record(takeOp, [table, indices], {}, table.dtype, [...indices.shape, ...table.shape.slice(1)]);
}

/** ONNX Runtime has no addition in half precision among its scatters: they add in float32. */
function scatterAdd(
  emitter: Emitter,
  type: 'ScatterND' | 'ScatterElements',
  [zeros, indices, values]: readonly [string, string, string],
  dtype: DType,
  attributes: Record<string, number>,
): string {
  const half = dtype === 'float16';
  const wide = (name: string) => (half ? emitter.cast(name, 'float32') : name);
  const total = emitter.node(type, [wide(zeros), indices, wide(values)], { ...attributes, reduction: 'add' });
  return half ? emitter.cast(total, dtype) : total;
}

const scatterAddRowsOp: Op<{ shape: Shape }> = {
  name: 'scatterAddRows',
  emit: (emitter, [rows, indices, zeros], { inputs }) => {
    const { dtype, shape } = inputs[0]!;
    // On the CPU, ScatterND adds from several threads at once and loses rows that meet; ScatterElements is
    // slower, but takes one row after the other.
    if (emitter.device === 'webgpu') {
      return [scatterAdd(emitter, 'ScatterND', [zeros!, indices!, rows!], dtype, {})];
    }
    const wide = emitter.node('Expand', [indices!, emitter.shape(shape)]);
    return [scatterAdd(emitter, 'ScatterElements', [zeros!, wide, rows!], dtype, { axis: 0 })];
  },
  vjp: ({ inputs: [, indices] }, [dy]) => [take(dy!, squeeze(indices!, 1)), null, null],
  evaluate: ([rows, indices, zeros]) => {
    const result = ndarray(zeros!.shape);
    const [size, row] = zeros!.shape as [number, number];
    for (const [i, index] of indices!.data.entries()) {
      const to = checkedIndex('scatterAddRows', index, size) * row;
      for (let k = 0; k < row; k++) result.data[to + k]! += rows!.data[i * row + k]!;
    }
    return [result];
  },
};

/** Zeros of `shape` with rows [I..., ...] added at indices [I...]: the gradient of `take`. */
export function scatterAddRows(rows: Tensor, indices: Tensor, shape: Shape): Tensor {
  checkIndices('scatterAddRows', indices);
  if (shape.length === 0 || !sameShape(rows.shape, [...indices.shape, ...shape.slice(1)])) {
    throw new GraphError(
      `scatterAddRows: rows ${showShape(rows.shape)} at indices ${showShape(indices.shape)} of ${showShape(shape)}`,
    );
  }
  // As matrices: rows [N, D] at places [N, 1] of a table.
  const [count, width] = [sizeOf(indices.shape), sizeOf(shape.slice(1))];
  const matrix = reshape(rows, [count, width]);
  const places = reshape(cast(indices, 'int64'), [count, 1]);
  const table: Shape = [shape[0]!, width];
  const zeros = fill(0, table, rows.dtype);
  const sums = record(scatterAddRowsOp, [matrix, places, zeros], { shape: table }, rows.dtype, table);
  return reshape(sums, shape);
}

function eachPick(
  indices: NdArray,
  size: number,
  visit: (row: number, i: number, index: number) => void,
): void {
  const picks = indices.shape[indices.shape.length - 1]!;
  for (let i = 0; i < indices.data.length; i++) {
    visit(Math.floor(i / picks), i, checkedIndex('pick', indices.data[i]!, size));
  }
}

const pickOp: Op = {
  name: 'pick',
  emit: (emitter, inputs) => [emitter.node('GatherElements', inputs, { axis: -1 })],
  vjp: ({ inputs: [x, indices] }, [dy]) => [unpick(dy!, indices!, x!.shape), null],
  evaluate: ([x, indices]) => {
    const result = ndarray(indices!.shape);
    const size = x!.shape[x!.shape.length - 1]!;
    eachPick(indices!, size, (row, i, index) => {
      result.data[i] = x!.data[row * size + index]!;
    });
    return [result];
  },
};

/** Elements along the last axis: x [..., N], indices [..., M] -> [..., M]. The log-probability of a target. */
export function pick(x: Tensor, indices: Tensor): Tensor {
  checkIndices('pick', indices);
  if (x.rank !== indices.rank || x.shape.some((dim, i) => i < x.rank - 1 && dim !== indices.shape[i])) {
    throw new GraphError(`pick: indices ${showShape(indices.shape)} do not fit ${showShape(x.shape)}`);
  }
  return record(pickOp, [x, indices], {}, x.dtype, indices.shape);
}

const unpickOp: Op<{ shape: Shape }> = {
  name: 'unpick',
  emit: (emitter, [values, indices, zeros], { inputs }) => [
    scatterAdd(emitter, 'ScatterElements', [zeros!, indices!, values!], inputs[0]!.dtype, { axis: -1 }),
  ],
  vjp: ({ inputs: [, indices] }, [dy]) => [pick(dy!, indices!), null, null],
  evaluate: ([values, indices, zeros]) => {
    const result = ndarray(zeros!.shape);
    const size = zeros!.shape[zeros!.shape.length - 1]!;
    eachPick(indices!, size, (row, i, index) => {
      result.data[row * size + index]! += values!.data[i]!;
    });
    return [result];
  },
};

/** Zeros of `shape` with values [..., M] added at indices [..., M] of the last axis: the gradient of `pick`. */
export function unpick(values: Tensor, indices: Tensor, shape: Shape): Tensor {
  checkIndices('unpick', indices);
  const fits =
    sameShape(values.shape, indices.shape) && sameShape(shape.slice(0, -1), values.shape.slice(0, -1));
  if (shape.length === 0 || shape.length !== values.rank || !fits) {
    throw new GraphError(
      `unpick: values ${showShape(values.shape)} at indices ${showShape(indices.shape)} of ${showShape(shape)}`,
    );
  }
  return record(unpickOp, [values, indices, fill(0, shape, values.dtype)], { shape }, values.dtype, shape);
}

const newestOp: Op<{ axis: number }> = {
  name: 'newest',
  emit: (emitter, [x, count], { attributes: { axis } }) => {
    const list = (value: number) => emitter.constant('int64', ndarray([1], [value]));
    // From -0, which is the start, where all are wanted.
    const start = emitter.node('Unsqueeze', [emitter.node('Neg', [count!]), list(0)]);
    return [emitter.node('Slice', [x!, start, list(Number.MAX_SAFE_INTEGER), list(axis)])];
  },
  evaluate: ([x, count], { attributes: { axis } }) => {
    const size = x!.shape[axis]!;
    const kept = count!.data[0]! === 0 ? size : Math.min(size, count!.data[0]!);
    const inner = x!.shape.slice(axis + 1).reduce((a, b) => a * b, 1);
    const result = ndarray(x!.shape.map((dim, i) => (i === axis ? kept : dim)));
    for (let i = 0; i < result.data.length; i++) {
      const row = Math.floor(i / (kept * inner));
      result.data[i] = x!.data[row * size * inner + (size - kept) * inner + (i % (kept * inner))]!;
    }
    return [result];
  },
};

/**
 * The last places of an axis, as many as a number that is known only at run time says (int64 []); all of them where it
 * says 0. There is no gradient.
 *
 * @param size symbol of the new size
 */
export function newest(x: Tensor, axis: number, count: Tensor, size: string): Tensor {
  if (count.dtype !== 'int64' || count.rank !== 0) throw new GraphError(`newest: the count is ${count}`);
  const [normal] = normalizeAxes('newest', x, axis) as [number];
  const shape = x.shape.map((dim, i) => (i === normal ? size : dim));
  return record(newestOp, [x, count], { axis: normal }, x.dtype, shape);
}
