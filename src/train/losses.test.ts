import { expect, test } from 'vitest';
import { evaluate, grad, input, ndarray } from '../graph/index.ts';
import { crossEntropy } from './losses.ts';

test('cross entropy is the mean of -log softmax at the targets, its gradient softmax minus one-hot', () => {
  const rows = [
    [1, 2, 4],
    [0, -1, 0.5],
  ];
  const classes = [2, 1];
  const logits = input('logits', 'float32', [2, 3]);
  const targets = input('targets', 'int64', [2]);
  const loss = crossEntropy(logits, targets);
  const feeds = new Map([
    [logits, ndarray([2, 3], rows.flat())],
    [targets, ndarray([2], classes)],
  ]);
  const [value, gradient] = evaluate([loss, ...grad(loss, [logits])], feeds);

  const softmax = rows.map((row) => {
    const total = row.reduce((sum, x) => sum + Math.exp(x), 0);
    return row.map((x) => Math.exp(x) / total);
  });
  const expected = softmax.reduce((sum, p, i) => sum - Math.log(p[classes[i]!]!), 0) / 2;
  expect(value!.shape).toEqual([]);
  expect(value!.data[0]).toBeCloseTo(expected, 12);
  const slopes = softmax.flatMap((p, i) => p.map((x, j) => (x - (j === classes[i] ? 1 : 0)) / 2));
  for (const [i, slope] of slopes.entries()) expect(gradient!.data[i]).toBeCloseTo(slope, 12);
});
