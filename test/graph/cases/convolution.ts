import { convolutionStep, depthwiseConv, reverse } from '../../../src/graph/index.ts';
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

const stepShapes: {
  batch: number | string;
  channels: number | string;
  taps: number;
  sizes?: OpCase['sizes'];
}[] = [
  { batch: 2, channels: 3, taps: 4 },
  { batch: 1, channels: 1, taps: 1 },
  { batch: 'B', channels: 5, taps: 3, sizes: [{ B: 3 }, { B: 1 }] },
  { batch: 1, channels: 'D', taps: 2, sizes: [{ D: 4 }, { D: 1 }] },
];

export const convolutionStepCases: OpCase[] = stepShapes.flatMap(({ batch, channels, taps, sizes }) =>
  [false, true].flatMap((biased): OpCase[] => {
    const own = (shape: OpCase['inputs'][string]['shape']) => ({ shape, gradient: false });
    const common = {
      op: 'convolutionStep',
      inputs: {
        u: own([batch, channels, 1]),
        w: own([channels, taps]),
        state: own([batch, channels, taps]),
        ...(biased ? { bias: own([channels]) } : {}),
      },
      sizes,
      noFloat16: 'states are float32',
    } satisfies Partial<OpCase>;
    const build = ({ u, w, state, bias }: Parameters<OpCase['build']>[0]) =>
      convolutionStep(u!, w!, state!, bias);
    /** Input number i of the newest ones. */
    const seen = (values: Parameters<NonNullable<OpCase['expect']>>[0], b: number, d: number, i: number) =>
      i === taps - 1 ? at(values.u!, [b, d, 0]) : at(values.state!, [b, d, i + 1]);
    const title = `[${batch}, ${channels}], ${taps} taps${biased ? ', with a bias' : ''}`;
    return [
      {
        ...common,
        title: `${title}: outputs`,
        build: (inputs) => build(inputs).y,
        expect: (values, [b, d]) => {
          const { w, bias } = values;
          const sum = total(range(taps).map((i) => at(w!, [d!, i]) * seen(values, b!, d!, i)));
          const x = sum + (bias ? at(bias, [d!]) : 0);
          return x / (1 + Math.exp(-x));
        },
      },
      {
        ...common,
        title: `${title}: state`,
        build: (inputs) => build(inputs).state,
        expect: (values, [b, d, i]) => seen(values, b!, d!, i!),
      },
    ];
  }),
);

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
