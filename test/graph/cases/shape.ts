import {
  concat,
  expand,
  pad,
  reshape,
  type Shape,
  slice,
  squeeze,
  stack,
  swapLast,
  transpose,
  unsqueeze,
} from '../../../src/graph/index.ts';
import { at, bool, integer, type OpCase, replaced, type Sizes } from '../op-case.ts';

const BT = [
  { B: 2, T: 3 },
  { B: 1, T: 1 },
  { B: 2, T: 0 },
  { B: 0, T: 2 },
];

/** Reshaping keeps the row-major order, so the element is found by counting. */
const sameOrder =
  (to: (sizes: Sizes) => readonly number[]): OpCase['expect'] =>
  ({ x }, index, sizes) =>
    x!.data[to(sizes).reduce((offset, size, axis) => offset * size + index[axis]!, 0)]!;

function reshaping(
  from: Shape,
  to: Shape,
  target: (sizes: Sizes) => number[],
  sizes?: readonly Sizes[],
): OpCase {
  return {
    op: 'reshape',
    title: `[${from}] to [${to}]`,
    inputs: { x: { shape: from } },
    sizes,
    build: ({ x }) => reshape(x!, to),
    expect: sameOrder(target),
  };
}

export const shapeCases: OpCase[] = [
  reshaping([2, 6], [3, 4], () => [3, 4]),
  reshaping([2, 6], [-1], () => [12]),
  reshaping([], [1, 1], () => [1, 1]),
  reshaping([0, 3], [3, 0], () => [3, 0]),
  reshaping(['B', 'T', 6], ['B', 'T', 2, 3], ({ B, T }) => [B!, T!, 2, 3], BT),
  reshaping(['B', 'T', 6], ['B*T', 6], ({ B, T }) => [B! * T!, 6], BT),
  reshaping(['B', 'T', 6], ['T', '2*B', 3], ({ B, T }) => [T!, 2 * B!, 3], BT),
  reshaping(['B', 'T', 4], ['B', '4*T'], ({ B, T }) => [B!, 4 * T!], BT),
  reshaping(['B', 'T', 4], [-1, 'T', 2], ({ B, T }) => [2 * B!, T!, 2], BT),
  {
    op: 'reshape',
    title: 'there and back through a product',
    inputs: { x: { shape: ['B', 'T', 2] } },
    sizes: BT,
    build: ({ x }) => reshape(reshape(x!, ['T*B', 2]), ['B', 'T', 2]),
    expect: ({ x }, index) => at(x!, index),
  },
  {
    op: 'reshape',
    title: 'bool',
    inputs: { x: { shape: ['T', 2], dtype: 'bool', draw: bool, gradient: false } },
    sizes: [{ T: 3 }],
    build: ({ x }) => reshape(x!, [2, 'T']),
    expect: sameOrder(({ T }) => [2, T!]),
  },
  ...[
    { shape: [2, 3], permutation: [1, 0] },
    { shape: [2, 3, 4], permutation: [2, 0, 1] },
    { shape: ['B', 'T', 2, 3], permutation: [0, 2, 1, 3], sizes: BT },
    { shape: ['B', 'T', 2], permutation: [-1, 0, 1], sizes: BT },
  ].map<OpCase>(({ shape, permutation, sizes }) => ({
    op: 'transpose',
    title: `[${shape}] by [${permutation}]`,
    inputs: { x: { shape } },
    sizes,
    build: ({ x }) => transpose(x!, permutation),
    expect: ({ x }, index) => {
      const source: number[] = [];
      for (const [i, axis] of permutation.entries()) source[(axis + shape.length) % shape.length] = index[i]!;
      return at(x!, source);
    },
  })),
  ...[
    { shape: [2, 3] },
    { shape: ['B', 'T', 3], sizes: BT },
    { shape: [2, 1, 'B', 'T'], sizes: BT },
  ].map<OpCase>(({ shape, sizes }) => ({
    op: 'swapLast',
    title: `[${shape}]`,
    inputs: { x: { shape } },
    sizes,
    build: ({ x }) => swapLast(x!),
    expect: ({ x }, index) =>
      at(x!, [...index.slice(0, -2), index[index.length - 1]!, index[index.length - 2]!]),
  })),
  ...[
    { from: [3], to: [2, 3] },
    { from: [2, 1, 3], to: [2, 4, 3] },
    { from: ['B', 1, 'T'], to: ['B', 3, 'T'], sizes: BT },
    { from: ['B', 1, 'T'], to: [2, 'B', 'B+T', 'T'], sizes: BT },
    { from: [], to: [2, 2] },
  ].map<OpCase>(({ from, to, sizes }) => ({
    op: 'expand',
    title: `[${from}] to [${to}]`,
    inputs: { x: { shape: from } },
    sizes,
    build: ({ x }) => expand(x!, to),
    expect: ({ x }, index) => at(x!, index),
  })),
  ...[
    { shape: [5], axis: 0, bounds: [1, 4], start: () => 1 },
    { shape: [2, 5], axis: -1, bounds: [-2], start: () => 3 },
    {
      shape: ['B', 'T', 2],
      axis: 1,
      bounds: [1],
      start: () => 1,
      sizes: [
        { B: 2, T: 3 },
        { B: 1, T: 1 },
      ],
    },
    {
      shape: ['B', 'T', 2],
      axis: 1,
      bounds: [0, -1],
      start: () => 0,
      sizes: [
        { B: 2, T: 3 },
        { B: 1, T: 1 },
      ],
    },
    { shape: ['B', 'T', 2], axis: 1, bounds: [-1], start: ({ T }: Sizes) => T! - 1, sizes: [{ B: 2, T: 3 }] },
  ].map<OpCase>(({ shape, axis, bounds, start, sizes }) => ({
    op: 'slice',
    title: `[${shape}] axis ${axis} from ${bounds.join(' to ')}`,
    inputs: { x: { shape } },
    sizes,
    build: ({ x }) => slice(x!, axis, bounds[0]!, bounds[1]),
    expect: ({ x }, index, bound) => {
      const normal = (axis + shape.length) % shape.length;
      return at(x!, replaced(index, normal, index[normal]! + start(bound)));
    },
  })),
  ...[
    { end: undefined, title: 'what lies past a cache' },
    { end: 'P+1', title: 'the first past a cache' },
  ].map<OpCase>(({ end, title }) => ({
    op: 'slice',
    title,
    inputs: { past: { shape: ['B', 'P', 2] }, x: { shape: ['B', 'T', 2] } },
    sizes: [
      { B: 2, P: 3, T: 2 },
      { B: 1, P: 0, T: 1 },
    ],
    build: ({ past, x }) => slice(concat([past!, x!], 1), 1, 'P', end),
    expect: ({ x }, index) => at(x!, index),
  })),
  ...[
    { shape: [3], axis: 0, before: 2, after: 1, from: () => 2 },
    { shape: [2, 3], axis: -2, before: 0, after: 2, from: () => 0 },
    { shape: ['B', 'T', 2], axis: 1, before: 'B', after: 1, from: ({ B }: Sizes) => B!, sizes: BT },
    { shape: ['B', 'T'], axis: 1, before: '2*T', after: 'B', from: ({ T }: Sizes) => 2 * T!, sizes: BT },
  ].map<OpCase>(({ shape, axis, before, after, from, sizes }) => ({
    op: 'pad',
    title: `[${shape}] axis ${axis} by ${before} and ${after}`,
    inputs: { x: { shape } },
    sizes,
    build: ({ x }) => pad(x!, axis, before, after),
    expect: ({ x }, index, bound) => {
      const normal = (axis + shape.length) % shape.length;
      const place = index.map((i, at) => (at === normal ? i - from(bound) : i));
      return place[normal]! >= 0 && place[normal]! < x!.shape[normal]! ? at(x!, place) : 0;
    },
  })),
  ...[
    { a: [2], b: [3], axis: 0 },
    { a: [2, 2, 3], b: [2, 1, 3], axis: 1 },
    { a: ['B', 'T', 2], b: ['B', 'T', 1], axis: -1, sizes: BT },
    {
      a: ['B', 'P', 2],
      b: ['B', 'T', 2],
      axis: 1,
      sizes: [
        { B: 2, P: 0, T: 2 },
        { B: 1, P: 3, T: 1 },
      ],
    },
  ].map<OpCase>(({ a, b, axis, sizes }) => ({
    op: 'concat',
    title: `[${a}] and [${b}] along ${axis}`,
    inputs: { a: { shape: a }, b: { shape: b } },
    sizes,
    build: ({ a, b }) => concat([a!, b!], axis),
    expect: ({ a, b }, index) => {
      const normal = (axis + a!.shape.length) % a!.shape.length;
      const first = a!.shape[normal]!;
      if (index[normal]! < first) return at(a!, index);
      return at(
        b!,
        index.map((i, at) => (at === normal ? i - first : i)),
      );
    },
  })),
  {
    op: 'concat',
    title: 'one tensor three times, int64',
    inputs: { x: { shape: ['T', 2], dtype: 'int64', draw: integer, gradient: false } },
    sizes: [{ T: 2 }],
    build: ({ x }) => concat([x!, x!, x!], 1),
    expect: ({ x }, [t, i]) => at(x!, [t!, i! % 2]),
  },
  ...[
    { axis: 0, place: ([n, ...rest]: number[]) => [n!, rest] as const, shape: [3] },
    { axis: -1, place: (i: number[]) => [i.at(-1)!, i.slice(0, -1)] as const, shape: ['B', 'T'], sizes: BT },
    { axis: 1, place: ([b, n, t]: number[]) => [n!, [b!, t!]] as const, shape: ['B', 'T'], sizes: BT },
  ].map<OpCase>(({ axis, place, shape, sizes }) => ({
    op: 'stack',
    title: `[${shape}] along ${axis}`,
    inputs: { a: { shape }, b: { shape } },
    sizes,
    build: ({ a, b }) => stack([a!, b!], axis),
    expect: ({ a, b }, index) => {
      const [n, rest] = place([...index]);
      return at(n === 0 ? a! : b!, rest);
    },
  })),
  ...[0, 1, -1].map<OpCase>((axis) => ({
    op: 'unsqueeze',
    title: `at ${axis}`,
    inputs: { x: { shape: ['B', 'T'] } },
    sizes: BT,
    build: ({ x }) => unsqueeze(x!, axis),
    expect: ({ x }, index) => at(x!, index.toSpliced(axis, 1)),
  })),
  ...[
    { shape: [1, 'B', 'T'], axis: 0 },
    { shape: ['B', 1, 'T'], axis: 1 },
    { shape: ['B', 'T', 1], axis: -1 },
  ].map<OpCase>(({ shape, axis }) => ({
    op: 'squeeze',
    title: `[${shape}] at ${axis}`,
    inputs: { x: { shape } },
    sizes: BT,
    build: ({ x }) => squeeze(x!, axis),
    expect: ({ x }, index) =>
      at(x!, axis === -1 ? [...index, 0] : [...index.slice(0, axis), 0, ...index.slice(axis)]),
  })),
];
