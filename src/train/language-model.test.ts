import { expect, test } from 'vitest';
import { randomWeights, tinyConfig } from '../../test/support/random-model.ts';
import { evaluate, grad, input, ndarray, type Tensor } from '../graph/index.ts';
import { decoder, head, weightInputs } from '../model/decoder.ts';
import { modelParameters } from '../model/parameters.ts';
import { Random } from '../util/random.ts';
import { LanguageModelTraining } from './language-model.ts';
import { crossEntropy } from './losses.ts';
import { ParameterVector } from './parameters.ts';

const [BATCH, LENGTH] = [2, 7];
const heads = { heads: 2, keyDim: 4, valueDim: 8 };

test.each([true, false])('loss and gradient are those of float64 (tied embeddings: %s)', async (tied) => {
  const config = tinyConfig(
    [
      { kind: 'attention' },
      { kind: 'gla', ...heads, gateRank: 3, rope: true },
      { kind: 'sliding_window', window: 3 },
      { kind: 'gated_deltanet', ...heads, convSize: 3, rope: false },
    ],
    {
      hiddenSize: 16,
      intermediateSize: 12,
      numHeads: 2,
      numKvHeads: 1,
      qkNorm: true,
      tieWordEmbeddings: tied,
    },
  );
  const source = randomWeights(config, 5);
  const parameters = new ParameterVector(modelParameters(config));
  for (const { name } of parameters.parameters) parameters.view(name).set(source.read(name));
  const random = new Random(1);
  const rows = Int32Array.from({ length: BATCH * (LENGTH + 1) }, () => random.below(config.vocabSize));

  const gradient = parameters.like();
  const training = await LanguageModelTraining.create(config, parameters, { batch: BATCH, length: LENGTH });
  const loss = await training.gradient(parameters, rows, gradient);
  await training.dispose();

  // The same model in float64; a row's tokens but the last are read, all but the first are targets.
  const ids = input('ids', 'int64', [BATCH, LENGTH]);
  const targets = input('targets', 'int64', [BATCH, LENGTH]);
  const weights = weightInputs(modelParameters(config));
  const x = decoder(config, ids, weights, { form: 'recurrent' });
  const graph = crossEntropy(head(config, x, weights), targets);
  const part = (from: number) =>
    [0, 1].flatMap((row) => [...rows.subarray(row * (LENGTH + 1) + from).subarray(0, LENGTH)]);
  const feeds = new Map([
    [ids, ndarray([BATCH, LENGTH], part(0))],
    [targets, ndarray([BATCH, LENGTH], part(1))],
    ...Object.entries(weights).map(
      ([name, w]) => [w, ndarray(w.shape as number[], source.read(name))] as const,
    ),
  ]);
  const names = Object.keys(weights);
  const [expected, ...slopes] = evaluate([graph, ...grad(graph, Object.values(weights))], feeds);
  expect(loss).toBeCloseTo(expected!.data[0]!, 4);
  for (const [i, name] of names.entries()) {
    const largest = Math.max(...slopes[i]!.data.map(Math.abs));
    const off = gradient.view(name).map((g, k) => Math.abs(g - slopes[i]!.data[k]!));
    expect(largest, name).toBeGreaterThan(1e-5);
    expect(Math.max(...off) / largest, name).toBeLessThan(1e-4);
  }

  // Finite differences of the loss, for one weight of every other tensor.
  const lossWith = (w: Tensor, at: number, by: number) => {
    const value = feeds.get(w)!;
    const moved = ndarray(value.shape, value.data);
    moved.data[at]! += by;
    return evaluate([graph], new Map(feeds).set(w, moved))[0]!.data[0]!;
  };
  for (const [i, name] of names.entries()) {
    if (i % 2 === 1) continue;
    const largest = Math.max(...slopes[i]!.data.map(Math.abs));
    const at = slopes[i]!.data.findIndex((g) => Math.abs(g) === largest);
    const numeric = (lossWith(weights[name]!, at, 1e-4) - lossWith(weights[name]!, at, -1e-4)) / 2e-4;
    expect(Math.abs(numeric - gradient.view(name)[at]!) / largest, name).toBeLessThan(1e-3);
  }
});
