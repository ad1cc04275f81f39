import { expect, test } from 'vitest';
import { tinyConfig } from '../../test/support/random-model.ts';
import { checkSeeds, checkTraining } from './bounds.ts';
import type { TrainingSettings } from './train/settings.ts';

const config = tinyConfig([{ kind: 'attention' }], { maxPositionEmbeddings: 4096 });
const right: TrainingSettings = { batch: 2, length: 16, steps: 10, rate: 1e-3 };

const input = (message: RegExp) =>
  expect.objectContaining({ name: 'InputError', message: expect.stringMatching(message) });

test.each<[Partial<TrainingSettings>, RegExp]>([
  [{ batch: 1e12 }, /^stage: rows 1000000000000: expected a whole number from 1 to 65,536$/],
  [{ batch: 0 }, /rows 0: expected a whole number from 1/],
  [{ batch: 1.5 }, /rows 1\.5: expected a whole number/],
  [{ length: 1 }, /length of rows 1: expected a whole number from 2/],
  [{ length: -4 }, /length of rows -4: /],
  [{ length: 4097 }, /rows of 4097 tokens, longer than the model's context of 4096/],
  [{ steps: 0 }, /steps 0: expected a whole number from 1 to 1,000,000,000/],
  [{ steps: 1e15 }, /steps 1000000000000000: /],
  [{ steps: Number.NaN }, /steps NaN: /],
  [{ rate: 0 }, /learning rate 0: expected a number above 0 and up to 100/],
  [{ rate: Number.NaN }, /learning rate NaN: /],
  [{ rate: Number.POSITIVE_INFINITY }, /learning rate Infinity: /],
])('a training with %o is refused', (wrong, message) => {
  expect(() => checkTraining('stage', { ...right, ...wrong }, config)).toThrow(input(message));
});

test('what is within the bounds passes, and no steps where a stage may be left out', () => {
  checkTraining('stage', right, config);
  checkTraining('stage', { ...right, steps: 0 }, config, { least: 0 });
});

test('rows that cannot be held in memory are refused with what they take', () => {
  const { hiddenSize, intermediateSize } = config;
  const tokens = 64 * 4096;
  const least = 4 * tokens * (30 * hiddenSize + 2 * intermediateSize);
  const shape = { ...right, batch: 64, length: 4096 };
  checkTraining('stage', shape, config, { held: 30, memory: 2 * least });
  expect(() => checkTraining('stage', shape, config, { held: 30, memory: least })).toThrow(
    input(/^stage: 64 rows of 4096 tokens take at least .* GB with this model, and the machine has .* GB/),
  );
});

test('seeds', () => {
  checkSeeds([0, 1, 2 ** 31 - 1]);
  expect(() => checkSeeds([])).toThrow(input(/seeds \[\]/));
  expect(() => checkSeeds([1, 1])).toThrow(input(/seeds \[1,1\]/));
  expect(() => checkSeeds([-1])).toThrow(input(/seed -1: /));
  expect(() => checkSeeds([0.5])).toThrow(input(/seed 0\.5: /));
  expect(() => checkSeeds([1e12])).toThrow(input(/seed 1000000000000: /));
  expect(() => checkSeeds(Array.from({ length: 1e6 }, (_, i) => i))).toThrow(
    input(/^1000000 seeds: expected at most 1000$/),
  );
});
