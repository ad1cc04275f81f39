import { expect, test } from 'vitest';
import { FullSequence } from '../../../test/golden/full-sequence.ts';
import { randomWeights, tinyConfig } from '../../../test/support/random-model.ts';
import { Engine } from '../../runtime/engine.ts';
import { planExamples } from '../../tasks/harness.ts';
import { wilson } from '../../util/statistics.ts';
import { recallLengths } from './recall.ts';
import { bytesOf, cutToBytes } from './subjects.ts';
import { chanceOf, withShare } from './tasks-measure.ts';
import {
  measureText,
  positionBounds,
  sampledPlaces,
  sampleStride,
  type TextFound,
  textResult,
} from './text-measure.ts';

const A = { kind: 'attention' } as const;

test('losses, best tokens and divergence are those of the whole distributions', async () => {
  const config = tinyConfig([A, A]);
  const [weights, other] = [randomWeights(config, 1), randomWeights(config, 2)];
  const rows = [40, 23].map((length, r) => Array.from({ length }, (_, i) => (i * 7 + r * 5 + 3) % 64));
  const stride = 3;
  const reference = new Float32Array(sampledPlaces(rows, stride) * config.vocabSize);
  const found: TextFound[] = [];
  for (const [i, source] of [weights, other].entries()) {
    await using engine = await Engine.create(config, source, { threads: 1 });
    found.push(await measureText(engine, rows, { stride, reference, isParent: i === 0 }));
  }
  const logProbs = async (source: typeof weights, row: number[]) => {
    const full = new FullSequence(config, source);
    const logits = await full.logits(row);
    await full.dispose();
    return logits.map((own) => {
      const total = Math.log(own.reduce((sum, x) => sum + Math.exp(x), 0));
      return [...own].map((x) => x - total);
    });
  };
  const kl: number[] = [];
  for (const [r, row] of rows.entries()) {
    const [p, q] = [await logProbs(weights, row), await logProbs(other, row)];
    for (let t = 0; t + 1 < row.length; t++) {
      expect(found[1]!.losses[r]![t]).toBeCloseTo(-q[t]![row[t + 1]!]!, 3);
      expect(found[1]!.best[r]![t]).toBe(q[t]!.indexOf(Math.max(...q[t]!)));
      if (t % stride === 0) kl.push(p[t]!.reduce((sum, x, v) => sum + Math.exp(x) * (x - q[t]![v]!), 0));
    }
  }
  expect(found[1]!.kl.length).toBe(kl.length);
  for (const [i, value] of kl.entries()) expect(found[1]!.kl[i]).toBeCloseTo(value, 3);
  const same = found[0]!.best.flat().filter((id, i) => id === found[1]!.best.flat()[i]).length;
  expect(textResult(found[1]!, found[0]!).agreement).toBeCloseTo(same / 61, 10);
});

test('whole distributions are compared at as many places as there is memory for', () => {
  const rows = [new Array(4096).fill(0)];
  expect(sampleStride(rows, 100)).toBe(1);
  const stride = sampleStride(rows, 49_152);
  expect(sampledPlaces(rows, stride) * 49_152 * 4).toBeLessThanOrEqual(2 ** 26 + 49_152 * 4);
  expect(sampledPlaces(rows, stride - 1) * 49_152 * 4).toBeGreaterThan(2 ** 26);
});

test('positions go in powers of two to the context, texts of recall by halves', () => {
  expect(positionBounds(100)).toEqual([
    [0, 16],
    [16, 32],
    [32, 64],
    [64, 100],
  ]);
  expect(recallLengths(4096)).toEqual([512, 1024, 2048, 4096]);
  expect(recallLengths(512)).toEqual([128, 256, 512]);
  expect(recallLengths(64)).toEqual([64]);
});

test('the window of as many bytes, or the nearest below', () => {
  const config = tinyConfig([A, A, A]);
  const windows = (window: number) => ({
    ...config,
    layers: config.layers.map(() => ({ kind: 'sliding_window' as const, window, sinks: 4 })),
  });
  for (const window of [1, 60, 61]) {
    const bytes = bytesOf(windows(window), 512);
    expect(cutToBytes(config, bytes, 512)).toBe(window);
    expect(cutToBytes(config, bytes + 100, 512)).toBe(window);
    expect(cutToBytes(config, bytes - 1, 512)).toBe(Math.max(1, window - 1));
  }
  // As many as the parent itself.
  expect(cutToBytes(config, bytesOf(config, 512), 512)).toBeNull();
});

test('chance, intervals, and the share of what is above chance', () => {
  const encode = (text: string) => [...text].map((letter) => letter.charCodeAt(0));
  const options = { context: 'a', options: [' b', ' c', ' d', ' e'], gold: 0 };
  expect(chanceOf(planExamples('t', [options, { context: 'a', answer: ' b' }], encode))).toBe(0.125);
  // Newcombe 1998, table I: 81 of 263.
  const [low, high] = wilson(81 / 263, 263);
  expect(low).toBeCloseTo(0.2553, 4);
  expect(high).toBeCloseTo(0.3662, 4);
  expect(wilson(0, 10)[0]).toBe(0);
  expect(wilson(1, 10)[1]).toBeCloseTo(1, 12);
  const scored = (accuracy: number, examples = 100) => ({
    ...{ name: 't', examples, accuracy, chance: 0.25, goldLoss: 1 },
    interval: wilson(accuracy, examples),
  });
  expect(withShare(scored(0.5), scored(0.75)).share).toBeCloseTo(0.5, 10);
  expect(withShare(scored(0.2), scored(0.75)).share).toBeLessThan(0);
  // What the parent cannot do has no share.
  expect(withShare(scored(0.5), scored(0.3)).share).toBeNull();
});
