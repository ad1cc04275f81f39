/** The configurations of the released Jet-Nemotron models, as their config.json have them (spec §1.1). */

interface Size {
  layers: number;
  attn: number[];
  swa: number[];
  fields: Record<string, unknown>;
  jet: Record<string, unknown>;
  window: number;
}

const SIZES: Record<'2B' | '4B', Size> = {
  '2B': {
    layers: 28,
    attn: [14, 19],
    swa: [20, 21],
    fields: {
      hidden_size: 1536,
      intermediate_size: 8960,
      num_attention_heads: 12,
      max_position_embeddings: 131_072,
    },
    jet: { expand_v: 2.6666666667, head_dim: 96, num_heads: 12 },
    window: 1152,
  },
  '4B': {
    layers: 36,
    attn: [17, 20, 32],
    swa: [5, 16, 19, 21, 22, 25, 27],
    fields: {
      hidden_size: 2048,
      intermediate_size: 11_008,
      num_attention_heads: 16,
      max_position_embeddings: 32_768,
    },
    jet: { expand_v: 2, head_dim: 128, num_heads: 16 },
    window: 2048,
  },
};

/** config.json of the model of this size. */
export function releasedConfig(size: '2B' | '4B'): Record<string, unknown> {
  const { layers, attn, swa, fields, jet, window } = SIZES[size];
  return {
    architectures: ['JetNemotronForCausalLM'],
    attention_dropout: 0,
    auto_map: {
      AutoConfig: 'configuration_jet_nemotron.JetNemotronConfig',
      AutoModelForCausalLM: 'modeling_jet_nemotron.JetNemotronForCausalLM',
    },
    bos_token_id: 151_643,
    efficient_attention_config: {
      jet: {
        conv_size: 4,
        dconv_generator_reduction: 8,
        dconv_implementation: 'triton',
        mode: 'chunk',
        norm_eps: '1e-5',
        ...jet,
      },
      swa: { window_size: window },
    },
    eos_token_id: 151_643,
    hidden_act: 'silu',
    initializer_range: 0.02,
    layer_types: Array.from({ length: layers }, (_, i) =>
      attn.includes(i) ? 'attn' : swa.includes(i) ? 'swa' : 'jet',
    ),
    max_window_layers: layers,
    model_type: 'jet_nemotron',
    num_hidden_layers: layers,
    num_key_value_heads: 2,
    rms_norm_eps: 1e-6,
    rope_scaling: null,
    rope_theta: 1e6,
    tie_word_embeddings: true,
    torch_dtype: 'bfloat16',
    transformers_version: '4.51.3',
    use_cache: true,
    use_mrope: false,
    vocab_size: 151_936,
    ...fields,
  };
}
