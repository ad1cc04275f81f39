import { describe, expect, test } from 'vitest';
import { Random } from '../util/random.ts';
import { forecastGain, moreText, type Point } from './forecast.ts';

const law = (a: number, b: number, c: number) => (t: number) => a + b * t ** -c;

/** So many points of a law, evenly spread up to 1. */
function points(of: (t: number) => number, { count = 32, noise = 0, seed = 1 } = {}): Point[] {
  const random = new Random(seed);
  return Array.from({ length: count }, (_, i) => {
    const at = (i + 1) / count;
    return { at: 1e6 * at, value: of(at) + noise * random.normal() };
  });
}

describe('what more training would bring', () => {
  test.each([
    [0.02, 0.05, 0.5],
    [0, 0.04, 0.3],
    [0.1, 0.02, 1.2],
  ])('a law %s + %s t^-%s without noise is found', (a, b, c) => {
    const of = law(a, b, c);
    const gain = forecastGain(points(of), 2e6)!;
    expect(gain.expected).toBeCloseTo(of(1) - of(2), 3);
    expect(gain.low).toBeLessThanOrEqual(gain.expected);
    expect(gain.high).toBeGreaterThanOrEqual(gain.expected);
  });

  test('with noise the truth is within the interval nearly always, where anything is said', () => {
    const of = law(0.03, 0.04, 0.6);
    const truth = of(1) - of(2);
    const told = Array.from({ length: 100 }, (_, seed) =>
      forecastGain(points(of, { noise: 0.001, seed }), 2e6),
    ).flatMap((gain) => gain ?? []);
    expect(told.length).toBeGreaterThan(90);
    const inside = told.filter(({ low, high }) => low <= truth && truth <= high);
    expect(inside.length / told.length).toBeGreaterThan(0.9);
  });

  test('a curve that has come to its end brings nothing more, and a narrow interval says so', () => {
    const gain = forecastGain(
      points(() => 0.05, { noise: 1e-4 }),
      2e6,
    )!;
    expect(gain.expected).toBeLessThan(5e-4);
    expect(gain.high).toBeLessThan(2.5e-3);
  });

  test('what cannot be told is not told', () => {
    const of = law(0.03, 0.04, 0.6);
    expect(forecastGain([], 1)).toBeUndefined();
    expect(forecastGain(points(of, { count: 5 }), 2e6)).toBeUndefined();
    expect(forecastGain(points(of), 1e6)).toBeUndefined();
    // Noise as large as the curve.
    expect(forecastGain(points(of, { count: 8, noise: 0.05 }), 4e6)).toBeUndefined();
  });

  test('what is before the first step, and the warming up, do not count', () => {
    const of = law(0.02, 0.05, 0.5);
    const begun = [{ at: 0, value: 3 }, { at: 1e4, value: 2 }, ...points(of)];
    expect(forecastGain(begun, 2e6)).toEqual(forecastGain(points(of), 2e6));
  });
});

test('in words', () => {
  expect(moreText(null)).toBe('what more training would bring cannot be told yet');
  const gain = { expected: 0.0204, low: 0.01, high: 0.031, tokens: 1 };
  expect(moreText({ ...gain, seconds: 7200 })).toBe('2.0 h more: about 0.020 nats less (0.010 to 0.031)');
  expect(moreText({ ...gain, seconds: 720, low: 0.002 })).toBe(
    '12 min more: about 0.020 nats less (0.0020 to 0.031)',
  );
});
