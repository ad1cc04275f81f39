import { expect, test } from 'vitest';
import { type Dim, evaluate, gradients, input, type NdArray, ndarray, type Tensor } from '../graph/index.ts';
import { Random } from '../util/random.ts';
import { attend } from './attend.ts';

test.each([
  { T: 10, S: 10, window: Number.POSITIVE_INFINITY },
  { T: 8, S: 13, window: Number.POSITIVE_INFINITY },
  { T: 10, S: 10, window: 3 },
  { T: 9, S: 14, window: 6 },
])('attention in blocks of 4 queries is attention: $T queries, $S keys, window $window', (sizes) => {
  const { T, S, window } = sizes;
  const random = new Random(1);
  const feeds = new Map<Tensor, NdArray>();
  const given = (name: string, shape: number[], draw: () => number): Tensor => {
    const x = input(name, 'float32', shape as Dim[]);
    feeds.set(x, ndarray(shape, Array.from({ length: shape.reduce((a, b) => a * b, 1) }, draw)));
    return x;
  };
  const normal = (name: string, shape: number[]) => given(name, shape, () => random.normal());
  const [q, k, v] = [normal('q', [2, 4, T, 6]), normal('k', [2, 2, S, 6]), normal('v', [2, 2, S, 6])];
  const valid = given('valid', [2, S], () => (random.uniform() < 0.8 ? 1 : 0));
  // A query always sees itself: one that sees nothing but padding has no defined result.
  feeds
    .get(valid)!
    .data.fill(1, S - T, S)
    .fill(1, 2 * S - T);
  const seed = normal('seed', [2, 4, T, 6]);
  const results = [4, T].map((block) => {
    const output = attend(q, k, v, { window, valid, block });
    return evaluate([output, ...gradients([{ output, seed }], [q, k, v])], feeds);
  });
  for (const [i, blocked] of results[0]!.entries()) {
    for (const [at, value] of blocked.data.entries())
      expect(value).toBeCloseTo(results[1]![i]!.data[at]!, 12);
  }
});
