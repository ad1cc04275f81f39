import { describe, expect, test } from 'vitest';
import { learningRate, type Schedule } from './schedule.ts';

const schedule: Schedule = { peak: 2, warmup: 4, steps: 14, decay: 'cosine', final: 0.1 };
const rates = (changes: Partial<Schedule>, steps: number[]) =>
  steps.map((step) => learningRate({ ...schedule, ...changes }, step));

describe('learningRate', () => {
  test('warms up linearly: the first step is not lost, the peak follows the warm-up', () => {
    expect(rates({}, [0, 1, 3, 4])).toEqual([0.5, 1, 2, 2]);
    expect(rates({ warmup: 0 }, [0])).toEqual([2]);
  });

  test('cosine', () => {
    const [half, last, after] = rates({}, [9, 13, 14]);
    expect(half).toBeCloseTo(2 * 0.55, 12);
    expect(last).toBeCloseTo(2 * (0.1 + 0.9 * ((1 + Math.cos(0.9 * Math.PI)) / 2)), 12);
    expect(after).toBeCloseTo(0.2, 12);
  });

  test('linear and constant', () => {
    expect(rates({ decay: 'linear', final: 0 }, [9, 14, 20])).toEqual([1, 0, 0]);
    expect(rates({ decay: 'constant' }, [3, 9, 14])).toEqual([2, 2, 2]);
  });
});
