import { describe, expect, test } from 'vitest';
import type { ProgressEvent } from '../util/progress.ts';
import { duration, progressLine } from './progress-line.ts';

const event: ProgressEvent = {
  stage: 'placement/seed-1: super network with MLPs',
  done: 1_234_567,
  total: 4_100_000,
  unit: 'tokens',
  values: { loss: 0.123456 },
};

test('what matters most comes first, and what does not fit is left out', () => {
  expect(progressLine(event, 1234, 160)).toBe(
    ' 30%  38m42s left  1.23k tokens/s  loss 0.1235  placement/seed-1: super network with MLPs  ' +
      '1.23M/4.10M tokens  ███████░░░░░░░░░░░░░░░░░',
  );
  expect(progressLine(event, 1234, 80)).toBe(
    ' 30%  38m42s left  1.23k tokens/s  loss 0.1235  placement/seed-1: super network…',
  );
  expect(progressLine(event, 1234, 40)).toBe(' 30%  38m42s left  1.23k/s  loss 0.1235');
  expect(progressLine(event, 1234, 20)).toBe(' 30%  38m42s left');
});

test('a short stage gets its count and a bar', () => {
  expect(progressLine({ ...event, stage: 'align', values: {} }, 1234, 79)).toBe(
    ' 30%  38m42s left  1.23k tokens/s  align  1.23M/4.10M tokens  █████░░░░░░░░░░░░',
  );
});

test('before anything is known', () => {
  expect(progressLine({ stage: 'align', done: 0, total: 0, unit: 'tokens' }, 0, 32)).toBe(
    '  0%  ? left  align  0/0 tokens',
  );
});

describe.each([20, 39, 40, 60, 79, 80, 120])('%i columns', (width) => {
  test.each([
    [event, 1234],
    [event, 0],
    [{ ...event, stage: '' }, 1e9],
    [{ ...event, done: 5e6 }, 1e-9],
    [{ ...event, values: { loss: Number.NaN, 'another value': 1e30 } }, 5],
    [{ ...event, stage: 'x'.repeat(200), unit: 'y'.repeat(200) }, 5],
  ])('%#: never longer, never broken', (some, rate) => {
    const line = progressLine(some as ProgressEvent, rate as number, width);
    expect(line.length).toBeLessThanOrEqual(width);
    expect(line).toMatch(/^ *\d+% {2}/);
    expect(line).not.toMatch(/\n/);
  });
});

test('durations', () => {
  expect([3725, 95, 59.6, 0, Number.POSITIVE_INFINITY].map(duration)).toEqual([
    '1h02m',
    '1m35s',
    '1m00s',
    '0s',
    '?',
  ]);
});
