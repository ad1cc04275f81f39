import {
  add,
  arange,
  concat,
  constant,
  dimension,
  fill,
  mul,
  scalar,
  unsqueeze,
} from '../../../src/graph/index.ts';
import { at, integer, type OpCase } from '../op-case.ts';

const sizes = [
  { B: 2, T: 3 },
  { B: 1, T: 4 },
  { B: 2, T: 0 },
];
/** Carries the symbols; leaves take no input of their own. */
const x = { shape: ['B', 'T'] };

export const constantCases: OpCase[] = [
  {
    op: 'input',
    title: 'passed through, of every type',
    inputs: { x },
    sizes,
    build: ({ x }) => x!,
    expect: ({ x }, index) => at(x!, index),
  },
  ...(['int32', 'int64'] as const).map<OpCase>((dtype) => ({
    op: 'input',
    title: dtype,
    inputs: { x: { shape: ['T', 2], dtype, draw: integer, gradient: false } },
    sizes: [{ T: 3 }],
    build: ({ x }) => x!,
    expect: ({ x }, index) => at(x!, index),
  })),
  {
    op: 'input',
    title: 'dimensions in any order',
    inputs: { p: { shape: ['P'] }, t: { shape: ['T'] }, x: { shape: ['T+P', '2*T'] } },
    sizes: [{ P: 1, T: 2 }],
    build: ({ p, t, x }) => add(x!, unsqueeze(concat([p!, t!], 0), 1)),
  },
  {
    op: 'constant',
    title: 'a matrix',
    inputs: { x: { shape: ['B', 2, 3] } },
    sizes: [{ B: 2 }, { B: 1 }],
    build: ({ x }) => mul(x!, constant([1, -2, 3.5, 4, 0, -0.25], [2, 3], x!.dtype)),
    expect: ({ x }, index) => at(x!, index) * [1, -2, 3.5, 4, 0, -0.25][index[1]! * 3 + index[2]!]!,
  },
  {
    op: 'constant',
    title: 'more values than are compared for equality',
    inputs: { x: { shape: [100] } },
    build: ({ x }) => {
      const values = Array.from({ length: 100 }, (_, i) => i / 8);
      return add(
        mul(x!, constant(values, [100], x!.dtype)),
        constant([...values].reverse(), [100], x!.dtype),
      );
    },
    expect: ({ x }, [i]) => (at(x!, [i!]) * i!) / 8 + (99 - i!) / 8,
  },
  {
    op: 'constant',
    title: 'bools',
    inputs: {},
    build: () => constant([1, 0, 1], [3], 'bool'),
    expect: (_values, [i]) => [1, 0, 1][i!]!,
  },
  ...(['int32', 'int64', 'uint8'] as const).map<OpCase>((dtype) => ({
    op: 'constant',
    title: dtype,
    inputs: {},
    build: () => constant([3, 0, 250, 7], [2, 2], dtype),
    expect: (_values, [i, j]) => [3, 0, 250, 7][i! * 2 + j!]!,
  })),
  {
    op: 'scalar',
    title: 'added',
    inputs: { x },
    sizes,
    build: ({ x }) => add(x!, scalar(-2.5, x!.dtype)),
    expect: ({ x }, index) => at(x!, index) - 2.5,
  },
  {
    op: 'fill',
    title: 'a static shape',
    inputs: { x: { shape: [3] } },
    build: ({ x }) => add(x!, fill(1.5, [2, 3], x!.dtype)),
    expect: ({ x }, index) => at(x!, index) + 1.5,
  },
  {
    op: 'fill',
    title: 'symbols, a sum and a product',
    inputs: { x },
    sizes,
    build: ({ x }) => add(unsqueeze(x!, -1), fill(2, ['B', 'T', '1+2*B*T'], x!.dtype)),
    expect: ({ x }, index) => at(x!, [index[0]!, index[1]!]) + 2,
  },
  {
    op: 'fill',
    title: 'int64 of symbols',
    inputs: { x: { ...x, gradient: false, dtype: 'int64', draw: integer } },
    sizes,
    build: ({ x }) => add(x!, fill(-3, ['B', 'T'], 'int64')),
    expect: ({ x }, index) => at(x!, index) - 3,
  },
  {
    op: 'arange',
    title: 'a symbol',
    inputs: { x },
    sizes,
    build: ({ x }) => mul(x!, arange('T', x!.dtype)),
    expect: ({ x }, index) => at(x!, index) * index[1]!,
  },
  {
    op: 'arange',
    title: 'a product, int64',
    inputs: { x: { ...x, gradient: false, dtype: 'int64', draw: integer } },
    sizes,
    build: ({ x }) => add(unsqueeze(x!, -1), arange('3*T*B')),
    expect: ({ x }, index) => at(x!, [index[0]!, index[1]!]) + index[2]!,
  },
  {
    op: 'arange',
    title: 'a number, int32',
    inputs: {},
    build: () => arange(5, 'int32'),
    expect: (_values, [i]) => i!,
  },
  {
    op: 'dimension',
    title: 'a product in the type of the input',
    inputs: { x },
    sizes,
    build: ({ x }) => mul(x!, dimension('2*B+T', x!.dtype)),
    expect: ({ x }, index, { B, T }) => at(x!, index) * (2 * B! + T!),
  },
  {
    op: 'dimension',
    title: 'of an axis that is only known as a sum',
    inputs: { x: { shape: ['P+T'] } },
    sizes: [{ 'P+T': 4 }],
    build: ({ x }) => mul(x!, dimension('T+P', x!.dtype)),
    expect: ({ x }, index) => at(x!, index) * 4,
  },
  {
    op: 'dimension',
    title: 'int64',
    inputs: { x: { ...x, gradient: false, dtype: 'int64', draw: integer } },
    sizes,
    build: ({ x }) => add(x!, dimension('T', 'int64')),
    expect: ({ x }, index, { T }) => at(x!, index) + T!,
  },
];
