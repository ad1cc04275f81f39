import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { saveCheckpoint } from '../../src/model/checkpoint.ts';
import { postnas, postnasHere } from '../support/command.ts';
import { EVERY_MIXER } from '../support/every-mixer.ts';
import { randomWeights, tinyConfig } from '../support/random-model.ts';

const base = resolve(import.meta.dirname, '../../models/base');
let dir: string;
let hybrid: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'postnas-cli-export-'));
  hybrid = join(dir, 'hybrid');
  const config = tinyConfig([EVERY_MIXER.jet_block, EVERY_MIXER.attention], { qkvBias: true });
  await saveCheckpoint(hybrid, config, randomWeights(config), { dtype: 'F32' });
});
afterAll(() => rmSync(dir, { recursive: true }));

test('--onnx: models in several types, told as JSON', async () => {
  const folder = join(dir, 'onnx');
  const { code, stdout } = await postnas(['export', base, '--onnx', folder, '--dtype', 'q8', 'q4', '--json']);
  expect(code).toBe(0);
  const { files, ...rest } = JSON.parse(stdout);
  expect(rest).toEqual({ format: 'onnx', folder, dtypes: ['q8', 'q4'] });
  for (const file of [
    'config.json',
    'tokenizer.json',
    'onnx/model_q4.onnx',
    'onnx/model_quantized.onnx_data',
  ]) {
    expect(files).toContain(file);
    expect(existsSync(join(folder, file))).toBe(true);
  }
});

test('--gguf: once, and again with --overwrite only; what it cannot hold', async () => {
  const file = join(dir, 'base.gguf');
  const args = ['export', base, '--gguf', file, '--dtype', 'q8'];
  expect(await postnas(args)).toMatchObject({ code: 0, stdout: `written to ${file} (architecture qwen3)\n` });
  const again = await postnasHere(args);
  expect(again).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('choose another name, or --overwrite'),
  });
  expect((await postnasHere([...args, '--overwrite'])).code).toBe(0);
  const refused = await postnasHere(['export', hybrid, '--gguf', join(dir, 'no.gguf')]);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain('layer 0 (jet_block): llama.cpp has no dynamic convolution');
});

test('--jet: says which code goes beside the model', async () => {
  const folder = join(dir, 'jet');
  const { code, stdout } = await postnas(['export', hybrid, '--jet', folder, '--dtype', 'bf16']);
  expect(code).toBe(0);
  expect(stdout).toContain('configuration_jet_nemotron.py and modeling_jet_nemotron.py');
  expect(JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')).torch_dtype).toBe('bfloat16');
});

test('one format at a time, in a type that it has', async () => {
  const none = await postnasHere(['export', base]);
  expect(none).toMatchObject({ code: 1, stderr: expect.stringContaining('one of --onnx, --gguf and --jet') });
  const wrong = await postnasHere(['export', base, '--gguf', join(dir, 'x.gguf'), '--dtype', 'bf16']);
  expect(wrong).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('expected one of f32, f16, q8, q4'),
  });
});
