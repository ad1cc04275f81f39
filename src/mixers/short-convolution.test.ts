import { expect, test } from 'vitest';
import { draw, evaluateAll, expectClose } from '../../test/mixers/harness.ts';
import { input, ndarray } from '../graph/index.ts';
import { Random } from '../util/random.ts';
import { convolutionWeight, shortConvolution } from './short-convolution.ts';

const [B, D, T, W] = [2, 3, 7, 4];

function run(withState: boolean, mask?: number[]) {
  const random = new Random(3);
  const values = {
    u: draw(random, [B, D, T]),
    weight: draw(random, [D, 1, W]),
    state: draw(random, [B, D, W]),
    mask: ndarray([B, T], mask ?? new Array<number>(B * T).fill(1)),
  };
  const inputs = Object.fromEntries(
    Object.entries(values).map(([name, { shape }]) => [name, input(name, 'float32', shape)]),
  ) as Record<keyof typeof values, ReturnType<typeof input>>;
  const result = shortConvolution(inputs.u, inputs.weight, {
    state: withState ? inputs.state : undefined,
    mask: mask && inputs.mask,
  });
  return { values, ...(evaluateAll({ ...result }, inputs, values) as Record<'y' | 'state', never>) };
}

/** Input number t of a channel; negative ones come from the state, whose last is number -1. */
function inputAt({ values }: ReturnType<typeof run>, withState: boolean, row: number, t: number): number {
  if (t >= 0) {
    const b = Math.floor(row / D);
    return values.u.data[row * T + t]! * values.mask.data[b * T + t]!;
  }
  return withState && t >= -W ? values.state.data[row * W + W + t]! : 0;
}

for (const withState of [false, true]) {
  test(`each output is a sum over the last ${W} inputs, ${withState ? 'of a state too' : 'from zeros'}`, () => {
    const result = run(withState);
    const y = ndarray([B, D, T]);
    const state = ndarray([B, D, W]);
    for (let row = 0; row < B * D; row++) {
      for (let t = 0; t < T; t++) {
        for (let w = 0; w < W; w++) {
          const weight = result.values.weight.data[(row % D) * W + w]!;
          y.data[row * T + t]! += weight * inputAt(result, withState, row, t - (W - 1) + w);
        }
      }
      for (let w = 0; w < W; w++) state.data[row * W + w] = inputAt(result, withState, row, T - W + w);
    }
    expectClose('y', result.y, y, 1e-12);
    expectClose('state', result.state, state, 1e-12);
  });
}

test('padding counts as zeros, and what follows the last token leaves no trace in the state', () => {
  const mask = [0, 0, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0];
  const result = run(true, mask);
  const state = ndarray([B, D, W]);
  for (let row = 0; row < B * D; row++) {
    const tokens = row < D ? T : 2;
    for (let w = 0; w < W; w++) state.data[row * W + w] = inputAt(result, true, row, tokens - W + w);
  }
  expectClose('state', result.state, state, 1e-12);
});

test('starts as the identity', () => {
  expect([...convolutionWeight('c', 2, 3).init(new Random(1))]).toEqual([0, 0, 1, 0, 0, 1]);
});
