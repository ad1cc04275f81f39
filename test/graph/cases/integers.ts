import { integerProduct, lastByte, nearestByte } from '../../../src/graph/index.ts';
import { at, below, type Draw, type OpCase, positive, range, total } from '../op-case.ts';

const noWebGpu = 'WebGPU has no products of integers';
const noFloat16 = 'factors are float32';
const byte: Draw = (random) => random.below(256);
const signed: Draw = (random) => random.below(255) - 127;

/** @param zeroB what stands for 0 in b */
const product = (zero: number, zeroB = 0): OpCase['expect'] => {
  return ({ a, b, scale, scales }, index) => {
    const batch = index.slice(0, -2);
    const [i, j] = index.slice(-2) as [number, number];
    const inner = range(b!.shape.at(-2)!);
    const sum = total(
      inner.map((k) => (at(a!, [...batch, i, k]) - zero) * (at(b!, [...batch, k, j]) - zeroB)),
    );
    return sum * (scale ? scale.data[0]! : 1) * (scales ? at(scales, [...batch, 0, j]) : 1);
  };
};

export const integerCases: OpCase[] = [
  {
    op: 'integerProduct',
    title: 'matrices',
    inputs: {
      a: { shape: [2, 40], dtype: 'uint8', draw: byte, gradient: false },
      b: { shape: [40, 3], dtype: 'int8', draw: signed, gradient: false },
    },
    build: ({ a, b }) => integerProduct(a!, b!),
    expect: product(0),
    ...{ noWebGpu, noFloat16 },
  },
  {
    op: 'integerProduct',
    title: 'a batch with factors of columns, around a zero',
    inputs: {
      a: { shape: [1, 'H', 2, 64], dtype: 'uint8', draw: byte, gradient: false },
      b: { shape: ['N', 'H', 64, 5], dtype: 'int8', draw: signed, gradient: false },
      scale: { shape: [], gradient: false, draw: positive },
      scales: { shape: ['N', 'H', 1, 5], gradient: false, draw: positive },
    },
    sizes: [
      { N: 2, H: 3 },
      { N: 1, H: 1 },
    ],
    build: ({ a, b, scale, scales }) => integerProduct(a!, b!, { zero: 128, scale: scale!, scales: scales! }),
    expect: product(128),
    ...{ noWebGpu, noFloat16 },
  },
  {
    op: 'integerProduct',
    title: 'uint8 on both sides',
    inputs: {
      a: { shape: ['H', 'M', 64], dtype: 'uint8', draw: byte, gradient: false },
      b: { shape: ['N', 'H', 64, 5], dtype: 'uint8', draw: byte, gradient: false },
      scales: { shape: ['N', 'H', 1, 5], gradient: false, draw: positive },
    },
    sizes: [
      { N: 2, H: 3, M: 2 },
      { N: 1, H: 2, M: 1 },
    ],
    build: ({ a, b, scales }) => integerProduct(a!, b!, { zero: 128, scales: scales! }),
    expect: product(128, 128),
    ...{ noWebGpu, noFloat16 },
  },
  // Pairs of their products are beyond 16 bits, in both directions; rows of one and of several have kernels of their own.
  ...(['int8', 'uint8'] as const).flatMap((dtype) =>
    [1, 7].map((M): OpCase => {
      const [least, zero] = dtype === 'int8' ? [-128, 0] : [0, 128];
      return {
        op: 'integerProduct',
        title: `the largest values of ${dtype}, rows: ${M}`,
        inputs: {
          a: { shape: [M, 96], dtype: 'uint8', draw: () => 255, gradient: false },
          b: {
            shape: [96, 33],
            dtype,
            draw: (_random, i) => least + (i % 2 === 0 ? 255 : 0),
            gradient: false,
          },
        },
        build: ({ a, b }) => integerProduct(a!, b!),
        expect: product(0, zero),
        ...{ noWebGpu, noFloat16 },
      };
    }),
  ),
  {
    op: 'lastByte',
    title: 'numbers from 0 on',
    inputs: {
      x: {
        shape: ['T', 3],
        gradient: false,
        draw: (random, i, sizes) => below(65_536)(random, i, sizes) + 0.75,
      },
    },
    sizes: [{ T: 50 }, { T: 1 }],
    build: ({ x }) => lastByte(x!),
    expect: ({ x }, index) => Math.floor(at(x!, index)) % 256,
    ...{ noWebGpu, noFloat16 },
  },
  {
    op: 'lastByte',
    title: 'around whole turns',
    inputs: { x: { shape: [5], gradient: false, draw: (_random, i) => [0, 9.99, 255.9, 256, 65_535][i]! } },
    build: ({ x }) => lastByte(x!),
    expect: (_, [i]) => [0, 9, 255, 0, 255][i!]!,
    ...{ noWebGpu, noFloat16 },
  },
  {
    op: 'nearestByte',
    title: 'rows',
    inputs: { x: { shape: ['T', 3], gradient: false, draw: (random) => 100 * random.normal() } },
    sizes: [{ T: 50 }, { T: 1 }],
    build: ({ x }) => nearestByte(x!),
    expect: ({ x }, index) => Math.max(-128, Math.min(127, Math.round(at(x!, index)))),
    ...{ noWebGpu, noFloat16 },
  },
  {
    op: 'nearestByte',
    title: 'around a zero',
    inputs: { x: { shape: ['T', 5], gradient: false, draw: (random) => 100 * random.normal() } },
    sizes: [{ T: 50 }, { T: 1 }],
    build: ({ x }) => nearestByte(x!, 64),
    expect: ({ x }, index) => Math.max(0, Math.min(255, Math.round(at(x!, index)) + 64)),
    ...{ noWebGpu, noFloat16 },
  },
  {
    op: 'nearestByte',
    title: 'halves and what is too large',
    inputs: { x: { shape: [8], gradient: false, draw: (_random, i) => NEAREST[i]![0] } },
    build: ({ x }) => nearestByte(x!),
    expect: (_, [i]) => NEAREST[i!]![1],
    ...{ noWebGpu, noFloat16 },
  },
];

const NEAREST: readonly [number, number][] = [
  [-1000, -128],
  [-2.5, -2],
  [-0.6, -1],
  [0.5, 0],
  [1.5, 2],
  [41.49, 41],
  [126.9, 127],
  [500, 127],
];
