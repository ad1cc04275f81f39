import { expect, test } from 'vitest';
import { Random } from '../util/random.ts';
import { headDecayParameters } from './head-decay.ts';

test('rates start uniform up to 16, time steps log-uniform from 0.001 to 0.1, as in Mamba2', () => {
  const [rates, steps] = headDecayParameters(4000).map(({ init }) => init(new Random(1)));
  const drawn = [...rates!].map(Math.exp);
  expect(Math.max(...drawn)).toBeLessThanOrEqual(16.001);
  expect(Math.max(...drawn)).toBeGreaterThan(15.9);
  expect(drawn.reduce((a, b) => a + b, 0) / 4000).toBeCloseTo(8, 0);
  const softened = [...steps!].map((bias) => Math.log1p(Math.exp(bias)));
  expect(Math.min(...softened)).toBeGreaterThan(0.00099);
  expect(Math.min(...softened)).toBeLessThan(0.00101);
  expect(Math.max(...softened)).toBeLessThan(0.1001);
  expect(Math.max(...softened)).toBeGreaterThan(0.099);
  // The median of a log-uniform is the geometric mean of its ends.
  expect(softened.sort((a, b) => a - b)[2000]! / 0.01).toBeCloseTo(1, 0);
});
