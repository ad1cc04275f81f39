/** Ops that work element by element, with NumPy's broadcasting for two or more operands. */
import { type Shape, showShape } from '../dim.ts';
import { broadcastStrides, type NdArray, ndarray, offsets } from '../ndarray.ts';
import { type DType, GraphError, isFloat, type Op, record, Tensor } from '../tensor.ts';
import { scalar } from './constant.ts';
import { sumTo } from './reduce.ts';

export type Operand = Tensor | number;

/** The shape two shapes broadcast to. Throws GraphError naming both. */
export function broadcastShapes(what: string, a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const x = a[i - rank + a.length] ?? 1;
    const y = b[i - rank + b.length] ?? 1;
    if (x === y || y === 1) return x;
    if (x === 1) return y;
    throw new GraphError(`${what}: shapes ${showShape(a)} and ${showShape(b)} do not broadcast`);
  });
}

function map(array: NdArray, f: (x: number) => number): NdArray {
  return { shape: array.shape, data: array.data.map(f) };
}

/** Shape of the evaluated operands broadcast against each other. */
export function broadcastValues(arrays: readonly NdArray[]): number[] {
  const rank = Math.max(...arrays.map((a) => a.shape.length));
  return Array.from({ length: rank }, (_, i) => {
    const sizes = arrays.map((a) => a.shape[i - rank + a.shape.length] ?? 1);
    return sizes.find((size) => size !== 1) ?? 1;
  });
}

function zip(arrays: readonly NdArray[], f: (...values: number[]) => number): NdArray {
  const shape = broadcastValues(arrays);
  const at = arrays.map((a) => offsets(shape, broadcastStrides(a, shape)));
  const result = ndarray(shape);
  const values = new Array<number>(arrays.length);
  for (let i = 0; i < result.data.length; i++) {
    for (let k = 0; k < arrays.length; k++) values[k] = arrays[k]!.data[at[k]![i]!]!;
    result.data[i] = f(...values);
  }
  return result;
}

function unary(
  name: string,
  onnx: string | Op['emit'],
  f: (x: number) => number,
  derivative?: (x: Tensor, y: Tensor, dy: Tensor) => Tensor,
): (x: Tensor) => Tensor {
  const op: Op = {
    name,
    emit: typeof onnx === 'string' ? (emitter, inputs) => [emitter.node(onnx, inputs)] : onnx,
    evaluate: ([x]) => [map(x!, f)],
  };
  if (derivative) {
    op.vjp = (node, [dy]) => [derivative(node.inputs[0]!, node.outputs[0]!, dy!)];
  } else {
    op.vjp = () => [null];
  }
  return (x) => {
    if (!isFloat(x.dtype)) throw new GraphError(`${name}: needs a float tensor, got ${x}`);
    return record(op, [x], {}, x.dtype, x.shape);
  };
}

/** -x */
export const neg = unary(
  'neg',
  'Neg',
  (x) => -x,
  (_x, _y, dy) => neg(dy),
);
/** e^x */
export const exp = unary('exp', 'Exp', Math.exp, (_x, y, dy) => mul(dy, y));
/** Natural logarithm. */
export const log = unary('log', 'Log', Math.log, (x, _y, dy) => div(dy, x));
export const sqrt = unary('sqrt', 'Sqrt', Math.sqrt, (_x, y, dy) => div(mul(dy, 0.5), y));
/** 1 / x */
export const reciprocal = unary(
  'reciprocal',
  'Reciprocal',
  (x) => 1 / x,
  (_x, y, dy) => neg(mul(dy, mul(y, y))),
);
export const abs = unary('abs', 'Abs', Math.abs, (x, _y, dy) => mul(dy, sign(x)));
/** -1, 0 or 1; its gradient is zero. */
export const sign = unary(
  'sign',
  (emitter, [x], { inputs }) => {
    if (emitter.device === 'cpu') return [emitter.node('Sign', [x!])];
    // WebGPU has no Sign, and the way over the CPU is long.
    const number = (value: number) => emitter.constant(inputs[0]!.dtype, ndarray([], [value]));
    const [above, below] = [emitter.node('Greater', [x!, number(0)]), emitter.node('Less', [x!, number(0)])];
    const notAbove = emitter.node('Where', [below, number(-1), number(0)]);
    return [emitter.node('Where', [above, number(1), notAbove])];
  },
  Math.sign,
);
export const tanh = unary('tanh', 'Tanh', Math.tanh, (_x, y, dy) => mul(dy, sub(1, mul(y, y))));
export const sin = unary('sin', 'Sin', Math.sin, (x, _y, dy) => mul(dy, cos(x)));
export const cos = unary('cos', 'Cos', Math.cos, (x, _y, dy) => neg(mul(dy, sin(x))));
export const relu = unary(
  'relu',
  'Relu',
  (x) => Math.max(x, 0),
  (x, _y, dy) => where(greater(x, 0), dy, 0),
);
/** 1 / (1 + e^-x) */
export const sigmoid = unary(
  'sigmoid',
  'Sigmoid',
  (x) => 1 / (1 + Math.exp(-x)),
  (_x, y, dy) => mul(dy, sub(y, mul(y, y))),
);
/** ln(1 + e^x), without overflow for large x. */
export const softplus = unary(
  'softplus',
  'Softplus',
  (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
  (x, _y, dy) => mul(dy, sigmoid(x)),
);
/** ln(sigmoid(x)), without overflow. Several times faster than -softplus(-x). */
export const logSigmoid = unary(
  'logSigmoid',
  (emitter, [x], { inputs }) => {
    // min(x, 0) - ln(1 + e^-|x|)
    const number = (value: number) => emitter.constant(inputs[0]!.dtype, ndarray([], [value]));
    const small = emitter.node('Exp', [emitter.node('Neg', [emitter.node('Abs', [x!])])]);
    const log = emitter.node('Log', [emitter.node('Add', [small, number(1)])]);
    return [emitter.node('Sub', [emitter.node('Min', [x!, number(0)]), log])];
  },
  (x) => Math.min(x, 0) - Math.log1p(Math.exp(-Math.abs(x))),
  (x, _y, dy) => mul(dy, sigmoid(neg(x))),
);
const notOp: Op = {
  name: 'not',
  emit: (emitter, inputs) => [emitter.node('Not', inputs)],
  vjp: () => [null],
  evaluate: ([x]) => [map(x!, (v) => (v === 0 ? 1 : 0))],
};

/** Logical not of a bool tensor. */
export function not(x: Tensor): Tensor {
  if (x.dtype !== 'bool') throw new GraphError(`not: needs a bool tensor, got ${x}`);
  return record(notOp, [x], {}, 'bool', x.shape);
}

/** x * sigmoid(x), also called swish. dx = dy * (y + s * (1 - y)). */
export const silu = unary(
  'silu',
  (emitter, [x]) => [emitter.node('Mul', [x!, emitter.node('Sigmoid', [x!])])],
  (x) => x / (1 + Math.exp(-x)),
  (x, y, dy) => mul(dy, add(y, mul(sigmoid(x), sub(1, y)))),
);

type Kind = 'number' | 'bool' | 'any';

function operands(what: string, a: Operand, b: Operand, kind: Kind): [Tensor, Tensor, Shape] {
  const like = a instanceof Tensor ? a : b instanceof Tensor ? b : null;
  if (!like) throw new GraphError(`${what}: needs at least one tensor, got ${a} and ${b}`);
  const x = a instanceof Tensor ? a : scalar(a, like.dtype);
  const y = b instanceof Tensor ? b : scalar(b, like.dtype);
  if (x.dtype !== y.dtype) {
    throw new GraphError(
      `${what}: dtypes differ, ${x.dtype}${showShape(x.shape)} and ${y.dtype}${showShape(y.shape)}`,
    );
  }
  if (kind !== 'any' && (x.dtype === 'bool') !== (kind === 'bool')) {
    const needed = kind === 'bool' ? 'bools' : 'numbers';
    throw new GraphError(
      `${what}: needs ${needed}, got ${x.dtype}${showShape(x.shape)} and ${y.dtype}${showShape(y.shape)}`,
    );
  }
  return [x, y, broadcastShapes(what, x.shape, y.shape)];
}

function binary(
  name: string,
  onnx: string,
  f: (a: number, b: number) => number,
  derivative: (a: Tensor, b: Tensor, y: Tensor, dy: Tensor, want: [boolean, boolean]) => (Tensor | null)[],
): (a: Operand, b: Operand) => Tensor {
  const op: Op = {
    name,
    emit: (emitter, inputs) => [emitter.node(onnx, inputs)],
    vjp: ({ inputs: [a, b], outputs: [y] }, [dy]) => {
      // Numbers written into the graph need no gradient, and none is recorded for them.
      const want: [boolean, boolean] = [a!.node.op.name !== 'constant', b!.node.op.name !== 'constant'];
      const [da, db] = derivative(a!, b!, y!, dy!, want);
      return [da && want[0] ? sumTo(da, a!.shape) : null, db && want[1] ? sumTo(db, b!.shape) : null];
    },
    evaluate: ([a, b], { outputs: [y] }) => {
      const result = zip([a!, b!], f);
      return [isFloat(y!.dtype) ? result : map(result, Math.trunc)];
    },
  };
  return (a, b) => {
    const [x, y, shape] = operands(name, a, b, 'number');
    return record(op, [x, y], {}, x.dtype, shape);
  };
}

export const add = binary(
  'add',
  'Add',
  (a, b) => a + b,
  (_a, _b, _y, dy) => [dy, dy],
);
export const sub = binary(
  'sub',
  'Sub',
  (a, b) => a - b,
  // Summed before it is negated, which is less to negate.
  (_a, b, _y, dy, want) => [dy, want[1] ? neg(sumTo(dy, b.shape)) : null],
);
export const mul = binary(
  'mul',
  'Mul',
  (a, b) => a * b,
  (a, b, _y, dy, want) => [want[0] ? mul(dy, b) : null, want[1] ? mul(dy, a) : null],
);
/** a / b; integers are truncated towards zero. */
export const div = binary(
  'div',
  'Div',
  (a, b) => a / b,
  (_a, b, y, dy, want) => {
    const da = div(dy, b);
    return [da, want[1] ? neg(mul(da, y)) : null];
  },
);
/** Element-wise a^b. The gradient to the exponent is zero where the base is not positive. */
export const pow = binary(
  'pow',
  'Pow',
  (a, b) => a ** b,
  (a, b, y, dy, want) => [
    want[0] ? mul(dy, mul(b, pow(a, sub(b, 1)))) : null,
    want[1] ? where(greater(a, 0), mul(dy, mul(y, log(a))), 0) : null,
  ],
);
/** Element-wise maximum; where equal, the gradient goes to the first. */
export const maximum = binary('maximum', 'Max', Math.max, (a, b, _y, dy) => {
  const first = greaterOrEqual(a, b);
  return [where(first, dy, 0), where(first, 0, dy)];
});
/** Element-wise minimum; where equal, the gradient goes to the first. */
export const minimum = binary('minimum', 'Min', Math.min, (a, b, _y, dy) => {
  const first = greaterOrEqual(b, a);
  return [where(first, dy, 0), where(first, 0, dy)];
});

function comparison(
  name: string,
  onnx: string,
  f: (a: number, b: number) => boolean,
  kind: Kind,
): (a: Operand, b: Operand) => Tensor {
  const op: Op = {
    name,
    emit: (emitter, inputs) => [emitter.node(onnx, inputs)],
    vjp: () => [null, null],
    evaluate: ([a, b]) => [zip([a!, b!], (x, y) => (f(x, y) ? 1 : 0))],
  };
  return (a, b) => {
    const [x, y, shape] = operands(name, a, b, kind);
    return record(op, [x, y], {}, 'bool', shape);
  };
}

export const less = comparison('less', 'Less', (a, b) => a < b, 'number');
export const greater = comparison('greater', 'Greater', (a, b) => a > b, 'number');
export const greaterOrEqual = comparison('greaterOrEqual', 'GreaterOrEqual', (a, b) => a >= b, 'number');
export const equal = comparison('equal', 'Equal', (a, b) => a === b, 'any');
/** Both of two bool tensors. */
export const and = comparison('and', 'And', (a, b) => a !== 0 && b !== 0, 'bool');
/** Either of two bool tensors. */
export const or = comparison('or', 'Or', (a, b) => a !== 0 || b !== 0, 'bool');

const whereOp: Op = {
  name: 'where',
  emit: (emitter, inputs) => [emitter.node('Where', inputs)],
  vjp: ({ inputs: [condition, a, b] }, [dy]) => [
    null,
    a!.node.op.name === 'constant' ? null : sumTo(where(condition!, dy!, 0), a!.shape),
    b!.node.op.name === 'constant' ? null : sumTo(where(condition!, 0, dy!), b!.shape),
  ],
  evaluate: (inputs) => [zip(inputs, (c, a, b) => (c !== 0 ? a! : b!))],
};

/** a where the bool condition holds, else b; all three broadcast. */
export function where(condition: Tensor, a: Operand, b: Operand): Tensor {
  if (condition.dtype !== 'bool') throw new GraphError(`where: the condition is ${condition}, not bool`);
  const [x, y, shape] = operands('where', a, b, 'any');
  return record(whereOp, [condition, x, y], {}, x.dtype, broadcastShapes('where', condition.shape, shape));
}

const castOp: Op<{ to: DType }> = {
  name: 'cast',
  emit: (emitter, inputs, { attributes }) => [emitter.cast(inputs[0]!, attributes.to)],
  vjp: ({ inputs: [x] }, [dy]) => [isFloat(x!.dtype) && isFloat(dy!.dtype) ? cast(dy!, x!.dtype) : null],
  evaluate: ([x], { attributes }) => [
    attributes.to === 'bool'
      ? map(x!, (v) => (v !== 0 ? 1 : 0))
      : isFloat(attributes.to)
        ? x!
        : map(x!, Math.trunc),
  ],
};

/** The same values in another type. */
export function cast(x: Tensor, to: DType): Tensor {
  return x.dtype === to ? x : record(castOp, [x], { to }, to, x.shape);
}
