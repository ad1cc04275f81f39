import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { randomWeights, tinyConfig } from '../../test/support/random-model.ts';
import type { MixerSpec } from '../mixers/spec.ts';
import { saveCheckpoint } from '../model/checkpoint.ts';
import { Engine } from './engine.ts';
import type { HostSequence } from './host-sequence.ts';
import { Model } from './model.ts';
import type { Sequence } from './sequence.ts';

const A: MixerSpec = { kind: 'attention' };
const W: MixerSpec = { kind: 'sliding_window', window: 16 };
const D: MixerSpec = { kind: 'gated_deltanet', heads: 2, keyDim: 8, valueDim: 8, convSize: 4, rope: false };
const config = tinyConfig([D, A, W, D], { maxPositionEmbeddings: 4096 });
const weights = randomWeights(config);
const endless = { eosTokenIds: [] };

let root: string;
let model: Model;
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'postnas-limits-'));
  await saveCheckpoint(root, config, weights, { dtype: 'F32' });
  model = await Model.fromPretrained(root, { threads: 1, prefixCacheBytes: 1e6 });
});
afterEach(() => vi.unstubAllGlobals());
afterAll(async () => {
  await model?.dispose();
  rmSync(root, { recursive: true });
});

async function greedy(prompt: readonly number[], maxNewTokens: number, on = model): Promise<number[]> {
  const ids: number[] = [];
  for await (const { id } of on.generate(prompt, { maxNewTokens, ...endless })) ids.push(id);
  return ids;
}

test('a thousand steps: states stay where they are, keys and values move once per block of theirs', async () => {
  await using engine = await Engine.create(config, weights, { threads: 1 });
  using sequence = engine.start() as HostSequence;
  const states = Object.values(sequence.state).map(({ data }) => data);
  let allocated = 0;
  const Counted = class extends Float32Array {
    constructor(...given: unknown[]) {
      super(...(given as [number]));
      if (typeof given[0] === 'number' && given[0] > 64) allocated += given[0];
    }
  };
  await engine.append(sequence, [1]);
  vi.stubGlobal('Float32Array', Counted);
  for (let i = 0; i < 1000; i++) await engine.append(sequence, [i % 64]);
  vi.unstubAllGlobals();
  expect(Object.values(sequence.state).map(({ data }) => data)).toEqual(states);
  for (const [i, { data }] of Object.values(sequence.state).entries()) expect(data).toBe(states[i]);
  // Four growths of the full layer of 256 tokens each, with copies; beside them what hides keys, once for every growth.
  const caches = 2 * 2 * 8 * 256 * (1 + 2 + 3 + 4);
  const hidden = 256 * (1 + 2 + 3 + 4);
  expect(allocated).toBeLessThan(1.1 * (caches + hidden));
});

test('no memory for keys and values: the request fails, the engine lives, the sequence stays', async () => {
  using sequence = model.engine.start();
  await model.engine.append(sequence, new Array(256).fill(3));
  const Full = class extends Float32Array {
    constructor() {
      super(0);
      throw new RangeError('Array buffer allocation failed');
    }
  };
  vi.stubGlobal('Float32Array', Full);
  await expect(model.engine.append(sequence, [1])).rejects.toThrow('Array buffer allocation failed');
  vi.unstubAllGlobals();
  expect(sequence.length).toBe(256);
  const after = await model.engine.append(sequence, [1]);
  using other = model.engine.start();
  await model.engine.append(other, new Array(256).fill(3));
  expect(after).toEqual(await model.engine.append(other, [1]));
});

test('two engines in one process do not see each other', async () => {
  const other = await Model.fromPretrained(root, { threads: 1 });
  const expected = await greedy([1, 2, 3], 10);
  const both = await Promise.all([greedy([1, 2, 3], 10), greedy([1, 2, 3], 10, other), greedy([9], 5)]);
  expect(both.slice(0, 2)).toEqual([expected, expected]);
  await other.dispose();
  expect(await greedy([1, 2, 3], 10)).toEqual(expected);
});

test('disposal during a generation fails it at its next token', async () => {
  const other = await Model.fromPretrained(root, { threads: 1 });
  const generation = other.generate([1, 2], { maxNewTokens: 50, ...endless });
  await generation.next();
  const disposed = other.dispose();
  await expect(generation.next()).rejects.toThrow('the model has been disposed of');
  await disposed;
});

test('abort between tokens', async () => {
  const controller = new AbortController();
  const generation = model.generate([1, 2], { maxNewTokens: 50, signal: controller.signal, ...endless });
  await generation.next();
  controller.abort();
  await expect(generation.next()).rejects.toThrow(/abort/);
});

test('prompts at the borders of what is allowed', async () => {
  await expect(greedy([], 1)).rejects.toThrow('the prompt is empty');
  expect((await greedy([5], 3)).length).toBe(3);
  await expect(greedy(new Array(4096).fill(1), 1)).rejects.toThrow('no room for another');
  expect((await greedy(new Array(4095).fill(1), 5)).length).toBe(1);
});

test('usage tells of the prompt, what of it was known, and the text', async () => {
  const prompt = Array.from({ length: 60 }, (_, i) => i);
  const last = async (boundaries: number[]) => {
    let found: Awaited<ReturnType<typeof generation.next>>['value'];
    const generation = model.generate(prompt, { maxNewTokens: 4, boundaries, topLogProbs: 2, ...endless });
    for await (const token of generation) {
      expect(token.top!.length).toBe(2);
      expect(token.top![0]).toEqual({ id: token.id, logProb: token.logProb });
      found = token;
    }
    return found!.usage;
  };
  expect(await last([40])).toEqual({ promptTokens: 60, cachedTokens: 0, completionTokens: 4 });
  expect(await last([])).toEqual({ promptTokens: 60, cachedTokens: 40, completionTokens: 4 });
});

test('memory stays flat over many requests', async () => {
  const request = (i: number) => greedy([i % 64, 1 + (i % 7)], 1);
  for (let i = 0; i < 200; i++) await request(i);
  const before = process.memoryUsage().rss;
  for (let i = 0; i < 1000; i++) await request(i);
  expect(process.memoryUsage().rss - before).toBeLessThan(64e6);
});

test('batches of 1 and of 64, of lengths from 1 to 4,096', async () => {
  const engine = model.engine;
  // The context is full after the longest prompt's only step.
  const lengths = Array.from({ length: 64 }, (_, i) => Math.max(1, Math.round(4095 * (i / 63) ** 3)));
  const batch = engine.batch();
  const sequences: Sequence[] = [];
  for (const [i, length] of lengths.entries()) {
    const sequence = engine.start();
    await engine.append(
      sequence,
      Array.from({ length }, (_, t) => (7 * t + i) % 64),
    );
    batch.add(sequence);
    sequences.push(sequence);
  }
  const forks = sequences.map((sequence) => sequence.fork());
  // The states of sequences in a batch are the batch's: forks of it are taken before.
  const logits = await batch.step(new Map(sequences.map((sequence, i) => [sequence, i])));
  expect(sequences.map(({ length }) => length)).toEqual(lengths.map((length) => length + 1));
  for (const i of [0, 1, 31, 62, 63]) {
    const alone = engine.batch();
    alone.add(forks[i]!);
    const found = (await alone.step(new Map([[forks[i]!, i]]))).get(forks[i]!)!;
    expect(logits.get(sequences[i]!)).toEqual(found);
  }
  expect(sequences[63]!.length).toBe(4096);
  await expect(batch.step(new Map(sequences.map((sequence) => [sequence, 1])))).rejects.toThrow(
    "4096 tokens and 1 more do not fit the model's context of 4096 tokens",
  );
  for (const sequence of [...sequences, ...forks]) sequence.dispose();
});

test('a thousand steps leave nothing behind', async () => {
  const collect = (globalThis as { gc?: () => void }).gc ?? setGcFlag();
  using sequence = model.engine.start();
  const steps = async (count: number) => {
    for (let i = 0; i < count; i++) await model.engine.append(sequence, [i % 64]);
    collect();
    await new Promise(setImmediate);
    collect();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return { heapUsed, arrayBuffers, caches: sequence.bytes };
  };
  await steps(500);
  const before = await steps(1);
  const after = await steps(1000);
  // Keys and values grow; beside them nothing does, a kilobyte a step would show.
  const grown = after.arrayBuffers - before.arrayBuffers - (after.caches - before.caches);
  expect(grown).toBeLessThan(0.3e6);
  expect(after.heapUsed - before.heapUsed).toBeLessThan(0.7e6);
});

/** The garbage collector, which Node.js shows where it is told to. */
function setGcFlag(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}
