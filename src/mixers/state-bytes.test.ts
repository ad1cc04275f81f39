import { expect, test } from 'vitest';
import { tinyConfig } from '../../test/support/random-model.ts';
import type { MixerSpec } from './spec.ts';
import { stateBytes, totalBytes } from './state-bytes.ts';

// Two key and value heads of 8.
const context = tinyConfig([]);
const bytes = (spec: MixerSpec, tokens: number, valueBytes = 2) =>
  stateBytes(spec, context, tokens, valueBytes);

test('keys and values grow with the tokens, to the window where there is one', () => {
  expect(bytes({ kind: 'attention' }, 100)).toEqual({ cache: 2 * 2 * 8 * 100 * 2, recurrent: 0, inputs: 0 });
  expect(bytes({ kind: 'attention' }, 100, 4).cache).toBe(2 * 2 * 8 * 100 * 4);
  const window: MixerSpec = { kind: 'sliding_window', window: 64 };
  expect(bytes(window, 63)).toEqual({ cache: 2 * 2 * 8 * 63 * 2, recurrent: 0, inputs: 0 });
  expect(bytes(window, 64)).toEqual(bytes(window, 100_000));
  const sinks: MixerSpec = { kind: 'sliding_window', window: 64, sinks: 4 };
  expect(bytes(sinks, 66).cache).toBe(2 * 2 * 8 * 66 * 2);
  expect(bytes(sinks, 100_000).cache).toBe(2 * 2 * 8 * 68 * 2);
});

test('a recurrent state is float32 whatever the caches are, the inputs of convolutions are not', () => {
  const spec: MixerSpec = {
    kind: 'gated_deltanet',
    heads: 3,
    keyDim: 4,
    valueDim: 6,
    convSize: 4,
    rope: false,
  };
  const recurrent = 3 * 4 * 6 * 4;
  const inputs = 4 * 3 * (4 + 4 + 6);
  expect(bytes(spec, 7)).toEqual({ cache: 0, recurrent, inputs: 2 * inputs });
  expect(bytes(spec, 7, 4)).toEqual({ cache: 0, recurrent, inputs: 4 * inputs });
  expect(totalBytes(bytes({ ...spec, convSize: 0 }, 1e6))).toBe(recurrent);
});

test('a window beside a linear mixer takes the bytes of both', () => {
  const linear = {
    kind: 'gated_deltanet',
    heads: 3,
    keyDim: 4,
    valueDim: 6,
    convSize: 4,
    rope: false,
  } as const;
  const window = { window: 64, sinks: 4 };
  for (const tokens of [10, 1000]) {
    const [both, near, far] = [
      bytes({ kind: 'window_linear', ...window, linear }, tokens),
      bytes({ kind: 'sliding_window', ...window }, tokens),
      bytes(linear, tokens),
    ];
    expect(both).toEqual({ cache: near.cache, recurrent: far.recurrent, inputs: far.inputs });
  }
});
