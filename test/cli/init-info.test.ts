/** `postnas init` and `postnas info`: what they print where, and their exit codes. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { postnas, postnasHere } from '../support/command.ts';

const gla = { kind: 'gla', heads: 4, key_dim: 8, value_dim: 8, gate_rank: 4, rope: true };
const config = {
  model_type: 'postnas',
  vocab_size: 64,
  hidden_size: 32,
  intermediate_size: 48,
  num_hidden_layers: 3,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  layers: [gla, gla, { kind: 'attention' }],
};

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'postnas-info-'));
  writeFileSync(join(dir, 'config.json'), JSON.stringify(config));
});
afterAll(() => rmSync(dir, { recursive: true }));

test('a configuration alone, made a model, shown again', async () => {
  const shown = await postnas(['info', dir, '--json', '--context', '1000', '--dtype', 'f32']);
  expect(shown.stderr).toBe('');
  const info = JSON.parse(shown.stdout);
  // A state of 8 x 8 for 4 heads, and keys and values of 2 heads of 8.
  const linear = { mixer: gla, state: { cache: 0, recurrent: 4 * 8 * 8 * 4, inputs: 0 } };
  expect(info).toMatchObject({
    architecture: 'GGA',
    weights: null,
    context: 1000,
    dtype: 'F32',
    layers: [
      linear,
      linear,
      { mixer: { kind: 'attention' }, state: { cache: 2 * 2 * 8 * 1000 * 4, recurrent: 0, inputs: 0 } },
    ],
    stateBytes: 2 * 1024 + 128_000,
    parent: { stateBytes: 384_000 },
    ratio: 384_000 / 130_048,
  });

  const model = join(dir, 'model');
  const made = await postnas(['init', model, '--config', dir, '--dtype', 'F16', '--seed', '3', '--quiet']);
  expect(made).toEqual({
    code: 0,
    stdout: `${info.parameters.toLocaleString('en-US')} parameters written to ${model}\n`,
    stderr: '',
  });
  expect(readdirSync(model).sort()).toEqual(['config.json', 'generation_config.json', 'model.safetensors']);

  const text = await postnas(['info', model]);
  expect(text.stdout).toMatch(
    /^model +postnas, 3 layers of width 32\narchitecture +GGA\nparameters +[\d,]+, of them embedding 4,096\ncontext +2,048 tokens\nweights +F16, /,
  );
  expect(text.stdout).toMatch(
    /\nmixers +gla heads=4 key_dim=8 value_dim=8 gate_rank=4 rope=true, layers 0-1\n +attention, layer 2\n/,
  );
  expect(text.stdout).toMatch(
    /\n +0-1 +gla +[\d,]+ +[\d,]+ +1\.0 KiB\n +2 +attention +[\d,]+ +[\d,]+ +4\.0 MiB\n/,
  );
  expect(text.stdout).toMatch(/\nthis model +[\d,]+ +4,196,352 +4\.0 MiB\n/);
  expect(text.stdout).toMatch(
    /\nwith attention in all layers +[\d,]+ +12,582,912 +12\.0 MiB\nattention : this model +3\.00\n/,
  );
});

test('a sequence longer than the context of the model is said to be', async () => {
  const short = join(dir, 'short.json');
  const rope_scaling = {
    rope_type: 'llama3',
    factor: 8,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 1024,
  };
  writeFileSync(short, JSON.stringify({ ...config, max_position_embeddings: 8192, rope_scaling }));
  const beyond = await postnasHere(['info', short, '--context', '65536']);
  expect(beyond.stdout).toMatch(
    /\ncontext +8,192 tokens \(max_position_embeddings; RoPE scaling llama3, factor 8, from 1,024\)\n/,
  );
  expect(beyond.stdout).toContain("longer than this model's context of 8,192 tokens");
  const within = await postnasHere(['info', short, '--context', '8192']);
  expect(within.stdout).not.toContain('longer than');
});

test('a mistake in one line', async () => {
  const broken = join(dir, 'broken.json');
  writeFileSync(broken, JSON.stringify({ ...config, hidden_size: '32' }));
  expect(await postnasHere(['init', join(dir, 'none'), '--config', broken])).toEqual({
    code: 1,
    stdout: '',
    stderr: `postnas: ${broken}: hidden_size is "32", expected a whole number of at least 1\n`,
  });
});
