import { concat, linear, matmul, reshape } from '../../../src/graph/index.ts';
import { at, type OpCase, range, total } from '../op-case.ts';

type Options = { transA?: boolean; transB?: boolean; alpha?: number };

/** The definition, one element at a time. */
const product =
  ({ transA = false, transB = false, alpha = 1 }: Options, inner: number): OpCase['expect'] =>
  ({ a, b }, index) => {
    const batch = index.slice(0, -2);
    const [i, j] = index.slice(-2) as [number, number];
    return (
      alpha *
      total(
        range(inner).map(
          (k) =>
            at(a!, transA ? [...batch, k, i] : [...batch, i, k]) *
            at(b!, transB ? [...batch, j, k] : [...batch, k, j]),
        ),
      )
    );
  };

const options: Options[] = [
  {},
  { transA: true },
  { transB: true },
  { transA: true, transB: true },
  { transB: true, alpha: 0.25 },
  { alpha: -2 },
  { transA: true, alpha: 3 },
  { transA: true, transB: true, alpha: 0.5 },
];

function variants({ transA = false, transB = false, alpha = 1 }: Options): OpCase[] {
  const given = { transA, transB, alpha };
  const title = `${transA ? 'A^T' : 'A'} ${transB ? 'B^T' : 'B'}${alpha === 1 ? '' : ` x ${alpha}`}`;
  const pair = <T>(first: T, second: T, swap: boolean) => (swap ? [second, first] : [first, second]);
  const common = {
    op: 'matmul',
    build: ({ a, b }) => matmul(a!, b!, given),
    expect: product(given, 3),
  } satisfies Partial<OpCase>;
  return [
    {
      ...common,
      title: `${title}, matrices`,
      inputs: { a: { shape: pair(2, 3, transA) }, b: { shape: pair(3, 4, transB) } },
    },
    {
      ...common,
      title: `${title}, a batch and one matrix`,
      inputs: {
        a: { shape: ['B', ...pair<string | number>('T', 3, transA)] },
        b: { shape: pair(3, 2, transB) },
      },
      sizes: [
        { B: 2, T: 4 },
        { B: 1, T: 1 },
      ],
    },
    {
      ...common,
      title: `${title}, one matrix and a batch`,
      inputs: {
        a: { shape: pair(2, 3, transA) },
        b: { shape: ['B', ...pair<string | number>(3, 'T', transB)] },
      },
      sizes: [{ B: 2, T: 2 }],
    },
    {
      ...common,
      title: `${title}, batches that broadcast`,
      inputs: {
        a: { shape: ['B', 1, ...pair(2, 3, transA)] },
        b: { shape: [2, ...pair(3, 2, transB)] },
      },
      sizes: [{ B: 3 }, { B: 1 }],
    },
  ];
}

export const matmulCases: OpCase[] = [
  ...options.flatMap(variants),
  {
    op: 'matmul',
    title: 'no rows',
    inputs: { a: { shape: ['B', 'T', 3], gradient: false }, b: { shape: [3, 2], gradient: false } },
    sizes: [{ B: 2, T: 0 }],
    build: ({ a, b }) => matmul(a!, b!),
  },
  {
    op: 'matmul',
    title: 'nothing to add up',
    inputs: { a: { shape: [2, 'K'] }, b: { shape: ['K', 3] } },
    sizes: [{ K: 0 }],
    build: ({ a, b }) => matmul(a!, b!),
    expect: () => 0,
    noWebGpu: 'refused: ONNX Runtime crashes',
  },
  {
    op: 'matmul',
    title: 'scores over cached and new keys',
    inputs: { q: { shape: ['B', 'T', 3] }, past: { shape: ['B', 'P', 3] }, k: { shape: ['B', 'T', 3] } },
    sizes: [
      { B: 2, T: 2, P: 1 },
      { B: 1, T: 1, P: 0 },
    ],
    build: ({ q, past, k }) => matmul(q!, concat([past!, k!], 1), { transB: true, alpha: 0.5 }),
  },
  {
    op: 'matmul',
    title: 'rows of a product of symbols',
    inputs: { x: { shape: ['B', 'T', 4] }, w: { shape: [4, 2] } },
    sizes: [{ B: 2, T: 3 }],
    build: ({ x, w }) => matmul(reshape(x!, ['T*B', 4]), w!),
    expect: ({ x, w }, [row, j]) => total(range(4).map((k) => x!.data[row! * 4 + k]! * w!.data[k * 2 + j!]!)),
  },
  ...[
    { x: [2, 3] },
    { x: ['T', 3], sizes: [{ T: 1 }, { T: 4 }] },
    { x: ['B', 'T', 3], sizes: [{ B: 2, T: 2 }] },
  ].map<OpCase>(({ x, sizes }) => ({
    op: 'linear',
    title: `x [${x}]`,
    inputs: { x: { shape: x }, w: { shape: [5, 3] } },
    sizes,
    build: ({ x, w }) => linear(x!, w!),
    expect: ({ x, w }, index) =>
      total(range(3).map((k) => at(x!, [...index.slice(0, -1), k]) * at(w!, [index[index.length - 1]!, k]))),
  })),
];
