import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { randomWeights, tinyConfig } from '../../test/support/random-model.ts';
import type { MixerSpec } from '../mixers/spec.ts';
import { openCheckpoint, type SaveOptions, saveCheckpoint } from './checkpoint.ts';
import { decodeBF16, encodeBF16 } from './float-bits.ts';
import type { MemoryTensors } from './memory-tensors.ts';
import type { TensorSource } from './tensor-source.ts';
import { weightsHash } from './weights-hash.ts';

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'postnas-weights-hash-'));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const config = tinyConfig([{ kind: 'attention' }, { kind: 'attention' }], {
  hiddenSize: 128,
  numHeads: 8,
  numKvHeads: 4,
  headDim: 16,
  vocabSize: 256,
});

/** Values that bfloat16 holds. */
function exact(seed = 1): MemoryTensors {
  const weights = randomWeights(config, seed);
  for (const { data } of weights.tensors.values()) decodeBF16(encodeBF16(data), data, 0);
  return weights;
}

let saved = 0;
async function folder(weights: TensorSource, options: SaveOptions): Promise<string> {
  const dir = join(root, String(saved++));
  await saveCheckpoint(dir, config, weights, options);
  return dir;
}

const hashOf = (dir: string) => weightsHash(openCheckpoint(dir));

test('files, shards and types that hold the same values make no difference, nor do windows', async () => {
  const hash = await weightsHash({ config, weights: exact(), generation: { bosTokenId: 1 } as never });
  expect(hash).toMatch(/^[0-9a-f]{16}$/);
  expect(await hashOf(await folder(exact(), { dtype: 'F32' }))).toBe(hash);
  expect(await hashOf(await folder(exact(), { dtype: 'BF16' }))).toBe(hash);
  expect(await hashOf(await folder(exact(), { dtype: 'BF16', shardBytes: 40_000 }))).toBe(hash);
  const windows = config.layers.map((): MixerSpec => ({ kind: 'sliding_window', window: 8, sinks: 2 }));
  const checkpoint = openCheckpoint(await folder(exact(), { dtype: 'F32' }));
  expect(await weightsHash({ ...checkpoint, config: { ...config, layers: windows } })).toBe(hash);
});

test('other weights have another hash: of any tensor, a head of one layer, another model', async () => {
  const of = (change: (weights: MemoryTensors) => void) => {
    const weights = exact();
    change(weights);
    return weightsHash({ config, weights, generation: {} as never });
  };
  const hash = await of(() => {});
  const names = exact().names();
  for (const name of names) {
    expect(
      await of((weights) => weights.read(name).set(weights.read(name).map((value) => value + 0.125))),
      name,
    ).not.toBe(hash);
  }
  // One of 8 query heads of 16 rows.
  const query = 'model.layers.1.self_attn.q_proj.weight';
  expect(await of((weights) => weights.read(query).fill(0, 3 * 16 * 128, 4 * 16 * 128))).not.toBe(hash);
  expect(await weightsHash({ config, weights: exact(2), generation: {} as never })).not.toBe(hash);
});

test.each(['q8', 'q4', 'F16'] as const)(
  'a copy in %s keeps the hash where it is told, through shards',
  async (dtype) => {
    const source = await folder(randomWeights(config), { dtype: 'F32' });
    const hash = await hashOf(source);
    const { weights } = openCheckpoint(source);
    const copy = await folder(weights, { dtype, roundedFrom: hash, shardBytes: 40_000 });
    expect(await hashOf(copy)).toBe(hash);
    // Without being told it is another set of weights, and the same each time, whatever its files.
    const other = await hashOf(await folder(weights, { dtype }));
    expect(other).not.toBe(hash);
    expect(await hashOf(await folder(weights, { dtype, shardBytes: 40_000 }))).toBe(other);
    // What is made of a copy without saying so is no copy.
    expect(await hashOf(await folder(openCheckpoint(copy).weights, { dtype: 'F32' }))).toBe(other);
  },
);

test('a part of a tensor is what reading all of it gives there', async () => {
  const name = 'model.embed_tokens.weight';
  for (const dtype of ['F32', 'F16', 'BF16', 'q8', 'q4'] as const) {
    const { weights } = openCheckpoint(await folder(randomWeights(config), { dtype }));
    const all = weights.read(name);
    expect(weights.part!(name, 0, 32)).toEqual(all.slice(0, 32));
    expect(weights.part!(name, 96, 192)).toEqual(all.slice(96, 288));
    expect(weights.part!(name, all.length - 64, 64)).toEqual(all.slice(-64));
  }
});

test('a hash in the metadata that is none is refused', async () => {
  const dir = await folder(exact(), { dtype: 'F16', roundedFrom: 'of the parent' });
  expect(() => openCheckpoint(dir)).toThrow(
    /postnas_rounded_from of the weights' metadata is "of the parent", expected a hash of 16 hexadecimal digits/,
  );
});

test('a page without SHA-256 is told what it needs', async () => {
  vi.stubGlobal('crypto', {});
  try {
    const checkpoint = openCheckpoint(await folder(exact(), { dtype: 'F32' }));
    await expect(weightsHash(checkpoint)).rejects.toThrow('the page has to come by https, or from localhost');
  } finally {
    vi.unstubAllGlobals();
  }
});
