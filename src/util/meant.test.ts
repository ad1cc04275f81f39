import { expect, test } from 'vitest';
import { didYouMean } from './meant.ts';

const names = ['piqa', 'arc_easy', 'arc_challenge', 'recall'];

test.each([
  ['Piqa', 'piqa'],
  ['piqua', 'piqa'],
  ['arc-easy', 'arc_easy'],
  ['recal', 'recall'],
  ['arc_challange', 'arc_challenge'],
])('%s is like %s', (typed, meant) => {
  expect(didYouMean(typed, names)).toBe(`; did you mean '${meant}'?`);
});

test('nothing is said of what is like none', () => {
  expect(didYouMean('chess', names)).toBe('');
});
