import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { tinyConfig } from '../../test/support/random-model.ts';
import { tinyTokenizerFiles } from '../../test/support/tiny-tokenizer.ts';
import { openCheckpoint } from './checkpoint.ts';
import { configToHf } from './hf-config.ts';
import { modelParameters } from './parameters.ts';
import { initCheckpoint, RandomWeights } from './random-checkpoint.ts';
import { checkWeights } from './weights.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'postnas-init-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const sizes = {
  vocab_size: 64,
  hidden_size: 32,
  intermediate_size: 48,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 8,
};
const hybrid = configToHf(
  tinyConfig([
    { kind: 'gla', heads: 2, keyDim: 8, valueDim: 8, gateRank: 4, rope: true },
    { kind: 'attention' },
    { kind: 'gated_deltanet', heads: 2, keyDim: 8, valueDim: 12, convSize: 4, rope: false },
    { kind: 'sliding_window', window: 16 },
  ]),
  'float32',
);

/** A file config.json in a folder of its own. */
function configFile(name: string, json: Record<string, unknown>): string {
  const folder = join(dir, `${name}-config`);
  mkdirSync(folder);
  writeFileSync(join(folder, 'config.json'), JSON.stringify(json));
  return join(folder, 'config.json');
}

describe('a folder from a configuration', () => {
  test.each([
    ['llama', { ...sizes, model_type: 'llama', attention_bias: true, mlp_bias: true }],
    ['qwen2', { ...sizes, model_type: 'qwen2', tie_word_embeddings: true }],
    ['qwen3', { ...sizes, model_type: 'qwen3' }],
    [
      'jet_nemotron',
      {
        ...sizes,
        model_type: 'jet_nemotron',
        layer_types: ['jet', 'swa'],
        efficient_attention_config: { jet: { num_heads: 2, head_dim: 8 }, swa: { window_size: 16 } },
      },
    ],
    ['postnas', hybrid],
  ])('%s', async (name, json) => {
    const folder = join(dir, name);
    const config = await initCheckpoint(folder, configFile(name, json), { dtype: 'F32' });
    const opened = openCheckpoint(folder);
    expect(opened.config).toEqual(config);
    expect(opened.config.modelType).toBe(name);
    checkWeights(config, opened.weights, { values: true });
    const weights = new RandomWeights(config, 1);
    expect(opened.weights.names()).toEqual(modelParameters(config).map((parameter) => parameter.name));
    for (const tensor of weights.names()) expect(opened.weights.read(tensor)).toEqual(weights.read(tensor));
    const matrix = opened.weights.read('model.layers.1.mlp.up_proj.weight');
    const deviation = Math.sqrt(matrix.reduce((sum, x) => sum + x * x, 0) / matrix.length);
    expect(deviation).toBeGreaterThan(0.018);
    expect(deviation).toBeLessThan(0.022);
  });

  test('in shards, rounded, with another seed, with a tokenizer, from a folder', async () => {
    const source = join(dir, 'source');
    mkdirSync(source);
    writeFileSync(join(source, 'config.json'), JSON.stringify(hybrid));
    for (const [file, text] of Object.entries(tinyTokenizerFiles)) writeFileSync(join(source, file), text);
    const events: number[] = [];
    const folder = join(dir, 'sharded');
    const config = await initCheckpoint(folder, source, {
      dtype: 'BF16',
      seed: 7,
      shardBytes: 20_000,
      tokenizer: source,
      onProgress: ({ done, total }) => events.push(done / total),
    });
    expect([events[0], events.at(-1)]).toEqual([0, 1]);
    const files = readdirSync(folder);
    expect(files.filter((file) => file.endsWith('.safetensors')).length).toBeGreaterThan(2);
    expect(files).toEqual(expect.arrayContaining(Object.keys(tinyTokenizerFiles)));
    const { weights } = openCheckpoint(folder);
    const name = 'model.layers.0.self_attn.q_proj.weight';
    expect(weights.info(name).dtype).toBe('BF16');
    const exact = new RandomWeights(config, 7).read(name);
    weights.read(name).forEach((value, i) => {
      expect(Math.abs(value - exact[i]!)).toBeLessThanOrEqual(Math.abs(exact[i]!) / 256);
    });
    expect(new RandomWeights(config, 8).read(name)).not.toEqual(exact);
  });
});

test('tensors differ from each other, and not from one reading to the next', () => {
  const weights = new RandomWeights(tinyConfig([{ kind: 'attention' }, { kind: 'attention' }]), 3);
  const [first, second] = [0, 1].map((i) => weights.read(`model.layers.${i}.self_attn.q_proj.weight`));
  expect(first).not.toEqual(second);
  expect(weights.read('model.layers.0.self_attn.q_proj.weight')).toEqual(first);
  expect(() => weights.read('model.layers.2.self_attn.q_proj.weight')).toThrow(/has no tensor/);
});

describe('refused', () => {
  test('a folder with weights, which stay', async () => {
    const folder = join(dir, 'kept');
    const config = configFile('kept', { ...sizes, model_type: 'llama' });
    await initCheckpoint(folder, config);
    const before = readFileSync(join(folder, 'model.safetensors'));
    await expect(initCheckpoint(folder, config, { seed: 2 })).rejects.toThrow(
      expect.objectContaining({
        name: 'InputError',
        message: `${folder} holds weights already; choose another folder`,
      }),
    );
    expect(readFileSync(join(folder, 'model.safetensors')).equals(before)).toBe(true);
  });

  test('no configuration, an unknown one, a tokenizer that does not fit', async () => {
    const into = join(dir, 'never');
    await expect(initCheckpoint(into, join(dir, 'nothing'))).rejects.toThrow(/nothing is no model folder/);
    await expect(initCheckpoint(into, configFile('mamba', { model_type: 'mamba' }))).rejects.toThrow(
      /config\.json: model_type 'mamba' is not supported/,
    );
    const small = configFile('small', { ...sizes, model_type: 'llama', vocab_size: 63 });
    const tokenizer = join(dir, 'tokenizer');
    mkdirSync(tokenizer);
    await expect(initCheckpoint(into, small, { tokenizer })).rejects.toThrow(/has no tokenizer\.json/);
    for (const [file, text] of Object.entries(tinyTokenizerFiles)) writeFileSync(join(tokenizer, file), text);
    await expect(initCheckpoint(into, small, { tokenizer })).rejects.toThrow(
      /tokenizer\.json has token ids up to 63, but the model's vocabulary has 63 entries/,
    );
    expect(readdirSync(dir)).not.toContain('never');
  });

  test('Ctrl-C leaves nothing', async () => {
    const into = join(dir, 'stopped');
    const config = configFile('stopped', { ...sizes, model_type: 'llama' });
    const controller = new AbortController();
    const stopping = initCheckpoint(into, config, {
      onProgress: ({ done }) => done > 0 && controller.abort(),
      signal: controller.signal,
    });
    await expect(stopping).rejects.toThrow(/abort/i);
    expect(readdirSync(into)).toEqual([]);
    await initCheckpoint(into, config);
  });
});
