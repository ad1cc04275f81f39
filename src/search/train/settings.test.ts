import { expect, test } from 'vitest';
import { learningRate } from '../../train/schedule.ts';
import { scheduleOf, tokensOf } from './settings.ts';

const settings = { batch: 3, length: 10, rate: 2e-3 };

test.each([
  [100, 10],
  [5, 1],
  [101, 11],
  [10_000, 50],
])(
  '%i steps: a tenth of them warm up, 50 at most; then a cosine to a twentieth of the rate',
  (steps, warmup) => {
    const schedule = scheduleOf({ ...settings, steps });
    const rates = Array.from({ length: steps }, (_, step) => learningRate(schedule, step));
    expect(rates.indexOf(Math.max(...rates))).toBe(warmup - 1);
    expect(rates[warmup - 1]).toBeCloseTo(2e-3, 12);
    expect(learningRate(schedule, steps)).toBeCloseTo(1e-4, 12);
    expect(learningRate(schedule, (steps + warmup) / 2)).toBeCloseTo((2e-3 + 1e-4) / 2, 12);
  },
);

test('tokens of a training', () => {
  expect(tokensOf({ ...settings, steps: 7 })).toBe(210);
});
