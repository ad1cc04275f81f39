/** Ops that combine elements along axes. Axes may be negative, counted from the end. */
import { type Dim, type Shape, sameShape, showShape, sizeOf } from '../dim.ts';
import { broadcastStrides, type NdArray, ndarray, offsets, strides } from '../ndarray.ts';
import { GraphError, isFloat, type Op, record, type Tensor } from '../tensor.ts';
import { dimension } from './constant.ts';
import { add, cast, div, equal, exp, log, mul, reciprocal, sqrt, sub } from './elementwise.ts';
import { expand, reshape } from './shape.ts';

/** Axes as non-negative sorted numbers. Throws GraphError for one that the tensor does not have. */
export function normalizeAxes(
  what: string,
  x: Tensor,
  axes: readonly number[] | number | undefined,
): number[] {
  const list = axes === undefined ? x.shape.map((_, i) => i) : typeof axes === 'number' ? [axes] : axes;
  return list
    .map((axis) => {
      if (!Number.isInteger(axis) || axis < -x.rank || axis >= x.rank) {
        throw new GraphError(`${what}: axis ${axis} of ${x}, which has ${x.rank} axes`);
      }
      return axis < 0 ? axis + x.rank : axis;
    })
    .sort((a, b) => a - b);
}

interface ReduceAttributes {
  [name: string]: readonly number[] | boolean;
  axes: readonly number[];
  keepDims: boolean;
}

function reducedShape(shape: Shape, axes: readonly number[], keepDims: boolean): Dim[] {
  return shape.flatMap<Dim>((dim, i) => (axes.includes(i) ? (keepDims ? [1] : []) : [dim]));
}

function reduceOp(
  name: string,
  onnx: string,
  start: number,
  f: (total: number, x: number) => number,
  finish: (total: number, count: number) => number,
  derivative: (x: Tensor, y: Tensor, dy: Tensor, axes: readonly number[]) => Tensor,
) {
  const op: Op<ReduceAttributes> = {
    name,
    emit: (emitter, [x], { attributes: { axes, keepDims } }) => [
      emitter.node(onnx, [x!, emitter.constant('int64', ndarray([axes.length], axes))], {
        keepdims: keepDims ? 1 : 0,
      }),
    ],
    vjp: ({ inputs: [x], outputs: [y], attributes: { axes } }, [dy]) => {
      const kept = reducedShape(x!.shape, axes, true);
      return [derivative(x!, reshape(y!, kept), reshape(dy!, kept), axes)];
    },
    evaluate: ([x], { attributes: { axes, keepDims } }) => {
      const kept = x!.shape.map((dim, i) => (axes.includes(i) ? 1 : dim));
      const total = ndarray(kept);
      total.data.fill(start);
      const at = offsets(x!.shape, broadcastStrides(total, x!.shape));
      for (let i = 0; i < at.length; i++) total.data[at[i]!] = f(total.data[at[i]!]!, x!.data[i]!);
      const count = x!.data.length / Math.max(1, total.data.length);
      return [
        {
          shape: keepDims ? kept : x!.shape.filter((_, i) => !axes.includes(i)),
          data: total.data.map((t) => finish(t, count)),
        },
      ];
    },
  };
  return (x: Tensor, axes?: readonly number[] | number, keepDims = false): Tensor => {
    if (x.dtype === 'bool' || (name === 'mean' && !isFloat(x.dtype))) {
      throw new GraphError(`${name}: needs ${name === 'mean' ? 'a float tensor' : 'numbers'}, got ${x}`);
    }
    const list = normalizeAxes(name, x, axes);
    return record(op, [x], { axes: list, keepDims }, x.dtype, reducedShape(x.shape, list, keepDims));
  };
}

/** Sum over axes (all when not given). */
export const sum = reduceOp(
  'sum',
  'ReduceSum',
  0,
  (total, x) => total + x,
  (total) => total,
  (x, _y, dy) => expand(dy, x.shape),
);

/** Mean over axes; the axes may be symbolic. */
export const mean = reduceOp(
  'mean',
  'ReduceMean',
  0,
  (total, x) => total + x,
  (total, count) => total / count,
  (x, _y, dy, axes) => {
    const count = sizeOf(axes.map((axis) => x.shape[axis]!));
    const share = typeof count === 'number' ? mul(dy, 1 / count) : div(dy, dimension(count, dy.dtype));
    return expand(share, x.shape);
  },
);

/** Largest element over axes; equal elements share the gradient. */
export const max = reduceOp(
  'max',
  'ReduceMax',
  Number.NEGATIVE_INFINITY,
  Math.max,
  (total) => total,
  (x, y, dy, axes) => {
    const hit = cast(equal(x, y), x.dtype);
    return mul(hit, div(dy, sum(hit, axes, true)));
  },
);

/**
 * Sums a gradient back to the shape that was broadcast to it. `gradient` must have a shape to which `shape`
 * broadcasts.
 */
export function sumTo(gradient: Tensor, shape: Shape): Tensor {
  if (sameShape(gradient.shape, shape)) return gradient;
  const missing = gradient.rank - shape.length;
  const axes = gradient.shape.flatMap((dim, i) => {
    if (i < missing) return [i];
    return shape[i - missing] === 1 && dim !== 1 ? [i] : [];
  });
  const total = axes.length > 0 ? sum(gradient, axes, true) : gradient;
  return sameShape(total.shape, shape) ? total : reshape(total, shape);
}

/** log(sum(exp(x))) over one axis, kept as size 1; shifted by the maximum, so that nothing overflows. */
export function logSumExp(x: Tensor, axis = -1): Tensor {
  // The shift cancels in value and in gradient, so none is recorded for it.
  const shift = stopGradient(max(x, axis, true));
  return add(log(sum(exp(sub(x, shift)), axis, true)), shift);
}

const stopOp: Op = {
  name: 'stopGradient',
  emit: (_emitter, inputs) => [inputs[0]!],
  vjp: () => [null],
  evaluate: ([x]) => [x!],
};

/** The same values, taken as constant by the reverse mode. */
export function stopGradient(x: Tensor): Tensor {
  return record(stopOp, [x], {}, x.dtype, x.shape);
}

interface CumsumAttributes {
  [name: string]: number | boolean;
  axis: number;
  reverse: boolean;
  exclusive: boolean;
}

const cumsumOp: Op<CumsumAttributes> = {
  name: 'cumsum',
  emit: (emitter, [x], { attributes: { axis, reverse, exclusive } }) => [
    emitter.node('CumSum', [x!, emitter.constant('int64', ndarray([], [axis]))], {
      reverse: reverse ? 1 : 0,
      exclusive: exclusive ? 1 : 0,
    }),
  ],
  vjp: ({ attributes: { axis, reverse, exclusive } }, [dy]) => [
    cumsum(dy!, axis, { reverse: !reverse, exclusive }),
  ],
  evaluate: ([x], { attributes }) => [cumsumValues(x!, attributes)],
};

function cumsumValues(x: NdArray, { axis, reverse, exclusive }: CumsumAttributes): NdArray {
  const result = ndarray(x.shape, x.data);
  const stride = strides(x.shape)[axis]!;
  const size = x.shape[axis]!;
  const starts = offsets(
    x.shape.map((dim, i) => (i === axis ? 1 : dim)),
    strides(x.shape),
  );
  for (const start of starts) {
    for (let k = 1; k < size; k++) {
      const i = start + (reverse ? size - 1 - k : k) * stride;
      result.data[i]! += result.data[i + (reverse ? stride : -stride)]!;
    }
  }
  if (exclusive) for (let i = 0; i < result.data.length; i++) result.data[i]! -= x.data[i]!;
  return result;
}

/** Running sum along an axis, from the end when reversed; each element included unless exclusive. */
export function cumsum(x: Tensor, axis = -1, { reverse = false, exclusive = false } = {}): Tensor {
  if (x.dtype === 'bool') throw new GraphError(`cumsum: needs numbers, got ${x}`);
  const [normal] = normalizeAxes('cumsum', x, axis);
  return record(cumsumOp, [x], { axis: normal!, reverse, exclusive }, x.dtype, x.shape);
}

function alongLastAxis(name: string, emit: Op['emit'], f: (row: Float64Array) => void, vjp: Op['vjp']) {
  const op: Op = {
    name,
    emit,
    ...(vjp ? { vjp } : {}),
    evaluate: ([x]) => {
      const result = ndarray(x!.shape, x!.data);
      const size = x!.shape[x!.shape.length - 1]!;
      for (let i = 0; i < result.data.length; i += size) f(result.data.subarray(i, i + size));
      return [result];
    },
  };
  return (x: Tensor): Tensor => {
    if (!isFloat(x.dtype) || x.rank === 0)
      throw new GraphError(`${name}: needs a float tensor with axes, got ${x}`);
    return record(op, [x], {}, x.dtype, x.shape);
  };
}

/** Softmax over the last axis. */
export const softmax = alongLastAxis(
  'softmax',
  (emitter, inputs) => [emitter.node('Softmax', inputs, { axis: -1 })],
  (row) => {
    const top = row.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
    let total = 0;
    for (let i = 0; i < row.length; i++) total += row[i] = Math.exp(row[i]! - top);
    for (let i = 0; i < row.length; i++) row[i]! /= total;
  },
  ({ outputs: [y] }, [dy]) => {
    const weighted = mul(dy!, y!);
    return [sub(weighted, mul(y!, sum(weighted, -1, true)))];
  },
);

/** Logarithm of the softmax over the last axis. */
export const logSoftmax = alongLastAxis(
  'logSoftmax',
  (emitter, inputs) => {
    if (emitter.device === 'cpu') return [emitter.node('LogSoftmax', inputs, { axis: -1 })];
    // WebGPU has no LogSoftmax, and the way over the CPU is long.
    const last = emitter.constant('int64', ndarray([1], [-1]));
    const top = emitter.node('ReduceMax', [inputs[0]!, last], { keepdims: 1 });
    const shifted = emitter.node('Sub', [inputs[0]!, top]);
    const total = emitter.node('ReduceSum', [emitter.node('Exp', [shifted]), last], { keepdims: 1 });
    return [emitter.node('Sub', [shifted, emitter.node('Log', [total])])];
  },
  (row) => {
    const top = row.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
    const total = Math.log(row.reduce((a, b) => a + Math.exp(b - top), 0)) + top;
    for (let i = 0; i < row.length; i++) row[i]! -= total;
  },
  ({ outputs: [y] }, [dy]) => [sub(dy!, mul(exp(y!), sum(dy!, -1, true)))],
);

const argMaxOp: Op<{ axis: number }> = {
  name: 'argMax',
  emit: (emitter, inputs, { attributes: { axis } }) => [
    emitter.node('ArgMax', inputs, { axis, keepdims: 0 }),
  ],
  vjp: () => [null],
  evaluate: ([x], { attributes: { axis } }) => {
    const stride = strides(x!.shape)[axis]!;
    const size = x!.shape[axis]!;
    const starts = offsets(
      x!.shape.map((dim, i) => (i === axis ? 1 : dim)),
      strides(x!.shape),
    );
    const result = ndarray(x!.shape.filter((_, i) => i !== axis));
    for (const [row, start] of starts.entries()) {
      let best = 0;
      for (let k = 1; k < size; k++) {
        if (x!.data[start + k * stride]! > x!.data[start + best * stride]!) best = k;
      }
      result.data[row] = best;
    }
    return [result];
  },
};

/** Index of the largest element along an axis (the first of equals), int64. */
export function argMax(x: Tensor, axis = -1): Tensor {
  if (x.dtype === 'bool') throw new GraphError(`argMax: needs numbers, got ${x}`);
  const [normal] = normalizeAxes('argMax', x, axis);
  const shape = x.shape.filter((_, i) => i !== normal);
  return record(argMaxOp, [x], { axis: normal! }, 'int64', shape);
}

/** x / sqrt(mean(x^2) + eps) * weight over the last axis; weight has that axis' size. Root mean square norm. */
export const rmsNorm = ((): ((x: Tensor, weight: Tensor, eps: number) => Tensor) => {
  const op: Op<{ eps: number }> = {
    name: 'rmsNorm',
    emit: (emitter, inputs, { attributes: { eps } }) => [
      emitter.node('SimplifiedLayerNormalization', inputs, { axis: -1, epsilon: eps, stash_type: 1 }),
    ],
    vjp: ({ inputs: [x, weight], attributes: { eps } }, [dy]) => {
      // With n = x * r, r = 1 / sqrt(mean(x^2) + eps), g = dy * weight: dx = r * (g - n * mean(g * n)).
      const r = rsqrtMeanSquare(x!, eps);
      const n = mul(x!, r);
      const g = mul(dy!, weight!);
      const dx = mul(r, sub(g, mul(n, mean(mul(g, n), -1, true))));
      return [dx, sumTo(mul(dy!, n), weight!.shape)];
    },
    evaluate: ([x, weight], { attributes: { eps } }) => {
      const size = x!.shape[x!.shape.length - 1]!;
      const result = ndarray(x!.shape, x!.data);
      for (let i = 0; i < result.data.length; i += size) {
        const row = result.data.subarray(i, i + size);
        const scale = 1 / Math.sqrt(row.reduce((a, b) => a + b * b, 0) / size + eps);
        for (let k = 0; k < size; k++) row[k] = row[k]! * scale * weight!.data[k]!;
      }
      return [result];
    },
  };
  return (x, weight, eps) => {
    const width = x.shape[x.rank - 1];
    if (!isFloat(x.dtype) || weight.dtype !== x.dtype || weight.rank !== 1 || weight.shape[0] !== width) {
      throw new GraphError(
        `rmsNorm: weight ${weight.dtype}${showShape(weight.shape)} does not fit the last axis of ` +
          `${x.dtype}${showShape(x.shape)}`,
      );
    }
    return record(op, [x, weight], { eps }, x.dtype, x.shape);
  };
})();

/** 1 / sqrt(mean(x^2) + eps) over the last axis, kept as size 1. */
function rsqrtMeanSquare(x: Tensor, eps: number): Tensor {
  return rsqrt(mean(mul(x, x), -1, true), eps);
}

function rsqrt(x: Tensor, eps: number): Tensor {
  return reciprocal(sqrt(add(x, eps)));
}

const l2NormOp: Op<{ eps: number; length: number }> = {
  name: 'l2Norm',
  emit: (emitter, [x], { attributes: { eps, length }, inputs }) => {
    const { dtype, shape, rank } = inputs[0]!;
    const size = shape[rank - 1]!;
    if (typeof size === 'string') {
      const one = (value: number) => emitter.constant(dtype, ndarray([], [value]));
      const last = emitter.constant('int64', ndarray([1], [-1]));
      const squares = emitter.node('ReduceSum', [emitter.node('Mul', [x!, x!]), last], { keepdims: 1 });
      const root = emitter.node('Sqrt', [emitter.node('Add', [squares, one(eps)])]);
      return [emitter.node('Mul', [x!, emitter.node('Div', [one(length), root])])];
    }
    // A root mean square norm with one weight for all: mean(x^2) = sum(x^2) / size.
    const weight = emitter.constant(
      dtype,
      ndarray([size], new Float64Array(size).fill(length * size ** -0.5)),
    );
    const attributes = { axis: -1, epsilon: eps / size, stash_type: 1 };
    return [emitter.node('SimplifiedLayerNormalization', [x!, weight], attributes)];
  },
  vjp: ({ inputs: [x], attributes: { eps, length } }, [dy]) => {
    // With r = 1 / sqrt(sum(x^2) + eps): dx = length * (r * dy - r^3 * x * sum(x * dy)).
    const r = rsqrt(sum(mul(x!, x!), -1, true), eps);
    const scaled = mul(r, length);
    const along = mul(mul(mul(r, r), scaled), sum(mul(x!, dy!), -1, true));
    return [sub(mul(dy!, scaled), mul(x!, along))];
  },
  evaluate: ([x], { attributes: { eps, length } }) => {
    const size = x!.shape[x!.shape.length - 1]!;
    const result = ndarray(x!.shape, x!.data);
    for (let i = 0; i < result.data.length; i += size) {
      const row = result.data.subarray(i, i + size);
      const scale = length / Math.sqrt(row.reduce((a, b) => a + b * b, 0) + eps);
      for (let k = 0; k < size; k++) row[k]! *= scale;
    }
    return [result];
  },
};

/** `length` * x / sqrt(sum(x^2) + eps) over the last axis. */
export function l2Norm(x: Tensor, eps = 1e-6, length = 1): Tensor {
  if (!isFloat(x.dtype) || x.rank === 0) {
    throw new GraphError(`l2Norm: needs a float tensor with axes, got ${x}`);
  }
  return record(l2NormOp, [x], { eps, length }, x.dtype, x.shape);
}
