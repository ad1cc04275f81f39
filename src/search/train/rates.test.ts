import { expect, test } from 'vitest';
import { randomWeights, tinyConfig } from '../../../test/support/random-model.ts';
import type { TensorSource } from '../../model/tensor-source.ts';
import type { ProgressEvent } from '../../util/progress.ts';
import { linearMixer } from '../network/linear-mixer.ts';
import { measureSteps } from './rates.ts';

const config = tinyConfig(Array.from({ length: 12 }, () => ({ kind: 'attention' as const })));
const weights = randomWeights(config, 1);

function settings(read: string[] = [], source: TensorSource = weights) {
  const noted: TensorSource = {
    names: () => source.names(),
    has: (name) => source.has(name),
    info: (name) => source.info(name),
    read: (name) => {
      read.push(name);
      return source.read(name);
    },
  };
  return {
    checkpoint: { config, weights: noted },
    mixer: linearMixer('gated_deltanet+rope', config),
    batches: { fill: (out: Int32Array) => void out.fill(1) },
    align: { batch: 2, length: 16 },
    train: { batch: 2, length: 16 },
    threads: 1,
  };
}

test('a few steps on the first layers stand for all of them', async () => {
  const read: string[] = [];
  const events: ProgressEvent[] = [];
  const found = await measureSteps({ ...settings(read), onProgress: (event) => events.push(event) });
  for (const { low, median, high } of [found.align, found.train]) {
    expect(low).toBeGreaterThan(0);
    expect(median).toBeGreaterThanOrEqual(low);
    expect(high).toBeGreaterThanOrEqual(median);
  }
  // Nothing of the layers above is touched: the time does not grow with their number.
  const layers = read.flatMap((name) => /layers\.(\d+)\./.exec(name)?.[1] ?? []);
  expect([...new Set(layers)]).toEqual(['0', '1']);
  expect(events[0]).toEqual({ stage: 'time a few steps', done: 0, total: 4, unit: 'trainings' });
  expect(events.at(-1)).toMatchObject({ done: 4, total: 4 });
});

test('a step of many rows is timed with few, and told whole', async () => {
  const few = await measureSteps(settings());
  const rows = 2048;
  const shape = { batch: rows, length: 16 };
  const lengths: number[] = [];
  const many = await measureSteps({
    ...settings(),
    batches: {
      fill: (out: Int32Array) => {
        lengths.push(out.length);
        out.fill(1);
      },
    },
    align: shape,
    train: shape,
  });
  expect(Math.max(...lengths)).toBeLessThanOrEqual(1024);
  expect(many.train.median).toBeGreaterThan(few.train.median);
});

test('it ends with its signal', async () => {
  const controller = new AbortController();
  controller.abort();
  await expect(measureSteps({ ...settings(), signal: controller.signal })).rejects.toThrow(/abort/i);
});
