import { decayGates, type Shape } from '../../../src/graph/index.ts';
import { at, type OpCase } from '../op-case.ts';

const shapes: { heads: number; rows: Shape; sizes?: OpCase['sizes'] }[] = [
  { heads: 3, rows: [2, 4] },
  { heads: 1, rows: [1, 1] },
  {
    heads: 9,
    rows: ['B', 'T'],
    sizes: [
      { B: 2, T: 3 },
      { B: 1, T: 1 },
    ],
  },
];

export const gateCases: OpCase[] = shapes.flatMap(({ heads, rows, sizes }) => {
  const each = { shape: [...rows, heads], gradient: false };
  const common = {
    op: 'decayGates',
    inputs: {
      a: { ...each, draw: (random) => 8 * random.normal() },
      b: each,
      bias: { shape: [heads], gradient: false },
      scale: { shape: [heads], gradient: false },
    },
    sizes,
    noFloat16: 'biases and factors are float32',
  } satisfies Partial<OpCase>;
  const build = ({ a, b, bias, scale }: Parameters<OpCase['build']>[0]) =>
    decayGates({ a: a!, b: b!, bias: bias!, scale: scale! });
  return [
    {
      ...common,
      title: `[${rows}], ${heads} heads: decays`,
      build: (inputs) => build(inputs).g,
      expect: ({ a, bias, scale }, [b, t, h]) =>
        at(scale!, [h!]) * Math.log(1 + Math.exp(at(a!, [b!, t!, h!]) + at(bias!, [h!]))),
    },
    {
      ...common,
      title: `[${rows}], ${heads} heads: beta`,
      build: (inputs) => build(inputs).beta,
      expect: ({ b: gate }, index) => 1 / (1 + Math.exp(-at(gate!, index))),
    },
  ];
});
