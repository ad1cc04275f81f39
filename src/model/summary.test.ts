import { expect, test } from 'vitest';
import { configFromHf } from './hf-config.ts';
import { summarise } from './summary.ts';

/** Published sizes; parameters and bytes per token are those of spec §1.3 and §1.10. */
const QWEN = { vocab_size: 151_936, tie_word_embeddings: true, hidden_act: 'silu' };

test.each([
  [
    'Qwen2.5-1.5B',
    { model_type: 'qwen2', hidden_size: 1536, intermediate_size: 8960, num_attention_heads: 12 },
    { num_hidden_layers: 28, num_key_value_heads: 2 },
    { parameters: 1_543_714_304, perToken: 28_672 },
  ],
  [
    'Qwen2.5-3B',
    { model_type: 'qwen2', hidden_size: 2048, intermediate_size: 11_008, num_attention_heads: 16 },
    { num_hidden_layers: 36, num_key_value_heads: 2 },
    { parameters: 3_085_938_688, perToken: 36_864 },
  ],
  [
    'Qwen3-1.7B',
    { model_type: 'qwen3', hidden_size: 2048, intermediate_size: 6144, num_attention_heads: 16 },
    { num_hidden_layers: 28, num_key_value_heads: 8 },
    { parameters: 1_720_574_976, perToken: 114_688 },
  ],
])('%s', (_, width, depth, { parameters, perToken }) => {
  const summary = summarise(configFromHf('c', { ...QWEN, ...width, ...depth }), 1000, 2);
  expect(summary.parameters).toBe(parameters);
  expect(summary.stateBytes).toBe(1000 * perToken);
  expect(summary.architecture).toBe('A'.repeat(depth.num_hidden_layers));
  expect(summary.parent).toEqual({ parameters, stateBytes: summary.stateBytes });
  const layers = summary.layers.reduce((sum, layer) => sum + layer.parameters, 0);
  expect(layers + summary.embeddingParameters + width.hidden_size).toBe(parameters);
});

test('a hybrid beside the attention in all of its layers, with a head of its own', () => {
  const sizes = { vocab_size: 64, hidden_size: 8, intermediate_size: 16, num_attention_heads: 2 };
  const gla = { kind: 'gla', heads: 2, key_dim: 4, value_dim: 4, gate_rank: 2, rope: true };
  const config = configFromHf('c', {
    ...sizes,
    model_type: 'postnas',
    num_hidden_layers: 3,
    layers: [gla, { kind: 'attention' }, { kind: 'sliding_window', window: 10 }],
  });
  const { embeddingParameters, layers, stateBytes, parent, architecture } = summarise(config, 100, 4);
  expect(architecture).toBe('GAW');
  expect(embeddingParameters).toBe(2 * 64 * 8);
  const attention = 4 * 8 * 8;
  expect(layers.map((layer) => layer.mixerParameters)).toEqual([
    5 * 8 * 8 + 2 * 8 + 8 * 2 + 8 + 4,
    attention,
    attention,
  ]);
  const perToken = 2 * 8 * 4;
  expect(stateBytes).toBe(2 * 4 * 4 * 4 + 100 * perToken + 10 * perToken);
  expect(parent.stateBytes).toBe(300 * perToken);
  expect(parent.parameters).toBe(2 * 64 * 8 + 8 + 3 * (2 * 8 + attention + 3 * 8 * 16));
});
