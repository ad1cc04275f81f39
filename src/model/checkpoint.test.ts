import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Random } from '../util/random.ts';
import { openCheckpoint, saveCheckpoint } from './checkpoint.ts';
import type { ModelConfig } from './config.ts';
import { configFromHf } from './hf-config.ts';
import { MemoryTensors } from './memory-tensors.ts';
import { modelParameters } from './parameters.ts';
import { writeSafetensors } from './safetensors.ts';
import { checkWeights } from './weights.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'postnas-checkpoint-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const CONFIG = configFromHf('test', {
  model_type: 'qwen3',
  vocab_size: 11,
  hidden_size: 8,
  intermediate_size: 12,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 4,
  tie_word_embeddings: false,
  bos_token_id: 1,
  eos_token_id: 2,
});

function randomWeights(config: ModelConfig): MemoryTensors {
  const random = new Random(3);
  return new MemoryTensors(
    modelParameters(config).map(({ name, shape }) => {
      const count = shape.reduce((product, size) => product * size, 1);
      return [name, { shape, data: Float32Array.from({ length: count }, () => random.normal()) }];
    }),
  );
}

/** The random weights with one tensor replaced (or removed, or added). */
function changed(name: string, shape: number[] | null, value = 0): MemoryTensors {
  const weights = randomWeights(CONFIG);
  weights.tensors.delete(name);
  const count = (shape ?? []).reduce((product, size) => product * size, 1);
  if (shape) weights.set(name, { shape, data: new Float32Array(count).fill(value) });
  return weights;
}

describe('folders', () => {
  test.each([undefined, 700])('saved and opened, shards of %s bytes', async (shardBytes) => {
    const folder = join(dir, `round-${shardBytes}`);
    const weights = randomWeights(CONFIG);
    const events: number[] = [];
    await saveCheckpoint(folder, CONFIG, weights, {
      dtype: 'F32',
      shardBytes,
      onProgress: ({ done, total }) => events.push(done / total),
    });
    expect(events.at(-1)).toBe(1);
    const files = readdirSync(folder).sort();
    if (shardBytes) {
      expect(files).toContain('model.safetensors.index.json');
      expect(files.filter((f) => /^model-\d{5}-of-\d{5}\.safetensors$/.test(f)).length).toBeGreaterThan(4);
      const index = JSON.parse(readFileSync(join(folder, 'model.safetensors.index.json'), 'utf8'));
      expect(Object.keys(index.weight_map)).toEqual(weights.names());
      const count = weights.names().reduce((sum, name) => sum + weights.read(name).length, 0);
      expect(index.metadata.total_size).toBe(4 * count);
    } else {
      expect(files).toEqual(['config.json', 'generation_config.json', 'model.safetensors']);
    }

    const opened = openCheckpoint(folder);
    expect(opened.config).toEqual(CONFIG);
    expect(opened.generation).toEqual({ bosTokenId: 1, eosTokenIds: [2] });
    checkWeights(opened.config, opened.weights, { values: true });
    for (const name of weights.names()) expect(opened.weights.read(name)).toEqual(weights.read(name));
  });

  test('saved over itself, from shards to one file', async () => {
    const folder = join(dir, 'over');
    const weights = randomWeights(CONFIG);
    await saveCheckpoint(folder, CONFIG, weights, { dtype: 'F32', shardBytes: 600 });
    const opened = openCheckpoint(folder);
    await saveCheckpoint(folder, opened.config, opened.weights, { dtype: 'BF16', tokenizerFrom: folder });
    expect(readdirSync(folder).sort()).toEqual([
      'config.json',
      'generation_config.json',
      'model.safetensors',
    ]);
    const name = 'model.norm.weight';
    const reopened = openCheckpoint(folder).weights;
    expect(reopened.info(name).dtype).toBe('BF16');
    reopened.read(name).forEach((value, i) => {
      expect(value).toBeCloseTo(weights.read(name)[i]!, 1);
    });
  });

  test('the tokenizer comes along, a tied head does not', async () => {
    const source = join(dir, 'tokenizer');
    mkdirSync(source);
    writeFileSync(join(source, 'tokenizer.json'), '{}');
    writeFileSync(join(source, 'chat_template.jinja'), '{{ messages }}');
    writeFileSync(join(source, 'unrelated.txt'), '');
    const tied = { ...CONFIG, tieWordEmbeddings: true };
    const folder = join(dir, 'tied');
    await saveCheckpoint(folder, tied, randomWeights(CONFIG), { dtype: 'F16', tokenizerFrom: source });
    expect(readFileSync(join(folder, 'chat_template.jinja'), 'utf8')).toBe('{{ messages }}');
    expect(existsSync(join(folder, 'tokenizer.json'))).toBe(true);
    expect(existsSync(join(folder, 'unrelated.txt'))).toBe(false);
    const { weights } = openCheckpoint(folder);
    expect(weights.has('lm_head.weight')).toBe(false);
    checkWeights(tied, weights);
  });

  test('a save that fails leaves what was there', async () => {
    const folder = join(dir, 'kept');
    const weights = randomWeights(CONFIG);
    await saveCheckpoint(folder, CONFIG, weights, { dtype: 'F32' });
    const before = readdirSync(folder);
    const nan = changed('model.norm.weight', [8], Number.NaN);
    await expect(saveCheckpoint(folder, CONFIG, nan, { dtype: 'F32' })).rejects.toThrow(
      /tensor 'model\.norm\.weight' holds NaN at index 0/,
    );
    const large = changed('model.norm.weight', [8], 70000);
    await expect(saveCheckpoint(folder, CONFIG, large, { dtype: 'F16' })).rejects.toThrow(/beyond float16/);
    const signal = AbortSignal.abort();
    await expect(saveCheckpoint(folder, CONFIG, weights, { dtype: 'F32', signal })).rejects.toThrow(/abort/i);
    expect(readdirSync(folder)).toEqual(before);
    expect(openCheckpoint(folder).weights.read('model.norm.weight')).toEqual(
      weights.read('model.norm.weight'),
    );
  });

  // A limit on the size of files stops a write in the middle, as a disk that fills up does.
  test.skipIf(process.platform === 'win32')(
    'a disk that fills up while weights are written (needs another system than Windows)',
    async () => {
      const folder = join(dir, 'full');
      await saveCheckpoint(folder, CONFIG, randomWeights(CONFIG), { dtype: 'F32' });
      const before = readdirSync(folder).map((file) => readFileSync(join(folder, file)));
      const script = `
      import { openCheckpoint, saveCheckpoint } from ${JSON.stringify(join(import.meta.dirname, 'checkpoint.ts'))};
      const { config, weights } = openCheckpoint(${JSON.stringify(folder)});
      await saveCheckpoint(${JSON.stringify(folder)}, config, weights, { dtype: 'F16' }).catch((error) => {
        console.log(error.name + ': ' + error.message);
      });`;
      const limited = `trap '' XFSZ; ulimit -f 1; exec "$0" --import tsx --input-type=module -e "$1"`;
      const printed = execFileSync('sh', ['-c', limited, process.execPath, script], { encoding: 'utf8' });
      expect(printed).toMatch(
        /^InputError: cannot write .*full\/\.saving\/model\.safetensors: the file system takes no file of that size/,
      );
      expect(readdirSync(folder).map((file) => readFileSync(join(folder, file)))).toEqual(before);
    },
  );
});

describe('folders with mistakes', () => {
  const folderWith = (name: string, files: Record<string, unknown>) => {
    const folder = join(dir, name);
    mkdirSync(folder);
    for (const [file, content] of Object.entries(files)) {
      writeFileSync(join(folder, file), typeof content === 'string' ? content : JSON.stringify(content));
    }
    return folder;
  };
  const config = {
    model_type: 'llama',
    vocab_size: 8,
    hidden_size: 4,
    intermediate_size: 4,
    num_hidden_layers: 1,
    num_attention_heads: 1,
  };

  test('no model folder, no weights, broken JSON', () => {
    expect(() => openCheckpoint(join(dir, 'nowhere'))).toThrow(/nowhere is no model folder/);
    const torch = folderWith('torch', { 'config.json': config, 'pytorch_model.bin': '' });
    expect(() => openCheckpoint(torch)).toThrow(
      /neither model\.safetensors nor .*; pytorch_model\.bin cannot/,
    );
    const text = folderWith('text', { 'config.json': '{ no' });
    expect(() => openCheckpoint(text)).toThrow(/text\/config\.json is not JSON/);
    const mamba = folderWith('mamba', { 'config.json': { ...config, model_type: 'mamba2' } });
    expect(() => openCheckpoint(mamba)).toThrow(/mamba\/config\.json: model_type 'mamba2' is not supported/);
  });

  test('an index that does not fit its shards', () => {
    const open = (name: string, index: unknown) => {
      const folder = folderWith(name, { 'config.json': config, 'model.safetensors.index.json': index });
      writeSafetensors(join(folder, 's1'), [
        { name: 'a', dtype: 'F32', shape: [], data: new Float32Array(1) },
      ]);
      return () => openCheckpoint(folder);
    };
    expect(open('no-map', {})).toThrow(/weight_map is missing/);
    expect(open('no-shard', { weight_map: { a: 's2' } })).toThrow(/cannot read .*s2/);
    expect(open('no-tensor', { weight_map: { a: 's1', b: 's1' } })).toThrow(/s1 has no tensor 'b'/);
    expect(open('escape', { weight_map: { a: '../s1' } })).toThrow(
      /a is "\.\.\/s1", expected the name of a file/,
    );
  });

  test('NaN is reported when the tensor is read', async () => {
    const folder = join(dir, 'nan');
    const weights = changed('model.norm.weight', [8], Number.NaN);
    await saveCheckpoint(folder, CONFIG, randomWeights(CONFIG), { dtype: 'F32' });
    writeSafetensors(
      join(folder, 'model.safetensors'),
      weights.names().map((name) => ({ ...weights.info(name), dtype: 'F32', data: weights.read(name) })),
    );
    const opened = openCheckpoint(folder).weights;
    expect(() => opened.read('model.norm.weight')).toThrow(
      /nan: tensor 'model\.norm\.weight' holds NaN at index 0, expected finite/,
    );
  });

  test('weights of another model', async () => {
    const folder = join(dir, 'other');
    await saveCheckpoint(folder, CONFIG, changed('model.norm.weight', [9], 1), { dtype: 'F32' });
    expect(() => openCheckpoint(folder)).toThrow(
      /other: tensor 'model\.norm\.weight' has shape \[9\], the configuration asks for \[8\]/,
    );
  });
});

describe('checkWeights', () => {
  const check = (weights: MemoryTensors, values = false) =>
    checkWeights(CONFIG, weights, { values, where: 'm' });

  test('accepts the right tensors, and redundant ones', () => {
    check(randomWeights(CONFIG), true);
    check(changed('model.layers.0.self_attn.rotary_emb.inv_freq', [4]));
  });

  test('names what is missing, misshapen, superfluous or not finite', () => {
    const q = 'model.layers.1.self_attn.q_proj.weight';
    expect(() => check(changed(q, null))).toThrow(`m: tensor '${q}' of shape [16,8] is missing`);
    expect(() => check(changed(q, [8, 16]))).toThrow(
      `m: tensor '${q}' has shape [8,16], the configuration asks`,
    );
    expect(() => check(changed('model.layers.1.self_attn.q_proj.bias', [16]))).toThrow(/has no place/);
    expect(() => check(changed(q, [16, 8], Number.NaN), true)).toThrow(
      /q_proj\.weight' holds NaN at index 0/,
    );
  });

  test('knows the parameters of every mixer', async () => {
    const layers = CONFIG.layers.with(1, {
      kind: 'gla',
      heads: 1,
      keyDim: 2,
      valueDim: 2,
      gateRank: 1,
      rope: false,
    });
    const config: ModelConfig = { ...CONFIG, modelType: 'postnas', layers };
    const weights = randomWeights(config);
    checkWeights(config, weights);
    expect(() => checkWeights(config, randomWeights(CONFIG))).toThrow(
      /model\.layers\.1\.self_attn\..* is missing|has shape/,
    );
    const folder = join(dir, 'hybrid');
    await saveCheckpoint(folder, config, weights, { dtype: 'F32' });
    expect(openCheckpoint(folder).config).toEqual(config);
  });
});

const golden = join(import.meta.dirname, '../../test/golden/models');

describe('folders written by transformers', () => {
  test.each(readdirSync(golden))('%s', (name) => {
    const { config, weights } = openCheckpoint(join(golden, name));
    checkWeights(config, weights, { values: true, where: name });
  });

  test('shards hold what the single file holds', () => {
    const one = openCheckpoint(join(golden, 'llama')).weights;
    const sharded = openCheckpoint(join(golden, 'llama-sharded')).weights;
    expect(sharded.names().sort()).toEqual(one.names().sort());
    for (const name of one.names()) expect(sharded.read(name)).toEqual(one.read(name));
  });
});
