import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { relativeError } from '../../test/golden/full-sequence.ts';
import { randomWeights, tinyConfig } from '../../test/support/random-model.ts';
import { rotationSize } from '../graph/index.ts';
import type { MixerSpec } from '../mixers/spec.ts';
import { Random } from '../util/random.ts';
import { formulaBytes } from './bench/subject.ts';
import { CachedAttentionPrograms } from './cached-attention.ts';
import { Engine } from './engine.ts';
import { PART } from './kv-blocks.ts';
import { KvCache } from './kv-cache.ts';
import { loadSequence, saveSequence } from './snapshot-file.ts';
import { turnRows } from './turn-rows.ts';
import { WholeLane } from './whole-lane.ts';

/** The engine with keys and values of 8 bits: what its parts make of them is tested beside each. */

const A: MixerSpec = { kind: 'attention' };
const D: MixerSpec = { kind: 'gated_deltanet', heads: 2, keyDim: 8, valueDim: 8, convSize: 4, rope: false };
const config = tinyConfig([D, A, D], { maxPositionEmbeddings: 2048 });
const weights = randomWeights(config);
const random = new Random(1);
const ids = Array.from({ length: 1200 }, () => random.below(64));

/** What the weights of a part lack at most, each of them less than a step of 16 bits of the largest. */
const STEP = PART / 2 ** 16;

let exact: Engine;
let engine: Engine;
beforeAll(async () => {
  exact = await Engine.create(config, weights, { threads: 1 });
  engine = await Engine.create(config, weights, { threads: 1, kvDtype: 'q8' });
});
afterEach(() => vi.restoreAllMocks());
afterAll(async () => {
  await exact?.dispose();
  await engine?.dispose();
});

/** What is kept and a query alone as 8 bits have them, for an engine that computes exactly with them. */
function rounding(): void {
  const { write } = KvCache.prototype;
  vi.spyOn(KvCache.prototype, 'write').mockImplementation(function (this: KvCache, k, v, T) {
    if (this.dtype === 'q8') return write.call(this, k, v, T);
    const kept = new KvCache(this.shape, 'q8');
    kept.reserve(T);
    kept.write(k, v, T);
    write.call(this, kept.rows('k'), kept.rows('v'), T);
  });
  // Whole steps do not round the newest key.
  vi.spyOn(WholeLane, 'takes').mockReturnValue(false);
  const { attend } = CachedAttentionPrograms.prototype;
  vi.spyOn(CachedAttentionPrograms.prototype, 'attend').mockImplementation(function (
    this: CachedAttentionPrograms,
    ...[q, T, cache, into]
  ) {
    if (T > 1 || cache.dtype === 'q8') return attend.call(this, q, T, cache, into);
    const size = rotationSize(config.headDim);
    const turned = turnRows(q.slice(), size);
    const largest = Math.max(...turned.map(Math.abs));
    const rounded = turned.map((x) => (Math.round((x / largest) * 127) * largest) / 127);
    return attend.call(this, turnRows(rounded, size), T, cache, into);
  });
}

test.each([[[1, 1, 1, 1, 1]], [[250, 1, 10, 1]], [[1000, 1, 1, 100, 1]]])(
  'writes what an exact computation with the rounded values writes, appended by %j',
  async (parts) => {
    rounding();
    using sequence = engine.start();
    using other = exact.start();
    for (const count of parts) {
      const more = ids.slice(sequence.length, sequence.length + count);
      const logits = await engine.append(sequence, more);
      const tolerance = count === 1 ? STEP : 1e-4;
      expect(relativeError(logits, await exact.append(other, more))).toBeLessThan(tolerance);
    }
  },
);

test('takes the memory that the formula says, and places for tokens to come', async () => {
  using sequence = engine.start();
  using other = exact.start();
  await engine.append(sequence, ids.slice(0, 256));
  await exact.append(other, ids.slice(0, 256));
  expect(sequence.bytes).toBe(formulaBytes(config, 256, 'q8'));
  expect(other.bytes).toBe(formulaBytes(config, 256));
  expect(sequence.bytes).toBeLessThan(other.bytes / 1.5);
});

test('in a batch it writes what it writes alone', async () => {
  const lengths = [1, 255, 700];
  const batch = engine.batch();
  const together = [];
  for (const length of lengths) {
    const sequence = engine.start();
    await engine.append(sequence, ids.slice(0, length));
    batch.add(sequence);
    together.push(sequence);
  }
  for (const token of [5, 6, 7]) {
    const found = await batch.step(new Map(together.map((sequence) => [sequence, token])));
    for (const [i, length] of lengths.entries()) {
      using alone = engine.start();
      await engine.append(alone, ids.slice(0, length));
      let logits = new Float32Array();
      for (const earlier of [5, 6, 7].slice(0, token - 4)) {
        logits = (await engine.append(alone, [earlier])).slice();
      }
      expect(relativeError(found.get(together[i]!)!, logits)).toBeLessThan(1e-5);
    }
  }
  for (const sequence of together) sequence.dispose();
});

test('is saved and loaded, also by an engine with an exact cache', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'postnas-byte-cache-'));
  try {
    const path = join(folder, 'sequence');
    using sequence = engine.start();
    await engine.append(sequence, ids.slice(0, 700));
    await saveSequence(path, engine, sequence, ids.slice(0, 700));
    const expected = (await engine.append(sequence, [3])).slice();
    using again = (await loadSequence(path, engine)).sequence;
    expect(relativeError(await engine.append(again, [3]), expected)).toBeLessThan(1e-5);
    rounding();
    using other = (await loadSequence(path, exact)).sequence;
    expect(relativeError(await exact.append(other, [3]), expected)).toBeLessThan(STEP);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('forks share what is full and go on as cold starts do', async () => {
  using sequence = engine.start();
  await engine.append(sequence, ids.slice(0, 600));
  using fork = sequence.fork();
  const first = (await engine.append(fork, [9])).slice();
  await engine.append(sequence, [10]);
  using cold = engine.start();
  await engine.append(cold, ids.slice(0, 600));
  expect(await engine.append(cold, [9])).toEqual(first);
});

test('is for the CPU', async () => {
  const creating = Engine.create(config, weights, { device: 'webgpu', kvDtype: 'q8' });
  await expect(creating).rejects.toThrow("kvDtype q8 is for device 'cpu'; on webgpu keys and values are f32");
});
