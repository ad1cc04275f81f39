import { expect, test } from 'vitest';
import { tinyConfig } from '../../../test/support/random-model.ts';
import { checkFullAttention } from '../reach/options.ts';
import { budgetsOf } from './budgets.ts';

const near = { windows: [16, 32], sinks: 4, cache: 'f32' } as const;
// 30 KV heads in 15 layers of 2.
const config = tinyConfig(Array.from({ length: 15 }, () => ({ kind: 'attention' })));

test('where nothing is wanted, a ladder of heads', () => {
  expect(budgetsOf({ context: 4096 }, config, near)).toEqual([1, 2, 4, 6, 9].map((heads) => ({ heads })));
  const small = { ...config, layers: config.layers.slice(0, 2) };
  expect(budgetsOf({ context: 4096 }, small, near)).toEqual([{ heads: 1 }]);
});

test('what is wanted is the budget', () => {
  expect(budgetsOf({ context: 4096, heads: 5, speed: 20 }, config, near)).toEqual([
    { heads: 5, milliseconds: 50 },
  ]);
  const memory = 200_000;
  expect(budgetsOf({ context: 4096, memory }, config, near)).toEqual([{ bytes: memory }]);
});

test('a budget that holds nothing, or everything, is refused with what would do', () => {
  const refused = (wanted: object) => () => budgetsOf({ context: 4096, ...wanted }, config, near);
  expect(refused({ memory: 1000 })).toThrow(/--memory 0.0MB: windows of 16 \+ 4 tokens in all layers take/);
  expect(refused({ memory: 1e9 })).toThrow(/--memory 1000.0MB: full attention takes .* at 4096 tokens/);
  expect(refused({ heads: 30 })).toThrow(
    '--full-heads 30: expected fewer than the 30 KV heads that there are',
  );
  expect(refused({ heads: 5, keep: 0.9 })).toThrow(
    /^both a quality .* and a budget .*: expected one of them/,
  );
});

test('a parent that is no model of full attention is refused by layer', () => {
  expect(() => checkFullAttention('m', config)).not.toThrow();
  const layers = [...config.layers.slice(1), { kind: 'sliding_window' as const, window: 8 }];
  expect(() => checkFullAttention('m', { ...config, layers })).toThrow(
    'm: layer 14 is sliding_window, expected full attention in all layers',
  );
});
