import { recurrence, type Shape } from '../../../src/graph/index.ts';
import { at, type OpCase, range } from '../op-case.ts';

const [H, K, V] = [2, 3, 4];
const SCALE = 0.5;

/** S after the first `t` tokens at channels [k, v] of head h of sequence b. */
type Values = Parameters<NonNullable<OpCase['expect']>>[0];
function state(values: Values, t: number, [b, h, k, v]: readonly [number, number, number, number]): number {
  if (t === 0) return at(values.state!, [b, h, k, v]);
  const decay = (channel: number) => {
    const { g } = values;
    if (!g) return 1;
    return Math.exp(at(g, [b, t - 1, g.shape[2] === H ? h : h * K + channel]));
  };
  const key = (channel: number) => at(values.k!, [b, t - 1, h * K + channel]);
  let written = at(values.v!, [b, t - 1, h * V + v]);
  if (values.beta) {
    const held = range(K).reduce((sum, i) => sum + key(i) * decay(i) * state(values, t - 1, [b, h, i, v]), 0);
    written = at(values.beta, [b, t - 1, h]) * (written - held);
  }
  return decay(k) * state(values, t - 1, [b, h, k, v]) + key(k) * written;
}

const rules: { title: string; g?: number; beta?: true }[] = [
  { title: 'linear' },
  { title: 'decay of a head', g: H },
  { title: 'decay of a key channel', g: H * K },
  { title: 'delta rule', beta: true },
  { title: 'delta rule with decay', g: H, beta: true },
  { title: 'delta rule with decay of a key channel', g: H * K, beta: true },
];

export const recurrenceCases: OpCase[] = rules.flatMap(({ title, g, beta }) => {
  const rows = (width: number) => ({ shape: ['B', 'T', width] as Shape, gradient: false });
  const common = {
    op: 'recurrence',
    inputs: {
      q: rows(H * K),
      k: { ...rows(H * K), draw: (random) => 0.4 * random.normal() },
      v: rows(H * V),
      state: { shape: ['B', H, K, V], gradient: false },
      ...(g ? { g: { ...rows(g), draw: (random) => -random.uniform() } } : {}),
      ...(beta ? { beta: { ...rows(H), draw: (random) => random.uniform() } } : {}),
    },
    sizes: [
      { B: 2, T: 3 },
      { B: 1, T: 1 },
    ],
    noFloat16: 'states are float32',
  } satisfies Partial<OpCase>;
  const build = ({ q, k, v, state, g, beta }: Parameters<OpCase['build']>[0]) =>
    recurrence({ q: q!, k: k!, v: v!, state: state!, g, beta, scale: SCALE });
  return [
    {
      ...common,
      title: `${title}: outputs`,
      build: (inputs) => build(inputs).o,
      expect: (values, [b, t, place]) => {
        const [h, v] = [Math.floor(place! / V), place! % V];
        const read = (k: number) => state(values, t! + 1, [b!, h, k, v]) * at(values.q!, [b!, t!, h * K + k]);
        return SCALE * range(K).reduce((sum, k) => sum + read(k), 0);
      },
    },
    {
      ...common,
      title: `${title}: state`,
      build: (inputs) => build(inputs).state,
      expect: (values, [b, h, k, v], { T }) => state(values, T!, [b!, h!, k!, v!]),
    },
  ];
});
