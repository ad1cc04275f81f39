import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { randomWeights, tinyConfig } from '../../test/support/random-model.ts';
import { openCheckpoint, saveCheckpoint } from './checkpoint.ts';
import { configToHf } from './hf-config.ts';
import { modelParameters } from './parameters.ts';
import { type TensorToWrite, type WrittenDtype, writeSafetensors } from './safetensors.ts';

const EMBEDDING = 'model.embed_tokens.weight';
const HEAD = 'lm_head.weight';

const config = tinyConfig([{ kind: 'attention' }], { tieWordEmbeddings: true });
const weights = randomWeights(config);

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'postnas-stored-'));
  writeFileSync(join(dir, 'config.json'), JSON.stringify(configToHf(config, 'float32')));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const tensor = (name: string, from = name, dtype: WrittenDtype = 'F32'): TensorToWrite => ({
  ...weights.info(from),
  name,
  dtype,
  data: weights.read(from),
});
const all = (except = '') =>
  weights
    .names()
    .filter((name) => name !== except)
    .map((name) => tensor(name));
const opened = (tensors: TensorToWrite[]) => {
  writeSafetensors(join(dir, 'model.safetensors'), tensors);
  return openCheckpoint(dir);
};

describe('a tied model whose file has a head', () => {
  test('that is the embedding: it stays tied', () => {
    const { config: found, notices } = opened([...all(), tensor(HEAD, EMBEDDING)]);
    expect(found.tieWordEmbeddings).toBe(true);
    expect(notices).toEqual([]);
  });

  test('that is the embedding in another type', () => {
    const halves = { ...tensor(EMBEDDING, EMBEDDING, 'BF16') };
    const rounded = opened([halves, ...all(EMBEDDING)]).weights.read(EMBEDDING);
    const head: TensorToWrite = { ...tensor(HEAD, EMBEDDING), data: rounded };
    expect(opened([halves, ...all(EMBEDDING), head]).config.tieWordEmbeddings).toBe(true);
  });

  test('that differs in its last value: the head counts, is told, and is kept when saved', async () => {
    const values = weights.read(EMBEDDING).slice();
    values[values.length - 1]! += 1;
    const checkpoint = opened([...all(), { ...tensor(HEAD, EMBEDDING), data: values }]);
    expect(checkpoint.config.tieWordEmbeddings).toBe(false);
    expect(checkpoint.weights.read(HEAD)).toEqual(values);
    expect(checkpoint.notices).toEqual([
      expect.stringMatching(/^config\.json ties the head .*lm_head\.weight is another matrix/),
    ]);
    const folder = join(dir, 'saved');
    await saveCheckpoint(folder, checkpoint.config, checkpoint.weights, { dtype: 'F32' });
    const again = openCheckpoint(folder);
    expect(again.weights.read(HEAD)).toEqual(values);
    expect(again.notices).toEqual([]);
  });

  test('of another size is refused', () => {
    const head: TensorToWrite = { name: HEAD, dtype: 'F32', shape: [2, 2], data: new Float32Array(4) };
    expect(() => opened([...all(), head])).toThrow(
      /'lm_head\.weight' has shape \[2,2\], the configuration asks/,
    );
  });

  test('and no embedding: the head is both', () => {
    const checkpoint = opened([...all(EMBEDDING), tensor(HEAD, EMBEDDING)]);
    expect(checkpoint.config.tieWordEmbeddings).toBe(true);
    expect(checkpoint.weights.read(EMBEDDING)).toEqual(weights.read(EMBEDDING));
    expect(checkpoint.weights.names().sort()).toEqual(weights.names().sort());
  });
});

test('a decoder saved without its head has names without their beginning', () => {
  const bare = all().map((one) => ({ ...one, name: one.name.replace(/^model\./, '') }));
  const checkpoint = opened(bare);
  for (const { name } of modelParameters(config)) {
    expect(checkpoint.weights.read(name), name).toEqual(weights.read(name));
  }
  expect(() => opened([...bare, tensor('model.norm.weight')])).toThrow(/'model\.embed_tokens.* is missing/);
});

describe('shards', () => {
  const index = (map: Record<string, string>) =>
    writeFileSync(join(dir, 'model.safetensors.index.json'), JSON.stringify({ weight_map: map }));
  const shards = (first: TensorToWrite[], second: TensorToWrite[], listed: (name: string) => boolean) => {
    rmSync(join(dir, 'model.safetensors'), { force: true });
    writeSafetensors(join(dir, 'a.safetensors'), first);
    writeSafetensors(join(dir, 'b.safetensors'), second);
    const entries = [
      ...first.map(({ name }) => [name, 'a.safetensors']),
      ...second.map(({ name }) => [name, 'b.safetensors']),
    ];
    index(Object.fromEntries(entries.filter(([name]) => listed(name!))));
    return () => openCheckpoint(dir);
  };
  const [one, ...others] = all();

  test('a tensor that the index leaves out belongs to the model; one without a place is named', () => {
    const open = shards([one!], others, (name) => name !== 'model.norm.weight');
    expect(open().weights.read('model.norm.weight')).toEqual(weights.read('model.norm.weight'));
    const extra = tensor('model.layers.0.self_attn.q_proj.bias', 'model.norm.weight');
    expect(shards([one!, extra], others, (name) => name !== extra.name)).toThrow(
      /q_proj\.bias' has no place in the configured model$/,
    );
  });

  test('a tensor in two of them is refused', () => {
    expect(shards([one!, others[0]!], others, () => true)).toThrow(
      /' is in .*b\.safetensors and in .*a\.safetensors/,
    );
  });

  test.each(['../a.safetensors', '/etc/passwd', 'sub/a.safetensors', '..', '.', 'C:a', 'a\0', '..\\a', ''])(
    'an index that leads to %j is refused',
    (file) => {
      rmSync(join(dir, 'model.safetensors'), { force: true });
      index({ 'model.norm.weight': file });
      expect(() => openCheckpoint(dir)).toThrow(/expected the name of a file beside the index/);
    },
  );
});
