import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { unknownFields } from './config-fields.ts';
import { configFromHf } from './hf-config.ts';
import type { JsonObject } from './json-fields.ts';

const COMMON = {
  model_type: 'llama',
  vocab_size: 100,
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 4,
};
const read = (fields: JsonObject) => configFromHf('x/config.json', { ...COMMON, ...fields });

describe('a field that changes what is computed', () => {
  test.each<[string, unknown, unknown]>([
    ['partial_rotary_factor', 0.5, 1],
    ['rope_interleaved', true, false],
    ['attention_multiplier', 0.1, 0.25],
    ['query_pre_attn_scalar', 32, 16],
    ['embedding_multiplier', 12, 1],
    ['residual_multiplier', 0.22, 1.0],
    ['logits_scaling', 8, 1],
    ['logit_scale', 0.0625, 1],
    ['attn_logit_softcapping', 50, null],
    ['final_logit_softcapping', 30, null],
    ['clip_qkv', 8, null],
    ['attention_chunk_size', 8192, null],
    ['qk_norm', true, false],
    ['parallel_attn', true, false],
    ['alibi', true, false],
    ['num_local_experts', 8, 0],
    ['no_rope_layers', [1, 0], [1, 1]],
    ['is_encoder_decoder', true, false],
    ['per_layer_config', [{}], null],
    ['quantization', { bits: 4, group_size: 64 }, null],
    ['quantization_config', { quant_method: 'gptq', bits: 4 }, null],
    ['hidden_act', 'gelu', 'silu'],
    ['hidden_activation', 'gelu_pytorch_tanh', 'silu'],
    ['sliding_window', 128, null],
    ['layer_types', ['full_attention', 'sliding_attention'], ['full_attention', 'full_attention']],
  ])('%s: %j is refused, %j is not', (name, changing, neutral) => {
    expect(() => read({ [name]: changing })).toThrow(
      expect.objectContaining({
        name: 'InputError',
        message: expect.stringMatching(
          new RegExp(`^x/config\\.json: ${name} is .*, expected .*\\(model_type 'llama'\\)$`),
        ),
      }),
    );
    const config = read({ [name]: neutral });
    expect(unknownFields({ [name]: neutral }, config)).toEqual([]);
  });

  test('a window that no sequence reaches, or that is off', () => {
    expect(read({ sliding_window: 2048 }).layers[0]).toEqual({ kind: 'attention' });
    expect(read({ sliding_window: 128, use_sliding_window: false }).layers[0]).toEqual({ kind: 'attention' });
  });
});

test('what is on no list is named', () => {
  const fields = {
    torch_dtype: 'bfloat16',
    dual_chunk_attention_config: { chunk_size: 8 },
    pretraining_tp: 2,
    x: null,
  };
  expect(unknownFields({ ...COMMON, ...fields }, read(fields))).toEqual(['dual_chunk_attention_config']);
});

test('nothing in the models of the repository is unknown', () => {
  const root = join(import.meta.dirname, '../..');
  for (const folder of ['models', 'test/golden/models']) {
    for (const name of readdirSync(join(root, folder))) {
      const json = JSON.parse(readFileSync(join(root, folder, name, 'config.json'), 'utf8'));
      expect(unknownFields(json, configFromHf(name, json)), name).toEqual([]);
    }
  }
});
