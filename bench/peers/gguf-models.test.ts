import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FileBytes } from '../../src/model/file-bytes.ts';
import { GgufFile } from '../../src/model/import/gguf.ts';
import { BLOCK_TYPES } from '../../src/model/import/gguf-blocks.ts';
import { readGgufHeader } from '../../src/model/import/gguf-header.ts';
import { modelParameters } from '../../src/model/parameters.ts';
import { ggufFile } from './gguf-models.ts';
import { TINY } from './tiny-shape.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'postnas-bench-gguf-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

test.each(['q8', 'q4'] as const)('full attention in %s is a model that the importer reads', (dtype) => {
  const file = new GgufFile(ggufFile(dir, TINY, 'full', dtype));
  const { vocabSize, hiddenSize, numKvHeads, headDim, layers, ropeTheta } = TINY.config;
  expect(file.config).toMatchObject({ vocabSize, hiddenSize, numKvHeads, headDim, layers, ropeTheta });
  expect(file.config.rmsNormEps).toBeCloseTo(1e-5, 12);
  for (const { name, shape } of modelParameters(TINY.config)) {
    expect(file.info(name).shape, name).toEqual(shape);
    const values = file.read(name);
    const square = values.reduce((sum, x) => sum + x * x, 0) / values.length;
    // Norms are 1, matrices of the deviation that was asked for.
    if (name.endsWith('norm.weight')) expect(square).toBe(1);
    else expect(Math.sqrt(square), name).toBeCloseTo(0.02, 2);
  }
});

test('the hybrid has the keys and tensors of qwen35, and a file as long as they say', () => {
  const path = ggufFile(dir, TINY, 'hybrid', 'q4');
  const { metadata, tensors } = readGgufHeader(new FileBytes(path));
  expect(metadata.get('general.architecture')).toBe('qwen35');
  expect(metadata.get('qwen35.attention.recurrent_layers')).toEqual(Uint8Array.of(1, 0, 1));
  expect(metadata.get('qwen35.rope.dimension_sections')).toEqual(Int32Array.of(4, 4, 0, 0));
  const dims = new Map(tensors.map((tensor) => [tensor.name, tensor.dims]));
  expect(dims.get('blk.0.attn_qkv.weight')).toEqual([64, 192]);
  expect(dims.get('blk.0.ssm_conv1d.weight')).toEqual([4, 192]);
  // Query and gate.
  expect(dims.get('blk.1.attn_q.weight')).toEqual([64, 128]);
  expect(dims.has('blk.1.attn_qkv.weight')).toBe(false);
  const last = tensors.at(-1)!;
  const { values, bytes } = BLOCK_TYPES.get(last.type)!;
  const count = last.dims.reduce((a, b) => a * b, 1);
  expect(readFileSync(path).length).toBe(Math.ceil((last.position + (count / values) * bytes) / 32) * 32);
});
