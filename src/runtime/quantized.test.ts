import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { relativeError } from '../../test/golden/full-sequence.ts';
import { randomWeights, tinyConfig } from '../../test/support/random-model.ts';
import { dequantize } from '../graph/index.ts';
import type { MixerSpec } from '../mixers/spec.ts';
import { openCheckpoint, saveCheckpoint } from '../model/checkpoint.ts';
import { MemoryTensors } from '../model/memory-tensors.ts';
import { bitsInMemory, bitsOf, quantizeWeight } from '../model/quantized-tensors.ts';
import { Engine } from './engine.ts';

const A: MixerSpec = { kind: 'attention' };
const D: MixerSpec = { kind: 'gated_deltanet', heads: 2, keyDim: 16, valueDim: 16, convSize: 4, rope: false };
const M: MixerSpec = { kind: 'mamba2', heads: 4, keyDim: 8, valueDim: 8, headsPerGroup: 2, convSize: 4 };
const J: MixerSpec = {
  kind: 'jet_block',
  ...{ heads: 2, keyDim: 16, valueDim: 16, qConv: 'none', kConv: 'none', vConv: 'dynamic', convSize: 4 },
  // Filters are made of rows of 48 values: no whole blocks.
  ...{ generatorReduction: 2, generatorInput: 'hidden', gate: 'silu' },
};
const config = tinyConfig([D, A, M, J], { hiddenSize: 96, intermediateSize: 64, vocabSize: 96 });
const weights = randomWeights(config);
const ids = [5, 6, 7, 8, 9, 10, 11];

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'postnas-quantized-'));
});
afterAll(() => rmSync(root, { recursive: true }));

/** The weights with what few bits have made of them, as float32: the definition. */
function rounded(dtype: 'q8' | 'q4', bitsOfWeight = bitsInMemory): MemoryTensors {
  return new MemoryTensors(
    weights.names().map((name) => {
      const { shape } = weights.info(name);
      const bits = bitsOfWeight(name, shape, dtype);
      const data = weights.read(name);
      return [name, { shape, data: bits ? dequantize(quantizeWeight(data, shape, bits)) : data }];
    }),
  );
}

/** Logits after the prompt and after two steps. */
async function logits(engine: Engine): Promise<Float32Array[]> {
  using sequence = engine.start();
  const found = [(await engine.append(sequence, ids)).slice()];
  for (const id of [12, 13]) found.push((await engine.append(sequence, [id])).slice());
  return found;
}

test.each(['q8', 'q4'] as const)('%s computes with the rounded weights, from a folder too', async (dtype) => {
  await using plain = await Engine.create(config, rounded(dtype), { threads: 1 });
  const expected = await logits(plain);
  await using engine = await Engine.create(config, weights, { threads: 1, dtype });
  const found = await logits(engine);
  for (const [i, row] of found.entries()) expect(relativeError(row, expected[i]!)).toBeLessThan(0.08);

  const folder = join(root, dtype);
  await saveCheckpoint(folder, config, weights, { dtype });
  const opened = openCheckpoint(folder);
  expect(opened.config).toEqual(config);
  expect(JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')).quantization_config).toEqual({
    quant_method: 'postnas',
    bits: dtype === 'q8' ? 8 : 4,
    block_size: 32,
  });
  for (const name of weights.names()) {
    expect(opened.weights.info(name).shape).toEqual(weights.info(name).shape);
    expect(opened.weights.read(name)).toEqual(rounded(dtype, bitsOf).read(name));
  }
  await using loaded = await Engine.create(opened.config, opened.weights, { threads: 1 });
  expect(await logits(loaded)).toEqual(found);
  await using exact = await Engine.create(opened.config, opened.weights, { threads: 1, dtype: 'f32' });
  await using stored = await Engine.create(config, rounded(dtype, bitsOf), { threads: 1 });
  expect(await logits(exact)).toEqual(await logits(stored));
});

test('folders of few bits are small', async () => {
  const sizes: number[] = [];
  for (const dtype of ['F32', 'q8', 'q4'] as const) {
    const folder = join(root, `size-${dtype}`);
    await saveCheckpoint(folder, config, weights, { dtype });
    sizes.push(statSync(join(folder, 'model.safetensors')).size);
  }
  expect(sizes[1]! / sizes[0]!).toBeLessThan(0.6);
  expect(sizes[2]!).toBeLessThan(sizes[1]!);
});
