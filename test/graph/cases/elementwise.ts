import {
  abs,
  add,
  and,
  cast,
  concat,
  cos,
  type DType,
  div,
  equal,
  exp,
  greater,
  greaterOrEqual,
  less,
  log,
  logSigmoid,
  maximum,
  minimum,
  mul,
  neg,
  not,
  type Operand,
  or,
  pow,
  reciprocal,
  relu,
  type Shape,
  sigmoid,
  sign,
  silu,
  sin,
  softplus,
  sqrt,
  sub,
  type Tensor,
  tanh,
  where,
} from '../../../src/graph/index.ts';
import { at, bool, type Draw, distinct, integer, nonZero, type OpCase, positive } from '../op-case.ts';

function unary(
  op: string,
  build: (x: Tensor) => Tensor,
  f: (x: number) => number,
  { draw, gradient }: { draw?: Draw; gradient?: boolean } = {},
): OpCase[] {
  const x = (shape: Shape) => ({ shape, draw, gradient });
  const expect: OpCase['expect'] = ({ x }, index) => f(at(x!, index));
  return [
    { op, title: 'a vector', inputs: { x: x([7]) }, build: ({ x }) => build(x!), expect },
    { op, title: 'three axes', inputs: { x: x([2, 3, 4]) }, build: ({ x }) => build(x!), expect },
    {
      op,
      title: 'symbols',
      inputs: { x: x(['B', 'T', 3]) },
      sizes: [
        { B: 2, T: 4 },
        { B: 1, T: 1 },
        { B: 3, T: 0 },
      ],
      build: ({ x }) => build(x!),
      expect,
    },
    {
      op,
      title: 'a sum of symbols',
      inputs: { p: x(['P', 2]), x: x(['T', 2]) },
      sizes: [
        { P: 3, T: 2 },
        { P: 0, T: 2 },
      ],
      build: ({ p, x }) => build(concat([p!, x!], 0)),
    },
  ];
}

type Build = (a: Operand, b: Operand) => Tensor;

interface BinaryOptions {
  dtype?: DType;
  /** Types other than the first that get a case of their own. */
  more?: readonly DType[];
  a?: Draw;
  b?: Draw;
  gradient?: boolean;
}

function binary(
  op: string,
  build: Build,
  f: (a: number, b: number) => number,
  { dtype = 'float32', more = [], a: drawA, b: drawB, gradient }: BinaryOptions = {},
): OpCase[] {
  const a = (shape: Shape) => ({ shape, dtype, draw: drawA, gradient });
  const b = (shape: Shape) => ({ shape, dtype, draw: drawB, gradient });
  const common = {
    op,
    build: ({ a, b }: Readonly<Record<string, Tensor>>) => build(a!, b!),
    expect: ({ a, b }, index) => f(at(a!, index), at(b!, index)),
  } satisfies Partial<OpCase>;
  const cases: OpCase[] = [
    { ...common, title: 'equal shapes', inputs: { a: a([2, 3]), b: b([2, 3]) } },
    { ...common, title: 'a row', inputs: { a: a([2, 3, 4]), b: b([4]) } },
    { ...common, title: 'both broadcast', inputs: { a: a([3, 1, 2]), b: b([1, 4, 1]) } },
    { ...common, title: 'a scalar first', inputs: { a: a([]), b: b([5]) } },
    {
      ...common,
      title: 'symbols',
      inputs: { a: a(['B', 'T', 2]), b: b(['T', 1]) },
      sizes: [
        { B: 2, T: 3 },
        { B: 1, T: 1 },
        { B: 2, T: 0 },
      ],
    },
  ];
  for (const other of more) {
    const integers = other.startsWith('int');
    cases.push({
      ...common,
      title: other,
      inputs: {
        a: { shape: ['T', 2], dtype: other, draw: integers ? integer : drawA, gradient: false },
        b: {
          shape: [2],
          dtype: other,
          draw: integers ? integer : drawB,
          gradient: false,
        },
      },
      sizes: [{ T: 1 }, { T: 4 }],
    });
  }
  return cases;
}

/** A number written into the graph as one operand. */
function withNumber(op: string, build: Build, f: (a: number, b: number) => number, draw?: Draw): OpCase[] {
  const inputs = { x: { shape: ['T', 3], draw } };
  const sizes = [{ T: 2 }];
  return [
    {
      op,
      title: 'a number second',
      inputs,
      sizes,
      build: ({ x }) => build(x!, 1.5),
      expect: ({ x }, index) => f(at(x!, index), 1.5),
    },
    {
      op,
      title: 'a number first',
      inputs,
      sizes,
      build: ({ x }) => build(1.5, x!),
      expect: ({ x }, index) => f(1.5, at(x!, index)),
    },
  ];
}

const integers: DType[] = ['int32', 'int64'];
const nonZeroInteger: Draw = (random) => (random.below(2) === 0 ? -1 : 1) * (1 + random.below(9));
const sigma = (x: number) => 1 / (1 + Math.exp(-x));
const truth = (f: (a: number, b: number) => boolean) => (a: number, b: number) => Number(f(a, b));
/** A few different values, so that equal pairs occur. */
const few: Draw = (random) => random.below(3);
const logical = { dtype: 'bool', a: bool, b: bool, gradient: false } as const;
const compared = { a: few, b: few, gradient: false, more: integers } as const;

export const elementwiseCases: OpCase[] = [
  ...unary('neg', neg, (x) => -x),
  ...unary('exp', exp, Math.exp),
  ...unary('log', log, Math.log, { draw: positive }),
  ...unary('sqrt', sqrt, Math.sqrt, { draw: positive }),
  ...unary('reciprocal', reciprocal, (x) => 1 / x, { draw: nonZero }),
  ...unary('abs', abs, Math.abs, { draw: nonZero }),
  ...unary('sign', sign, Math.sign, { draw: nonZero, gradient: false }),
  ...unary('tanh', tanh, Math.tanh),
  ...unary('sin', sin, Math.sin),
  ...unary('cos', cos, Math.cos),
  ...unary('relu', relu, (x) => Math.max(x, 0), { draw: nonZero }),
  ...unary('sigmoid', sigmoid, sigma),
  ...unary('softplus', softplus, (x) => Math.log(1 + Math.exp(x))),
  {
    op: 'softplus',
    title: 'large values',
    inputs: { x: { shape: [3], draw: (_random, i) => [-90, 0, 90][i]! } },
    build: ({ x }) => softplus(x!),
    expect: (_values, [i]) => [Math.exp(-90), Math.LN2, 90][i!]!,
  },
  ...unary('logSigmoid', logSigmoid, (x) => Math.log(sigma(x))),
  {
    op: 'logSigmoid',
    title: 'large values',
    inputs: { x: { shape: [3], draw: (_random, i) => [-90, 0, 90][i]! } },
    build: ({ x }) => logSigmoid(x!),
    expect: (_values, [i]) => [-90, -Math.LN2, -Math.exp(-90)][i!]!,
  },
  ...unary('silu', silu, (x) => x * sigma(x)),
  {
    op: 'not',
    title: 'bools',
    inputs: { x: { shape: ['T', 4], dtype: 'bool', draw: bool, gradient: false } },
    sizes: [{ T: 1 }, { T: 3 }, { T: 0 }],
    build: ({ x }) => not(x!),
    expect: ({ x }, index) => 1 - at(x!, index),
  },
  ...binary('add', add, (a, b) => a + b, { more: integers }),
  ...binary('sub', sub, (a, b) => a - b, { more: integers }),
  ...binary('mul', mul, (a, b) => a * b, { more: integers }),
  ...binary('div', div, (a, b) => a / b, { b: nonZero }),
  ...integers.map<OpCase>((dtype) => ({
    op: 'div',
    title: `${dtype}, towards zero`,
    inputs: {
      a: { shape: [3, 4], dtype, draw: integer, gradient: false },
      b: { shape: [4], dtype, draw: nonZeroInteger, gradient: false },
    },
    build: ({ a, b }) => div(a!, b!),
    expect: ({ a, b }, index) => Math.trunc(at(a!, index) / at(b!, index)),
  })),
  ...binary('pow', pow, (a, b) => a ** b, { a: positive }),
  {
    op: 'pow',
    title: 'a number as exponent, bases of both signs',
    inputs: { x: { shape: [2, 3], draw: nonZero } },
    build: ({ x }) => pow(x!, 3),
    expect: ({ x }, index) => at(x!, index) ** 3,
  },
  ...binary('maximum', maximum, (a, b) => Math.max(a, b), { a: distinct, b: nonZero, more: integers }),
  ...binary('minimum', minimum, (a, b) => Math.min(a, b), { a: distinct, b: nonZero, more: integers }),
  ...binary(
    'less',
    less,
    truth((a, b) => a < b),
    compared,
  ),
  ...binary(
    'greater',
    greater,
    truth((a, b) => a > b),
    compared,
  ),
  ...binary(
    'greaterOrEqual',
    greaterOrEqual,
    truth((a, b) => a >= b),
    compared,
  ),
  ...binary(
    'equal',
    equal,
    truth((a, b) => a === b),
    { ...compared, more: ['int32', 'int64', 'bool'] },
  ),
  ...binary('and', and, (a, b) => a * b, logical),
  ...binary('or', or, (a, b) => Math.max(a, b), logical),
  ...[add, sub, mul].flatMap((build, i) =>
    withNumber(
      ['add', 'sub', 'mul'][i]!,
      build,
      [(a: number, b: number) => a + b, (a: number, b: number) => a - b, (a: number, b: number) => a * b][i]!,
    ),
  ),
  ...withNumber('div', div, (a, b) => a / b, nonZero),
  ...withNumber('pow', pow, (a, b) => a ** b, positive),
  ...withNumber('maximum', maximum, Math.max, distinct),
  ...withNumber('minimum', minimum, Math.min, distinct),
  {
    op: 'where',
    title: 'all three broadcast',
    inputs: {
      c: { shape: [2, 1, 1], dtype: 'bool', draw: bool, gradient: false },
      a: { shape: [3, 1] },
      b: { shape: [4] },
    },
    build: ({ c, a, b }) => where(c!, a!, b!),
    expect: ({ c, a, b }, index) => (at(c!, index) ? at(a!, index) : at(b!, index)),
  },
  {
    op: 'where',
    title: 'a causal mask of symbols, a number',
    inputs: {
      c: { shape: ['T', 'T'], dtype: 'bool', draw: bool, gradient: false },
      a: { shape: ['B', 'T', 'T'] },
    },
    sizes: [
      { B: 2, T: 3 },
      { B: 1, T: 1 },
    ],
    build: ({ c, a }) => where(c!, a!, -1),
    expect: ({ c, a }, index) => (at(c!, index) ? at(a!, index) : -1),
  },
  {
    op: 'where',
    title: 'int64',
    inputs: {
      c: { shape: ['T', 3], dtype: 'bool', draw: bool, gradient: false },
      a: { shape: ['T', 3], dtype: 'int64', draw: integer, gradient: false },
    },
    sizes: [{ T: 2 }],
    build: ({ c, a }) => where(c!, 7, a!),
    expect: ({ c, a }, index) => (at(c!, index) ? 7 : at(a!, index)),
  },
  ...(['int32', 'int64', 'bool', 'uint8'] as const).flatMap<OpCase>((dtype) => [
    {
      op: 'cast',
      title: `${dtype} to float32`,
      inputs: { x: { shape: ['T', 3], dtype, draw: bool, gradient: false } },
      sizes: [{ T: 2 }, { T: 1 }],
      build: ({ x }) => cast(x!, 'float32'),
      expect: ({ x }, index) => at(x!, index),
    },
    {
      op: 'cast',
      title: `float32 to ${dtype}`,
      inputs: {
        x: {
          shape: [2, 4],
          draw: (random, i) => (i === 0 ? 0 : random.uniform() * (dtype === 'uint8' ? 3 : 1)),
          gradient: false,
        },
      },
      build: ({ x }) => cast(x!, dtype),
      expect: ({ x }, index) => (dtype === 'bool' ? Number(at(x!, index) !== 0) : Math.trunc(at(x!, index))),
    },
  ]),
  {
    op: 'cast',
    title: 'negative values towards zero',
    inputs: { x: { shape: [6], draw: (_random, i) => i * 0.75 - 2, gradient: false } },
    build: ({ x }) => cast(x!, 'int64'),
    expect: ({ x }, index) => Math.trunc(at(x!, index)),
  },
  {
    op: 'cast',
    title: 'to float16 and back',
    inputs: { x: { shape: ['B', 3], draw: distinct } },
    sizes: [{ B: 2 }],
    build: ({ x }) => cast(cast(x!, 'float16'), 'float32'),
    expect: ({ x }, index) => at(x!, index),
    tolerance: 1e-3,
    noFloat16: 'is about float16 itself',
  },
];
