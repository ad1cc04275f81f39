import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FullSequence } from '../../test/golden/full-sequence.ts';
import { EVERY_MIXER } from '../../test/support/every-mixer.ts';
import { releasedConfig } from '../../test/support/jet-nemotron.ts';
import { randomWeights, tinyConfig } from '../../test/support/random-model.ts';
import type { MixerSpec } from '../mixers/spec.ts';
import { openCheckpoint } from '../model/checkpoint.ts';
import type { ModelConfig } from '../model/config.ts';
import { exportJet } from './jet.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'postnas-export-jet-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

const { head_attention, window_linear, attention, jet_block, sliding_window, gated_deltanet } = EVERY_MIXER;
const generation = { bosTokenId: 1, eosTokenIds: [2] };

async function exported(layers: MixerSpec[], more: Partial<ModelConfig> = {}, folder = join(dir, 'jet')) {
  const config = tinyConfig(layers, { qkvBias: true, ...more });
  const weights = randomWeights(config);
  const files = await exportJet(folder, { config, weights, generation }, { dtype: 'F32', overwrite: true });
  return { config, weights, folder, files };
}

test('the reader finds the same model: equal logits', async () => {
  const { config, weights, folder, files } = await exported([
    jet_block,
    attention,
    sliding_window,
    jet_block,
  ]);
  expect(files).toEqual(['config.json', 'generation_config.json', 'model.safetensors']);
  const back = openCheckpoint(folder);
  expect(back.config).toEqual({ ...config, modelType: 'jet_nemotron' });
  const ids = Array.from({ length: 40 }, (_, i) => (i * 13 + 5) % 64);
  const before = new FullSequence(config, weights);
  const after = new FullSequence(back.config, back.weights);
  expect(await after.logits(ids)).toEqual(await before.logits(ids));
  await before.dispose();
  await after.dispose();
});

test('config.json has the fields of a released one, and the same auto_map', async () => {
  const { folder } = await exported([jet_block, attention, sliding_window]);
  const json = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'));
  const released = releasedConfig('2B');
  expect(json.auto_map).toEqual(released.auto_map);
  expect(json.model_type).toBe('jet_nemotron');
  expect(json.architectures).toEqual(released.architectures);
  expect(json.layer_types).toEqual(['jet', 'attn', 'swa']);
  for (const kind of ['jet', 'swa']) {
    const own = json.efficient_attention_config[kind];
    const theirs = (released.efficient_attention_config as Record<string, object>)[kind]!;
    expect(Object.keys(own)).toEqual(expect.arrayContaining(Object.keys(theirs)));
  }
});

test.each<[string, MixerSpec[], Partial<ModelConfig>, RegExp]>([
  ['another block', [jet_block, gated_deltanet], {}, /layer 1 is gated_deltanet, the family has/],
  ['another design', [{ ...jet_block, rope: true }], {}, /layer 0 is .*"rope":true/],
  ['heads', [jet_block, head_attention], {}, /layer 1 is head_attention, the family has attention/],
  ['window + linear', [jet_block, window_linear], {}, /layer 1 is window_linear, the family has/],
  ['sinks', [jet_block, { ...sliding_window, sinks: 4 }], {}, /layer 1 is .*"sinks":4/],
  ['two sizes', [jet_block, { ...jet_block, keyDim: 4 }], {}, /layer 0 is/],
  ['a parent without biases', [jet_block], { qkvBias: false }, /biases on q_proj/],
])('%s is refused by name', async (_, layers, more, message) => {
  const folder = join(dir, 'refused');
  await expect(exported(layers, more, folder)).rejects.toThrow(message);
  expect(existsSync(folder) ? readdirSync(folder) : []).toEqual([]);
});
