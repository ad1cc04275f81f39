import { expect, test } from 'vitest';
import { differences } from './differences.ts';

const gla = { kind: 'gla', heads: 4, keyDim: 32, gateRank: 16, rope: false };
const before = {
  schedule: { peak: 1e-3, warmup: 30, steps: 300, decay: 'cosine' },
  seed: 1,
  parent: '0123456789abcdef',
  data: 'fedcba9876543210',
  spec: gla,
  layers: [0, 1],
  shape: { batch: 8, length: 256, steps: 300, rate: 1e-3 },
  align: { batch: 8, steps: 10 },
};

test('the same settings', () => {
  expect(differences(before, structuredClone(before))).toEqual([]);
});

test('each setting by its name, once', () => {
  const now = {
    ...before,
    schedule: { ...before.schedule, warmup: 10, steps: 100 },
    shape: { ...before.shape, batch: 4, steps: 100 },
    align: { batch: 8, steps: 20 },
    layers: [0],
    sampling: { rule: 'budget', budget: 2 },
  };
  expect(differences(before, now)).toEqual([
    'steps: 300 -> 100',
    'layers: [0,1] -> [0]',
    'rows: 8 -> 4',
    'alignment steps: 10 -> 20',
    'sampling rule: none -> "budget"',
    'sampling budget: none -> 2',
  ]);
});

test('a mixer is told as it is given; its sizes where it is the same', () => {
  const other = { kind: 'gated_deltanet', heads: 4, keyDim: 32, convSize: 4, rope: true };
  expect(differences(before, { ...before, spec: other })).toEqual(['mixer: gla -> gated_deltanet+rope']);
  expect(differences(before, { ...before, spec: { ...gla, rope: true } })).toEqual([
    'mixer: gla -> gla+rope',
  ]);
  expect(differences(before, { ...before, spec: { ...gla, heads: 2 } })).toEqual(['mixer heads: 4 -> 2']);
});

test('hashes say nothing to people', () => {
  expect(differences(before, { ...before, data: '0000000000000000', parent: 'ffffffffffffffff' })).toEqual([
    'weights of the model: others',
    'training text: another one',
  ]);
});

test('tasks: which there are, or what differs of one', () => {
  const task = (examples: string, metric = 'loss') => ({ metric, number: 4, examples });
  const tasks = {
    names: ['recall', 'choice'],
    recall: task('0123456789abcdef'),
    choice: task('0123456789abcdef'),
  };
  const told = (now: object) => differences({ tasks }, { tasks: { ...tasks, ...now } });
  expect(told({ names: ['choice', 'recall'] })).toEqual(['tasks: recall, choice -> choice, recall']);
  expect(told({ names: ['recall'], choice: undefined })).toEqual(['tasks: recall, choice -> recall']);
  expect(told({ recall: task('fedcba9876543210') })).toEqual(['tasks recall examples: others']);
  expect(told({ choice: task('0123456789abcdef', 'accuracy') })).toEqual([
    'tasks choice metric: "loss" -> "accuracy"',
  ]);
});

test('a whole part that only one of them has is one line; long values are not shown', () => {
  const blocks = { rows: 8, alignSteps: 10, trainSteps: 20, rate: 1 };
  expect(differences({ blocks }, {})).toEqual(['blocks: none any more']);
  expect(differences({}, { blocks })).toEqual(['blocks: none before']);
  const long = Array.from({ length: 50 }, (_, i) => i);
  expect(differences({ layers: long }, { layers: [1] })).toEqual(['layers: another one']);
});
