import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { randomWeights, tinyConfig } from '../../test/support/random-model.ts';
import type { MixerSpec } from '../mixers/spec.ts';
import { SafetensorsFile } from '../model/safetensors.ts';
import { Random } from '../util/random.ts';
import { Engine } from './engine.ts';
import { PrefixCache } from './prefix-cache.ts';
import { readWholePrompt } from './read-prompt.ts';
import { fixedState } from './sequence-parts.ts';
import { loadSequence, saveSequence } from './snapshot-file.ts';

const A: MixerSpec = { kind: 'attention' };
const W: MixerSpec = { kind: 'sliding_window', window: 600, sinks: 4 };
const H: MixerSpec = { kind: 'head_attention', fullHeads: [0], window: 30 };
const D: MixerSpec = { kind: 'gated_deltanet', heads: 2, keyDim: 8, valueDim: 8, convSize: 4, rope: false };
const L: MixerSpec = { kind: 'window_linear', window: 40, sinks: 4, linear: D };
const config = tinyConfig([D, A, W, H, L], { maxPositionEmbeddings: 16_384 });

let engine: Engine;
beforeAll(async () => {
  engine = await Engine.create(config, randomWeights(config), { threads: 1 });
});
afterAll(() => engine?.dispose());

function randomIds(count: number, seed: number): number[] {
  const random = new Random(seed);
  return Array.from({ length: count }, () => random.below(64));
}

/** Logits after the prompt and after three further tokens. */
async function follow(cache: PrefixCache, ids: readonly number[], boundaries: number[] = []) {
  const { sequence, logits, cachedTokens } = await readWholePrompt(engine, cache, ids, { boundaries });
  const all = [logits.slice()];
  for (const id of [1, 2, 3]) all.push((await engine.append(sequence, [id])).slice());
  sequence.dispose();
  return { logits: all, cachedTokens };
}

const LARGE = 1e9;

test('a cached start is the cold start bit for bit', async () => {
  const start = randomIds(4500, 1);
  const boundaries = [40, 700];
  const warm = new PrefixCache(LARGE);
  expect((await follow(warm, [...start, 1, 2], boundaries)).cachedTokens).toBe(0);
  for (const [length, cached] of [
    [4500, 4096],
    [4096, 700],
    [1000, 700],
    [500, 40],
    [40, 0],
  ] as const) {
    const prompt = [...start.slice(0, length), ...randomIds(30, length)];
    const found = await follow(warm, prompt, boundaries);
    expect(found.cachedTokens).toBe(length === 40 ? 40 : length === 4096 ? 4096 : cached);
    const cold = await follow(new PrefixCache(0), prompt, boundaries);
    expect(cold.cachedTokens).toBe(0);
    expect(found.logits).toEqual(cold.logits);
  }
  expect(warm.hits).toBe(5);
  expect(warm.tokensSaved).toBe(4096 + 4096 + 700 + 40 + 40);
  warm.clear();
  expect(warm.bytes).toBe(0);
});

test('the least recently used snapshots go when the budget is spent', async () => {
  const [one, two, three] = [1, 2, 3].map((seed) => randomIds(100, seed)) as [number[], number[], number[]];
  const cache = new PrefixCache(LARGE);
  await follow(cache, [...one, 5], [100]);
  // A beginning and the whole, which takes as much.
  const bytes = cache.bytes / 2;
  const small = new PrefixCache(2.5 * bytes);
  await follow(small, [...one, 5], [100]);
  await follow(small, [...two, 5], [100]);
  expect((await follow(small, [...one, 6], [100])).cachedTokens).toBe(100);
  await follow(small, [...three, 5], [100]);
  expect(small.size).toBe(2);
  expect(small.bytes).toBeLessThanOrEqual(small.budget);
  expect((await follow(small, [...two, 6], [])).cachedTokens).toBe(0);
  expect((await follow(small, [...one, 7], [])).cachedTokens).toBe(100);
});

test('snapshots of one prompt share full blocks', async () => {
  const cache = new PrefixCache(LARGE);
  const ids = randomIds(9000, 9);
  await follow(cache, ids);
  // At 4,096 and 8,192 tokens, and the whole.
  expect(cache.size).toBe(3);
  // Of two heads of one layer and one of another.
  const blocks = 2 * 4 * 3 * 8 * 8192;
  using empty = engine.start();
  expect(cache.bytes).toBeLessThan(1.2 * blocks + 3 * empty.bytes);
});

test('the same prompt is read once, bit for bit', async () => {
  for (const [length, boundaries] of [
    [1, []],
    [37, []],
    [700, [40, 690]],
    [4500, []],
  ] as const) {
    const ids = randomIds(length, length);
    const cache = new PrefixCache(LARGE);
    const cold = await follow(cache, ids, [...boundaries]);
    expect(cold.cachedTokens).toBe(0);
    const appended = vi.spyOn(engine, 'append');
    const again = await follow(cache, ids, [...boundaries]);
    // The three tokens that follow, and nothing of the prompt.
    expect(appended).toHaveBeenCalledTimes(3);
    appended.mockRestore();
    expect(again).toEqual({ logits: cold.logits, cachedTokens: length });
    expect(cache.tokensSaved).toBe(length);
  }
});

test('a whole prompt is none that was read in other pieces, nor the beginning of another', async () => {
  const ids = randomIds(300, 8);
  const cache = new PrefixCache(LARGE);
  await follow(cache, ids);
  expect((await follow(cache, [...ids, 1])).cachedTokens).toBe(0);
  expect((await follow(cache, ids.slice(0, -1))).cachedTokens).toBe(0);
  const { cachedTokens, sequence } = await readWholePrompt(engine, cache, ids, { pieceTokens: 128 });
  sequence.dispose();
  expect(cachedTokens).toBe(0);
  expect((await follow(cache, ids, [100])).cachedTokens).toBe(0);
});

test('a snapshot that ends where the prompt does leaves no token for the logits, and is not taken', async () => {
  const ids = randomIds(60, 6);
  const cache = new PrefixCache(LARGE);
  await follow(cache, ids, [50]);
  const found = await follow(cache, ids.slice(0, 50));
  expect(found.cachedTokens).toBe(0);
  expect(found.logits).toEqual((await follow(new PrefixCache(0), ids.slice(0, 50))).logits);
  expect((await follow(cache, ids.slice(0, 51))).cachedTokens).toBe(50);
});

test('whole prompts are bounded in number, and by the budget', async () => {
  const cache = new PrefixCache(LARGE);
  for (let i = 0; i < 70; i++) await follow(cache, randomIds(5, 100 + i));
  expect(cache.size).toBe(64);
  expect((await follow(cache, randomIds(5, 100))).cachedTokens).toBe(0);
  expect((await follow(cache, randomIds(5, 169))).cachedTokens).toBe(5);
  const small = new PrefixCache(cache.bytes / 10);
  for (let i = 0; i < 20; i++) await follow(small, randomIds(5, 100 + i));
  expect(small.size).toBeLessThan(10);
  expect(small.bytes).toBeLessThanOrEqual(small.budget);
});

test('a file holds all that is needed to go on', async () => {
  const root = mkdtempSync(join(tmpdir(), 'postnas-sequence-'));
  try {
    const ids = randomIds(2200, 4);
    using sequence = engine.start();
    await engine.append(sequence, ids);
    const path = join(root, 'a.safetensors');
    await saveSequence(path, engine, sequence, ids);
    const loaded = await loadSequence(path, engine);
    expect(loaded.ids).toEqual(ids);
    // States are written as their mixers define them, however the engine keeps them.
    const file = new SafetensorsFile(path);
    for (const { name, shape } of fixedState(engine.config)) {
      expect(file.info(`state.${name}`).shape, name).toEqual([1, ...shape]);
    }
    for (const id of [1, 2, 3]) {
      const expected = await engine.append(sequence, [id]);
      expect(await engine.append(loaded.sequence, [id])).toEqual(expected);
    }
    const other = tinyConfig([D, A]);
    await using stranger = await Engine.create(other, randomWeights(other), { threads: 1 });
    await expect(loadSequence(path, stranger)).rejects.toThrow('was made by a model of another architecture');
    await expect(saveSequence(path, engine, sequence, ids)).rejects.toThrow(
      'the sequence has 2203 tokens, 2200 were',
    );
  } finally {
    rmSync(root, { recursive: true });
  }
});
