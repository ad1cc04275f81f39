import { describe, expect, test } from 'vitest';
import { evaluate, grad, input, logSoftmax, ndarray, sum, type Tensor } from '../graph/index.ts';
import { crossEntropy, divergence, divergenceOfLogits, topDivergence } from './losses.ts';

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

describe('divergence', () => {
  const told = [
    [2, 0, -1, 1],
    [0, 0.5, 3, -2],
  ];
  const said = [
    [1, 0.3, -0.5, 2],
    [0.1, 0, 1, 1],
  ];
  const softmax = (row: number[]) => {
    const total = row.reduce((sum, x) => sum + Math.exp(x), 0);
    return row.map((x) => Math.exp(x) / total);
  };
  const kl = (p: number[], q: number[]) => p.reduce((sum, x, i) => sum + x * Math.log(x / q[i]!), 0);
  const logits = (name: string) => input(name, 'float32', [2, 4]);

  test.each([
    ['step by step', (p: Tensor, q: Tensor) => divergence(logSoftmax(p), logSoftmax(q))],
    ['with its gradient written down', divergenceOfLogits],
  ])('is the sum of p log(p / q), its gradient q - p: %s', (_, form) => {
    const [teacher, student] = [logits('teacher'), logits('student')];
    const each = form(teacher, student);
    const feeds = new Map([
      [teacher, ndarray([2, 4], told.flat())],
      [student, ndarray([2, 4], said.flat())],
    ]);
    const [value, slopes] = evaluate([each, ...grad(sum(each), [student])], feeds);
    for (const [row, z] of told.entries()) {
      const [p, q] = [softmax(z), softmax(said[row]!)];
      expect(value!.data[row]).toBeCloseTo(kl(p, q), 12);
      for (let i = 0; i < 4; i++) expect(slopes!.data[4 * row + i]).toBeCloseTo(q[i]! - p[i]!, 12);
    }
  });

  test('of the top tokens counts all others as one', () => {
    const top = [
      [0, 3],
      [2, 1],
    ];
    const ids = input('ids', 'int64', [2, 2]);
    const teacher = input('teacher', 'float32', [2, 2]);
    const student = logits('student');
    const logProbs = told.flatMap((z, row) => top[row]!.map((i) => Math.log(softmax(z)[i]!)));
    const feeds = new Map([
      [ids, ndarray([2, 2], top.flat())],
      [teacher, ndarray([2, 2], logProbs)],
      [student, ndarray([2, 4], said.flat())],
    ]);
    const [value] = evaluate([topDivergence(ids, teacher, logSoftmax(student))], feeds);
    const lumped = (p: number[], row: number) => {
      const kept = top[row]!.map((i) => p[i]!);
      return [...kept, 1 - kept.reduce((a, b) => a + b, 0)];
    };
    for (const [row, z] of told.entries()) {
      const [p, q] = [softmax(z), softmax(said[row]!)];
      const expected = kl(lumped(p, row), lumped(q, row));
      expect(value!.data[row]).toBeCloseTo(expected, 12);
      expect(expected).toBeLessThan(kl(p, q));
    }
  });

  test('of the top tokens counts what little is left to the others, down to a millionth', () => {
    const ids = input('ids', 'int64', [1, 1]);
    const teacher = input('teacher', 'float32', [1, 1]);
    const student = input('student', 'float32', [1, 2]);
    for (const [left, byStudent] of [
      [1e-3, 5e-5],
      [2e-6, 0.5],
    ] as const) {
      const feeds = new Map([
        [ids, ndarray([1, 1], [0])],
        [teacher, ndarray([1, 1], [Math.log1p(-left)])],
        [student, ndarray([1, 2], [Math.log1p(-byStudent), Math.log(byStudent)])],
      ]);
      const [value] = evaluate([topDivergence(ids, teacher, logSoftmax(student))], feeds);
      expect(value!.data[0]).toBeCloseTo(kl([1 - left, left], [1 - byStudent, byStudent]), 9);
    }
  });

  test('of a teacher that leaves nothing to the others is finite', () => {
    const ids = input('ids', 'int64', [1, 1]);
    const teacher = input('teacher', 'float32', [1, 1]);
    const student = input('student', 'float32', [1, 2]);
    const each = topDivergence(ids, teacher, logSoftmax(student));
    const feeds = new Map([
      [ids, ndarray([1, 1], [0])],
      [teacher, ndarray([1, 1], [0])],
      [student, ndarray([1, 2], [40, -40])],
    ]);
    const [value, slopes] = evaluate([each, ...grad(sum(each), [student])], feeds);
    expect(value!.data[0]).toBeCloseTo(0, 10);
    for (const slope of slopes!.data) expect(slope).toBeCloseTo(0, 10);
  });
});
