/** `postnas init` and `postnas info` as processes: what they print where, and their exit codes. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { postnas } from '../support/command.ts';

const config = {
  model_type: 'postnas',
  vocab_size: 64,
  hidden_size: 32,
  intermediate_size: 48,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  layers: [
    { kind: 'gla', heads: 4, key_dim: 8, value_dim: 8, gate_rank: 4, rope: true },
    { kind: 'attention' },
  ],
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
  expect(info).toMatchObject({
    architecture: 'GA',
    weights: null,
    context: 1000,
    dtype: 'F32',
    layers: [
      { mixer: config.layers[0], state: { cache: 0, recurrent: 4 * 8 * 8 * 4, inputs: 0 } },
      { mixer: config.layers[1], state: { cache: 2 * 2 * 8 * 1000 * 4, recurrent: 0, inputs: 0 } },
    ],
    stateBytes: 1024 + 128_000,
    parent: { stateBytes: 256_000 },
    ratio: 256_000 / 129_024,
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
  expect(text.stdout).toMatch(/^model +postnas, 2 layers of width 32\narchitecture +GA\n/);
  expect(text.stdout).toMatch(/\nweights +F16, /);
  expect(text.stdout).toMatch(
    /\n +1 +gla heads=4 key_dim=8 value_dim=8 gate_rank=4 rope=true +[\d,]+ +[\d,]+ +1\.0 KiB\n/,
  );
  expect(text.stdout).toMatch(/\nthis model +[\d,]+ +4,195,328 +4\.0 MiB\n/);
  expect(text.stdout).toMatch(
    /\nwith attention in all layers +[\d,]+ +8,388,608 +8\.0 MiB\nattention : this model +2\.00/,
  );
});

test('a mistake in one line', async () => {
  const broken = join(dir, 'broken.json');
  writeFileSync(broken, JSON.stringify({ ...config, hidden_size: '32' }));
  expect(await postnas(['init', join(dir, 'none'), '--config', broken])).toEqual({
    code: 1,
    stdout: '',
    stderr: `postnas: ${broken}: hidden_size is "32", expected a whole number of at least 1\n`,
  });
});
