import { add, mul, type Shape, scan, sum } from '../../../src/graph/index.ts';
import { at, type OpCase, range, replaced } from '../op-case.ts';

/** S' = 0.5 S + x y,   output = S' + x summed over the last axis. */
type Values = Parameters<NonNullable<OpCase['expect']>>[0];
function state(values: Values, axis: number, t: number, place: readonly number[]): number {
  if (t === 0) return at(values.state!, place);
  const [x, y] = ['x', 'y'].map((name) =>
    at(values[name]!, [...place.slice(0, axis), t - 1, ...place.slice(axis)]),
  );
  return 0.5 * state(values, axis, t - 1, place) + x! * y!;
}

const shapes: { state: Shape; axis: number }[] = [
  { state: ['B', 3], axis: 1 },
  { state: [2, 2], axis: 0 },
  { state: ['B', 2, 3], axis: 2 },
];

export const scanCases: OpCase[] = shapes.flatMap(({ state: own, axis }) => {
  const whole = [...own.slice(0, axis), 'T', ...own.slice(axis)];
  const common = {
    op: 'scan',
    inputs: Object.fromEntries(
      Object.entries({ state: own, x: whole, y: whole }).map(([name, shape]) => [
        name,
        { shape, gradient: false },
      ]),
    ),
    sizes: [
      { B: 2, T: 4 },
      { B: 1, T: 1 },
    ],
    noFloat16: 'states are float32',
    noWebGpu: 'loops run on the CPU',
  } satisfies Partial<OpCase>;
  const run = (inputs: Parameters<OpCase['build']>[0]) =>
    scan(inputs.state!, [inputs.x!, inputs.y!], axis, (before, [x, y]) => {
      const after = add(mul(before, 0.5), mul(x!, y!));
      return { state: after, output: sum(add(after, x!), -1, true) };
    });
  return [
    {
      ...common,
      title: `[${own}] over axis ${axis}: state`,
      build: (inputs) => run(inputs).state,
      expect: (values, place, { T }) => state(values, axis, T!, place),
    },
    {
      ...common,
      title: `[${own}] over axis ${axis}: outputs`,
      build: (inputs) => run(inputs).outputs,
      expect: (values, place) => {
        const t = place[axis]!;
        const last = own.length - 1;
        const inner = place.filter((_, i) => i !== axis);
        return range(own[last] as number).reduce((total, i) => {
          const element = replaced(inner, last, i);
          const x = at(values.x!, [...element.slice(0, axis), t, ...element.slice(axis)]);
          return total + state(values, axis, t + 1, element) + x;
        }, 0);
      },
    },
  ];
});
