import { expect, test } from 'vitest';
import { FullSequence } from '../../test/golden/full-sequence.ts';
import { randomWeights, tinyConfig } from '../../test/support/random-model.ts';
import { Engine } from '../runtime/engine.ts';
import { argMaxOf, logSumExp } from '../runtime/sampler.ts';
import { EngineScorer } from './engine-scorer.ts';

test('scores are those of the whole sequence at once', async () => {
  const config = tinyConfig([
    { kind: 'attention' },
    { kind: 'gated_deltanet', heads: 2, keyDim: 8, valueDim: 8, convSize: 4, rope: false },
  ]);
  const weights = randomWeights(config);
  const ids = Array.from({ length: 75 }, (_, i) => (i * 29 + 5) % 64);
  const full = new FullSequence(config, weights);
  const logits = await full.logits(ids);
  await full.dispose();
  const logProb = (at: number, id: number) => logits[at - 1]![id]! - logSumExp(logits[at - 1]!);

  await using engine = await Engine.create(config, weights, { threads: 1 });
  const spans = [
    { from: 1, to: 75 },
    { from: 40, to: 42 },
    { from: 75, to: 75, candidates: [3, 9] },
  ];
  const rows = [
    { ids, spans },
    { ids: ids.slice(0, 1), spans: [{ from: 1, to: 1, candidates: [7] }] },
  ];
  const [scores, single] = await new EngineScorer(engine).score(rows);
  for (const [i, { from, to }] of spans.slice(0, 2).entries()) {
    const places = Array.from({ length: to - from }, (_, n) => from + n);
    const expected = places.reduce((sum, at) => sum + logProb(at, ids[at]!), 0);
    expect(scores![i]!.logProb).toBeCloseTo(expected, 2);
    expect(scores![i]!.greedy).toBe(places.every((at) => argMaxOf(logits[at - 1]!) === ids[at]));
  }
  expect(scores![2]!.candidates![0]).toBeCloseTo(logProb(75, 3), 3);
  expect(scores![2]!.candidates![1]).toBeCloseTo(logProb(75, 9), 3);
  expect(single![0]!.candidates![0]).toBeCloseTo(logProb(1, 7), 3);
});
