import { expect, test } from 'vitest';
import { randomWeights, tinyConfig } from '../../../test/support/random-model.ts';
import { layerCosts, placementCost } from './costs.ts';
import { measureTimes, timesOf } from './measure-times.ts';

test('times of layers add up to those of the models that were measured', () => {
  const times = timesOf(
    [
      { window: 8, totals: [10, 12, 16] },
      { window: 16, totals: [11, 13, 16] },
    ],
    4,
  );
  const costs = layerCosts({ headDim: 4, numKvHeads: 2 }, { tokens: 100, sinks: 0, cache: 'f32', times });
  const model = (fullHeads: number[], window: number) =>
    placementCost(
      Array.from({ length: 4 }, () => ({ fullHeads, window, sinks: 0 })),
      costs,
    ).milliseconds;
  expect([model([], 8), model([1], 8), model([0, 1], 16), model([], 16)]).toEqual([10, 12, 16, 11]);
});

test('a model is measured for each window, with no, one and all heads', async () => {
  const config = tinyConfig([{ kind: 'attention' }, { kind: 'attention' }], { numKvHeads: 4 });
  const stages: number[] = [];
  const times = await measureTimes(config, randomWeights(config), {
    ...{ context: 300, windows: [8, 16], sinks: 2, threads: 1 },
    onProgress: ({ done, total }) => stages.push(done / total),
  });
  expect(times.fixed).toBeGreaterThan(0);
  expect(times.layers.map(({ window, milliseconds }) => [window, milliseconds.length])).toEqual([
    [8, 5],
    [16, 5],
  ]);
  for (const { milliseconds } of times.layers)
    for (const time of milliseconds) expect(time).toBeGreaterThanOrEqual(0);
  expect(times.layers[0]!.milliseconds[4]).toBe(times.layers[1]!.milliseconds[4]);
  expect(stages.at(-1)).toBe(1);
});
