import {
  argMax,
  cumsum,
  l2Norm,
  logSoftmax,
  logSumExp,
  max,
  mean,
  mul,
  type NdArray,
  rmsNorm,
  softmax,
  stopGradient,
  sum,
  sumTo,
  type Tensor,
} from '../../../src/graph/index.ts';
import {
  at,
  type Draw,
  distinct,
  indices,
  integer,
  type OpCase,
  range,
  replaced,
  total,
} from '../op-case.ts';

type Reduction = (x: Tensor, axes?: readonly number[] | number, keepDims?: boolean) => Tensor;

/** The elements of x that an index of the reduced tensor stands for. */
function reduced(x: NdArray, axes: readonly number[], index: readonly number[]): number[] {
  const kept = index.length === x.shape.length;
  const fixed = x.shape.map((_, axis) => {
    if (axes.includes(axis)) return null;
    return index[kept ? axis : axis - axes.filter((other) => other < axis).length]!;
  });
  return indices(x.shape)
    .filter((candidate) => candidate.every((i, axis) => fixed[axis] === null || fixed[axis] === i))
    .map((candidate) => at(x, candidate));
}

function reduction(op: string, build: Reduction, f: (values: number[]) => number, draw?: Draw): OpCase[] {
  return [
    {
      op,
      title: 'all of three axes',
      inputs: { x: { shape: [2, 3, 4], draw } },
      build: ({ x }) => build(x!),
      expect: ({ x }, index) => f(reduced(x!, [0, 1, 2], index)),
    },
    {
      op,
      title: 'the last of two, kept',
      inputs: { x: { shape: [3, 5], draw } },
      build: ({ x }) => build(x!, -1, true),
      expect: ({ x }, index) => f(reduced(x!, [1], index)),
    },
    {
      op,
      title: 'two axes apart',
      inputs: { x: { shape: [2, 3, 4], draw } },
      build: ({ x }) => build(x!, [2, 0]),
      expect: ({ x }, index) => f(reduced(x!, [0, 2], index)),
    },
    {
      op,
      title: 'symbols',
      inputs: { x: { shape: ['B', 'T', 2], draw } },
      sizes: [
        { B: 2, T: 3 },
        { B: 1, T: 1 },
      ],
      build: ({ x }) => build(x!, [0, 1]),
      expect: ({ x }, index) => f(reduced(x!, [0, 1], index)),
    },
    {
      op,
      title: 'one symbol, kept',
      inputs: { x: { shape: ['B', 'T', 2], draw } },
      sizes: [{ B: 2, T: 3 }],
      build: ({ x }) => build(x!, 1, true),
      expect: ({ x }, index) => f(reduced(x!, [1], index)),
    },
  ];
}

function ofIntegers(op: string, build: Reduction, f: (values: number[]) => number): OpCase[] {
  return (['int32', 'int64'] as const).map((dtype) => ({
    op,
    title: dtype,
    inputs: { x: { shape: ['T', 3], dtype, draw: integer, gradient: false } },
    sizes: [{ T: 2 }],
    build: ({ x }) => build(x!, 0),
    expect: ({ x }, index) => f(reduced(x!, [0], index)),
  }));
}

/** The row of the last axis that an index lies in. */
function row(x: NdArray, index: readonly number[]): number[] {
  return range(x.shape[x.shape.length - 1]!).map((i) => at(x, replaced(index, x.shape.length - 1, i)));
}

function alongRows(
  op: string,
  build: (x: Tensor) => Tensor,
  f: (row: number[], i: number) => number,
): OpCase[] {
  const expect: OpCase['expect'] = ({ x }, index) => f(row(x!, index), index[index.length - 1]!);
  return [
    { op, title: 'a vector', inputs: { x: { shape: [6] } }, build: ({ x }) => build(x!), expect },
    { op, title: 'three axes', inputs: { x: { shape: [2, 3, 4] } }, build: ({ x }) => build(x!), expect },
    {
      op,
      title: 'symbols',
      inputs: { x: { shape: ['B', 'T'] } },
      sizes: [
        { B: 2, T: 5 },
        { B: 3, T: 1 },
      ],
      build: ({ x }) => build(x!),
      expect,
    },
    {
      op,
      title: 'far from zero',
      inputs: { x: { shape: [2, 3], draw: (_random, i) => (i < 3 ? 60 : -60) + i } },
      build: ({ x }) => build(x!),
      expect,
    },
  ];
}

const logOfSum = (values: number[]) => Math.log(total(values.map(Math.exp)));

export const reduceCases: OpCase[] = [
  ...reduction('sum', sum, total),
  ...ofIntegers('sum', sum, total),
  ...reduction('mean', mean, (values) => total(values) / values.length),
  ...reduction('max', max, (values) => Math.max(...values), distinct),
  ...ofIntegers('max', max, (values) => Math.max(...values)),
  ...[
    { from: ['B', 'T', 4], to: ['B', 'T', 4], sizes: [{ B: 2, T: 2 }] },
    { from: ['B', 'T', 4], to: [4], sizes: [{ B: 2, T: 3 }] },
    { from: ['B', 'T', 4], to: [1, 'T', 1], sizes: [{ B: 2, T: 3 }] },
    { from: [2, 3], to: [] },
    { from: [2, 3, 1], to: [3, 1] },
  ].map<OpCase>(({ from, to, sizes }) => ({
    op: 'sumTo',
    title: `[${from}] to [${to}]`,
    inputs: { x: { shape: from } },
    sizes,
    build: ({ x }) => sumTo(x!, to),
    expect: ({ x }, index) => {
      const kept = [...new Array(from.length - to.length).fill(0), ...index];
      const shape = [...new Array(from.length - to.length).fill(1), ...to];
      return total(
        indices(x!.shape)
          .filter((candidate) => candidate.every((i, axis) => shape[axis] === 1 || i === kept[axis]))
          .map((candidate) => at(x!, candidate)),
      );
    },
  })),
  ...[-1, 0, 1].map<OpCase>((axis) => ({
    op: 'logSumExp',
    title: `axis ${axis}`,
    inputs: { x: { shape: ['B', 3, 'T'] } },
    sizes: [
      { B: 2, T: 4 },
      { B: 1, T: 1 },
    ],
    build: ({ x }) => logSumExp(x!, axis),
    expect: ({ x }, index) =>
      logOfSum(
        range(x!.shape[axis < 0 ? 2 : axis]!).map((i) => at(x!, replaced(index, axis < 0 ? 2 : axis, i))),
      ),
  })),
  {
    op: 'logSumExp',
    title: 'large values',
    inputs: { x: { shape: [3], draw: (_random, i) => [1000, 1001, -1000][i]! } },
    build: ({ x }) => logSumExp(x!),
    expect: () => 1001 + Math.log1p(Math.exp(-1)),
  },
  ...[{ shape: [3] }, { shape: ['T', 2], sizes: [{ T: 2 }] }, { shape: [] }].map<OpCase>(
    ({ shape, sizes }) => ({
      op: 'stopGradient',
      title: `[${shape}]`,
      inputs: { x: { shape, gradient: false } },
      sizes,
      build: ({ x }) => stopGradient(x!),
      expect: ({ x }, index) => at(x!, index),
    }),
  ),
  ...[false, true].flatMap((reverse) => {
    const running = (axis: number): OpCase['expect'] => {
      return ({ x }, index) =>
        total(
          range(x!.shape[axis]!)
            .filter((i) => (reverse ? i >= index[axis]! : i <= index[axis]!))
            .map((i) => at(x!, replaced(index, axis, i))),
        );
    };
    const title = reverse ? 'from the end' : 'from the start';
    return [
      {
        op: 'cumsum',
        title: `${title}, a vector`,
        inputs: { x: { shape: [5] } },
        build: ({ x }) => cumsum(x!, -1, { reverse }),
        expect: running(0),
      },
      {
        op: 'cumsum',
        title: `${title}, a middle axis`,
        inputs: { x: { shape: [2, 3, 4] } },
        build: ({ x }) => cumsum(x!, 1, { reverse }),
        expect: running(1),
      },
      {
        op: 'cumsum',
        title: `${title}, symbols`,
        inputs: { x: { shape: ['B', 'T'] } },
        sizes: [
          { B: 2, T: 4 },
          { B: 2, T: 1 },
          { B: 2, T: 0 },
        ],
        build: ({ x }) => cumsum(x!, 1, { reverse }),
        expect: running(1),
      },
      {
        op: 'cumsum',
        title: `${title}, int64`,
        inputs: { x: { shape: ['B', 'T'], dtype: 'int64', draw: integer, gradient: false } },
        sizes: [{ B: 2, T: 3 }],
        build: ({ x }) => cumsum(x!, 0, { reverse }),
        expect: running(0),
      },
    ] satisfies OpCase[];
  }),
  ...alongRows('softmax', softmax, (values, i) => Math.exp(values[i]! - logOfSum(values))),
  ...alongRows('logSoftmax', logSoftmax, (values, i) => values[i]! - logOfSum(values)),
  ...alongRows(
    'l2Norm',
    (x) => l2Norm(x, 0.01),
    (values, i) => values[i]! / Math.sqrt(total(values.map((v) => v * v)) + 0.01),
  ).filter(({ title }) => title !== 'far from zero'),
  ...[
    ['B', 'T', 6],
    [2, 5],
  ].map<OpCase>((shape) => ({
    op: 'l2Norm',
    title: `[${shape}] of another length`,
    inputs: { x: { shape } },
    sizes: shape.includes('B') ? [{ B: 2, T: 3 }] : undefined,
    build: ({ x }) => l2Norm(x!, 0.01, 3),
    expect: ({ x }, index) => (3 * at(x!, index)) / Math.sqrt(total(row(x!, index).map((v) => v * v)) + 0.01),
  })),
  ...[-1, 0, 1].map<OpCase>((axis) => ({
    op: 'argMax',
    title: `axis ${axis}`,
    inputs: { x: { shape: ['T', 3, 'N'], draw: distinct, gradient: false } },
    sizes: [
      { T: 2, N: 4 },
      { T: 1, N: 1 },
    ],
    build: ({ x }) => argMax(x!, axis),
    expect: ({ x }, index) => {
      const normal = axis < 0 ? 2 : axis;
      const place = (i: number) => [...index.slice(0, normal), i, ...index.slice(normal)];
      const values = range(x!.shape[normal]!).map((i) => at(x!, place(i)));
      return values.indexOf(Math.max(...values));
    },
  })),
  {
    op: 'argMax',
    title: 'the first of equals',
    inputs: { x: { shape: [4], draw: (_random, i) => [1, 3, 3, 2][i]!, gradient: false } },
    build: ({ x }) => argMax(x!),
    expect: () => 1,
  },
  ...[
    {
      shape: ['B', 'T', 6],
      sizes: [
        { B: 2, T: 2 },
        { B: 1, T: 1 },
      ],
    },
    { shape: [3, 6] },
    { shape: [6] },
    { shape: ['T', 2, 6], sizes: [{ T: 3 }, { T: 0 }] },
  ].map<OpCase>(({ shape, sizes }) => ({
    op: 'rmsNorm',
    title: `[${shape}]`,
    inputs: { x: { shape }, w: { shape: [6] } },
    sizes,
    build: ({ x, w }) => rmsNorm(x!, w!, 0.01),
    expect: ({ x, w }, index) =>
      (at(x!, index) * at(w!, [index[index.length - 1]!])) /
      Math.sqrt(total(row(x!, index).map((v) => v * v)) / 6 + 0.01),
  })),
  {
    op: 'mul',
    title: 'a gradient that meets itself',
    inputs: { x: { shape: ['T', 3] } },
    sizes: [{ T: 2 }],
    build: ({ x }) => mul(softmax(x!), sum(x!, 0, true)),
  },
];
