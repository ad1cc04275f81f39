import { expect, test } from 'vitest';
import { draw, evaluateAll, expectClose } from '../../test/mixers/harness.ts';
import { gradients, input, ndarray, type Tensor } from '../graph/index.ts';
import { topologicalOrder } from '../graph/tensor.ts';
import { Random } from '../util/random.ts';
import { dynamicConvolution, generateFilters, generatorParameters } from './dynamic-convolution.ts';
import { shortConvolution } from './short-convolution.ts';

const [B, D, W] = [2, 3, 4];

function drawn(T: number, mask?: number[]) {
  const random = new Random(5);
  const values = {
    u: draw(random, [B, D, T]),
    filters: draw(random, [B, D, W, T]),
    state: draw(random, [B, D, W]),
    mask: ndarray([B, T], mask ?? new Array<number>(B * T).fill(1)),
    seed: draw(random, [B, D, T]),
  };
  const inputs = Object.fromEntries(
    Object.entries(values).map(([name, { shape }]) => [name, input(name, 'float32', shape)]),
  ) as Record<keyof typeof values, Tensor>;
  return { values, inputs };
}

/** Outputs and gradients of u, the filters and the state. */
function record({ inputs }: ReturnType<typeof drawn>, withState: boolean, withMask: boolean) {
  const { u, filters, state, mask, seed } = inputs;
  const result = dynamicConvolution(u, filters, {
    state: withState ? state : undefined,
    mask: withMask ? mask : undefined,
  });
  const [du, dFilters] = gradients([{ output: result.y, seed }], [u, filters]) as [Tensor, Tensor];
  return { ...result, du, dFilters };
}

for (const [T, withState] of [
  [1, true],
  [2, true],
  [9, true],
  [9, false],
] as const) {
  test(`${T} tokens, ${withState ? 'from a state' : 'from zeros'}, with padding: by plain loops`, () => {
    // The second sequence ends with padding.
    const mask = Array.from({ length: B * T }, (_, i) => (i < T || i % T < Math.ceil(T / 2) ? 1 : 0));
    const one = drawn(T, mask);
    const { values, inputs } = one;
    const { u, filters, state } = values;
    const actual = evaluateAll(record(one, withState, true), inputs, values);
    const y = ndarray([B, D, T]);
    const du = ndarray([B, D, T]);
    const dFilters = ndarray([B, D, W, T]);
    const newState = ndarray([B, D, W]);
    for (let row = 0; row < B * D; row++) {
      const b = Math.floor(row / D);
      /** Input number t; negative ones come from the state, whose last is number -1. */
      const at = (t: number) => {
        if (t >= 0) return u.data[row * T + t]! * mask[b * T + t]!;
        return withState && t >= -W ? state.data[row * W + W + t]! : 0;
      };
      for (let t = 0; t < T; t++) {
        for (let w = 0; w < W; w++) {
          const place = (row * W + w) * T + t;
          const source = t - (W - 1) + w;
          y.data[row * T + t]! += filters.data[place]! * at(source);
          dFilters.data[place] = values.seed.data[row * T + t]! * at(source);
          if (source >= 0) {
            du.data[row * T + source]! +=
              values.seed.data[row * T + t]! * filters.data[place]! * mask[b * T + source]!;
          }
        }
      }
      const tokens = b === 0 ? T : Math.ceil(T / 2);
      for (let w = 0; w < W; w++) newState.data[row * W + w] = at(tokens - W + w);
    }
    for (const [name, expected] of Object.entries({ y, du, dFilters, state: newState })) {
      expectClose(name, actual[name]!, expected, 1e-12);
    }
  });
}

test('with one filter for all tokens it is the static convolution', () => {
  const T = 7;
  const { values, inputs } = drawn(T);
  const { filters } = values;
  for (let i = 0; i < filters.data.length; i++) filters.data[i] = filters.data[i - (i % T)]!;
  const weight = input('weight', 'float32', [D, 1, W]);
  // The same filters for both sequences.
  const own = Array.from({ length: D * W }, (_, i) => filters.data[i * T]!);
  for (let i = 0; i < filters.data.length; i++) filters.data[i] = own[Math.floor(i / T) % (D * W)]!;
  const { y, state } = evaluateAll(
    { ...dynamicConvolution(inputs.u, inputs.filters, { state: inputs.state }) },
    inputs,
    values,
  );
  const expected = evaluateAll(
    { ...shortConvolution(inputs.u, weight, { state: inputs.state }) },
    { ...inputs, weight },
    { ...values, weight: ndarray([D, 1, W], own) },
  );
  expectClose('y', y!, expected.y!, 1e-12);
  expectClose('state', state!, expected.state!, 1e-12);
});

test('the generator, by plain loops, from channels last and first', () => {
  const [T, inputs, hidden] = [3, 5, 2];
  const random = new Random(6);
  const list = generatorParameters('conv', { inputs, channels: D, taps: W, reduction: 1.5 });
  expect(list.map(({ shape }) => shape)).toEqual([[hidden, inputs], [D * W, hidden], [D * W]]);
  const values = Object.fromEntries(list.map(({ name, shape }) => [name, draw(random, shape)]));
  const params = Object.fromEntries(list.map(({ name, shape }) => [name, input(name, 'float32', shape)]));
  const [w1, w2, bias] = list.map(({ name }) => values[name]!.data);
  const z = draw(random, [B, T, inputs]);
  const expected = ndarray([B, D, W, T]);
  for (let b = 0; b < B; b++) {
    for (let t = 0; t < T; t++) {
      const h = Array.from({ length: hidden }, (_, i) => {
        let sum = 0;
        for (let c = 0; c < inputs; c++) sum += w1![i * inputs + c]! * z.data[(b * T + t) * inputs + c]!;
        return sum / (1 + Math.exp(-sum));
      });
      // Channel-major, tap-minor, as the released weights are.
      for (let i = 0; i < D * W; i++) {
        expected.data[(b * D * W + i) * T + t] =
          bias![i]! + h.reduce((sum, value, j) => sum + w2![i * hidden + j]! * value, 0);
      }
    }
  }
  for (const channelsFirst of [false, true]) {
    const given = channelsFirst
      ? ndarray(
          [B, inputs, T],
          Array.from({ length: B * inputs * T }, (_, i) => {
            const [b, c, t] = [Math.floor(i / (inputs * T)), Math.floor(i / T) % inputs, i % T];
            return z.data[(b * T + t) * inputs + c]!;
          }),
        )
      : z;
    const source = input('z', 'float32', given.shape);
    const filters = generateFilters('conv', params, source, { taps: W, channelsFirst });
    const actual = evaluateAll({ filters }, { ...params, z: source }, { ...values, z: given });
    expectClose('filters', actual.filters!, expected, 1e-12);
  }
});

test('as many nodes for many tokens as for few, forwards and backwards', () => {
  const nodes = (T: number) => topologicalOrder(Object.values(record(drawn(T), true, false))).length;
  expect(nodes(512)).toBe(nodes(8));
  expect(nodes(512)).toBeLessThanOrEqual(14 * W);
});
