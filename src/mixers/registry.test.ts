import { expect, test } from 'vitest';
import { EVERY_MIXER } from '../../test/support/every-mixer.ts';
import { hasLinear, isFullAttention, isLinear } from './registry.ts';

test('what is linear, and what sees all tokens', () => {
  const all = Object.values(EVERY_MIXER);
  expect(all.filter((spec) => !isLinear(spec)).map(({ kind }) => kind)).toEqual([
    'attention',
    'sliding_window',
    'head_attention',
    'window_linear',
  ]);
  expect(all.filter((spec) => !hasLinear(spec)).map(({ kind }) => kind)).toEqual([
    'attention',
    'sliding_window',
    'head_attention',
  ]);
  expect(all.filter(isFullAttention).map(({ kind }) => kind)).toEqual(['attention']);
});
