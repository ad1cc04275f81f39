import { expect, test } from 'vitest';
import { randomWeights, tinyConfig } from '../../../test/support/random-model.ts';
import { measureTimes, timesOf } from './times.ts';

test('what whole models take is what their layers take together', () => {
  const times = timesOf(
    [
      { window: 64, none: 10, one: 14 },
      { window: 128, none: 11, one: 15 },
    ],
    20,
    { numKvHeads: 3, layers: 2 },
  );
  expect(times.fixed).toBe(10);
  expect(times.layers).toEqual([
    { window: 64, milliseconds: [0, 2, 3.5, 5] },
    { window: 128, milliseconds: [0.5, 2.5, 3.75, 5] },
  ]);
});

test('a head more never costs less, and one head is all heads where there is one', () => {
  const one = timesOf([{ window: 64, none: 10, one: 9 }], 9.5, { numKvHeads: 2, layers: 1 });
  expect(one.layers[0]!.milliseconds).toEqual([0, 0, 0]);
  const single = timesOf([{ window: 64, none: 10, one: 14 }], 14, { numKvHeads: 1, layers: 2 });
  expect(single.layers[0]!.milliseconds).toEqual([0, 2]);
});

test('measured with the engine, beyond the context of the model too', async () => {
  const config = tinyConfig([{ kind: 'attention' }, { kind: 'attention' }]);
  const options = { context: 2000, windows: [16], sinks: 2, threads: 1 };
  const times = await measureTimes(config, randomWeights(config), options);
  expect(times.fixed).toBeGreaterThan(0);
  expect(times.layers).toHaveLength(1);
  expect(times.layers[0]!.milliseconds).toHaveLength(3);
});
