import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { relativeError } from '../../../test/golden/full-sequence.ts';
import { randomWeights, tinyConfig } from '../../../test/support/random-model.ts';
import type { MixerSpec } from '../../mixers/spec.ts';
import { Random } from '../../util/random.ts';
import { formulaBytes } from '../bench/subject.ts';
import { Engine } from '../engine.ts';
import { loadSequence, saveSequence } from '../snapshot-file.ts';
import { BLOCK, type Block, rowsOf } from './blocks.ts';
import { KvCache } from './cache.ts';
import { Packer, unpack } from './packed-blocks.ts';

/** The engine with keys and values of 8 bits: what its parts make of them is tested beside each. */

const A: MixerSpec = { kind: 'attention' };
const D: MixerSpec = { kind: 'gated_deltanet', heads: 2, keyDim: 8, valueDim: 8, convSize: 4, rope: false };
const H: MixerSpec = { kind: 'head_attention', fullHeads: [1], window: 100, sinks: 4 };
const config = tinyConfig([D, A, H], { maxPositionEmbeddings: 16_384 });
const weights = randomWeights(config);
const random = new Random(1);
const ids = Array.from({ length: 12_400 }, () => random.below(64));

const roundedBlocks = new WeakSet<Block>();

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

/** Full blocks of an engine that keeps them exact as 8 bits have them. */
function rounding(packer: Packer): void {
  const { settle } = KvCache.prototype;
  vi.spyOn(KvCache.prototype, 'settle').mockImplementation(async function (this: KvCache) {
    await settle.call(this);
    for (const [i, block] of this.blocks.entries()) {
      if (this.exactStart + (i + 1) * BLOCK > this.length || roundedBlocks.has(block)) continue;
      const [packed] = await packer.add(this.shape, [], block);
      for (let head = 0; head < this.shape.heads; head++) {
        for (const part of ['k', 'v'] as const) {
          const rows = rowsOf(block, part, head, 0, BLOCK, this.shape.width);
          unpack(this.shape, packed!, part, head, rows);
        }
      }
      roundedBlocks.add(block);
    }
  });
}

test('before a block is full it writes what an exact cache writes, bit for bit', async () => {
  using sequence = engine.start();
  using other = exact.start();
  for (const count of [1, 4093, 1]) {
    const more = ids.slice(sequence.length, sequence.length + count);
    expect(await engine.append(sequence, more)).toEqual(await exact.append(other, more));
  }
});

test('writes what an exact computation with the rounded values writes', async () => {
  await using packer = new Packer();
  rounding(packer);
  using sequence = engine.start();
  using other = exact.start();
  for (const count of [4000, 96, 500, 3700, 300, 1]) {
    const more = ids.slice(sequence.length, sequence.length + count);
    const logits = await engine.append(sequence, more);
    // One query alone is rounded, too: it is off by less than a step of its 8 bits.
    expect(relativeError(logits, await exact.append(other, more))).toBeLessThan(count === 1 ? 1 / 127 : 1e-4);
  }
});

test('takes the memory that the formula says, and places for tokens to come', async () => {
  using sequence = engine.start();
  using other = exact.start();
  for (const more of [4096, 256, 7936]) {
    const given = ids.slice(sequence.length, sequence.length + more);
    await engine.append(sequence, given);
    await exact.append(other, given);
    expect(sequence.bytes).toBe(formulaBytes(config, sequence.length, 'q8'));
    expect(other.bytes).toBe(formulaBytes(config, other.length));
    expect(sequence.bytes).toBeLessThan(other.bytes / 2);
  }
});

test('in a batch it writes what it writes alone', async () => {
  const lengths = [1, 4095, 4700];
  const batch = engine.batch();
  const together = [];
  for (const length of lengths) {
    const sequence = engine.start();
    await engine.append(sequence, ids.slice(0, length));
    batch.add(sequence);
    together.push(sequence);
  }
  const alone = await Promise.all(
    lengths.map(async (length) => {
      const sequence = engine.start();
      await engine.append(sequence, ids.slice(0, length));
      return sequence;
    }),
  );
  for (const token of [5, 6, 7]) {
    const found = await batch.step(new Map(together.map((sequence) => [sequence, token])));
    for (const [i, sequence] of alone.entries()) {
      const logits = await engine.append(sequence, [token]);
      expect(relativeError(found.get(together[i]!)!, logits)).toBeLessThan(1e-5);
    }
  }
  for (const sequence of [...together, ...alone]) sequence.dispose();
});

test('is saved and loaded, also by an engine with an exact cache', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'postnas-byte-cache-'));
  try {
    const path = join(folder, 'sequence');
    using sequence = engine.start();
    await engine.append(sequence, ids.slice(0, 4700));
    await saveSequence(path, engine, sequence, ids.slice(0, 4700));
    const expected = (await engine.append(sequence, [3])).slice();
    using again = (await loadSequence(path, engine)).sequence;
    expect(relativeError(await engine.append(again, [3]), expected)).toBeLessThan(1e-5);
    using other = (await loadSequence(path, exact)).sequence;
    expect(relativeError(await exact.append(other, [3]), expected)).toBeLessThan(1 / 127);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('forks share what is full and go on as cold starts do', async () => {
  using sequence = engine.start();
  await engine.append(sequence, ids.slice(0, 4600));
  using fork = sequence.fork();
  const first = (await engine.append(fork, [9])).slice();
  await engine.append(sequence, [10]);
  using cold = engine.start();
  await engine.append(cold, ids.slice(0, 4600));
  expect(await engine.append(cold, [9])).toEqual(first);
});

test('is for the CPU', async () => {
  const creating = Engine.create(config, weights, { device: 'webgpu', kvDtype: 'q8' });
  await expect(creating).rejects.toThrow("kvDtype q8 is for device 'cpu'; on webgpu keys and values are f32");
});

test.each([
  [{}, 'f32'],
  [{ dtype: 'q4' }, 'q8'],
  [{ dtype: 'q4', kvDtype: 'f32' }, 'f32'],
] as const)('by default it is as weights are: %j', async (options, expected) => {
  await using other = await Engine.create(config, weights, { threads: 1, ...options });
  expect(other.kvDtype).toBe(expected);
});
