import { depthwiseConv, reverse } from '../../../src/graph/index.ts';
import { at, integer, type OpCase, range, replaced, total } from '../op-case.ts';

export const convolutionCases: OpCase[] = [
  { x: [2, 3, 6], taps: 4, before: 3, after: 0 },
  { x: [1, 2, 5], taps: 3, before: 0, after: 0 },
  { x: [1, 1, 3], taps: 1, before: 0, after: 0 },
  { x: [2, 2, 3], taps: 3, before: 1, after: 2 },
  {
    x: ['B', 3, 'T'],
    taps: 4,
    before: 3,
    after: 0,
    sizes: [
      { B: 2, T: 5 },
      { B: 1, T: 1 },
    ],
  },
].map<OpCase>(({ x, taps, before, after, sizes }) => ({
  op: 'depthwiseConv',
  title: `[${x}], ${taps} taps, padded by ${before} and ${after}`,
  inputs: { x: { shape: x }, w: { shape: [x[1]!, taps] } },
  sizes,
  build: ({ x, w }) => depthwiseConv(x!, w!, { before, after }),
  expect: ({ x, w }, [b, d, l]) =>
    total(
      range(taps)
        .map((tap) => [tap, l! + tap - before] as const)
        .filter(([, s]) => s >= 0 && s < x!.shape[2]!)
        .map(([tap, s]) => at(w!, [d!, tap]) * at(x!, [b!, d!, s])),
    ),
}));

export const reverseCases: OpCase[] = [
  ...[
    { shape: [5], axis: 0 },
    { shape: [2, 3, 2], axis: -2 },
    {
      shape: ['B', 'T'],
      axis: 1,
      sizes: [
        { B: 2, T: 3 },
        { B: 1, T: 1 },
        { B: 2, T: 0 },
      ],
    },
  ].map<OpCase>(({ shape, axis, sizes }) => ({
    op: 'reverse',
    title: `[${shape}] along ${axis}`,
    inputs: { x: { shape } },
    sizes,
    build: ({ x }) => reverse(x!, axis),
    expect: ({ x }, index) => {
      const normal = (axis + shape.length) % shape.length;
      return at(x!, replaced(index, normal, x!.shape[normal]! - 1 - index[normal]!));
    },
  })),
  {
    op: 'reverse',
    title: 'int64',
    inputs: { x: { shape: ['T'], dtype: 'int64', draw: integer, gradient: false } },
    sizes: [{ T: 4 }],
    build: ({ x }) => reverse(x!, 0),
    expect: ({ x }, [i]) => at(x!, [x!.shape[0]! - 1 - i!]),
  },
];
