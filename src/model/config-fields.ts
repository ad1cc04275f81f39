/**
 * The fields of config.json that are not read: those that change what other models compute, which are refused unless
 * they say "nothing", and those that change nothing. What is on neither list is named when a model is opened.
 */
import type { ModelConfig } from './config.ts';
import type { Family } from './families/family.ts';
import { familyOf, textConfigOf } from './families/index.ts';
import { type Fields, isObject, type JsonObject } from './json-fields.ts';

type ModelType = ModelConfig['modelType'];

/** The only way of holding weights in few bits that is read: quantized-tensors.ts describes it. */
export const QUANT_METHOD = 'postnas';

/** What every model reads (hf-config.ts, rope-config.ts). */
const READ = [
  'model_type',
  'vocab_size',
  'hidden_size',
  'intermediate_size',
  'num_hidden_layers',
  'num_attention_heads',
  'num_key_value_heads',
  'head_dim',
  'hidden_act',
  'hidden_activation',
  'rms_norm_eps',
  'rope_theta',
  'rope_scaling',
  'rope_parameters',
  'original_max_position_embeddings',
  'max_position_embeddings',
  'initializer_range',
  'tie_word_embeddings',
  'bos_token_id',
  'eos_token_id',
  'quantization_config',
  // Their weights say the same, and are checked.
  'attention_bias',
  'mlp_bias',
  'layer_types',
  'sliding_window',
  'use_sliding_window',
  'max_window_layers',
];

const READ_BY: Partial<Record<ModelType, string[]>> = {
  jet_nemotron: ['efficient_attention_config'],
  postnas: [
    'qkv_bias',
    'o_bias',
    'qk_norm',
    'layers',
    'norms',
    'qk_norm_of_all',
    'local_rope_theta',
    'attention_gate',
  ],
};

/** Of use in training, to other software, or for text generation (generation_config.json has its own reader). */
const NEUTRAL = new Set(
  (
    'architectures auto_map torch_dtype dtype transformers_version _name_or_path name_or_path _commit_hash use_cache ' +
    'attention_dropout hidden_dropout embd_pdrop resid_pdrop attn_pdrop dropout classifier_dropout embedding_dropout ' +
    'pretraining_tp pad_token_id unk_token_id sep_token_id cls_token_id decoder_start_token_id is_decoder is_llama_config ' +
    'id2label label2id num_labels problem_type finetuning_task task_specific_params tokenizer_class prefix pruned_heads ' +
    'chunk_size_feed_forward output_attentions output_hidden_states output_router_logits router_aux_loss_coef return_dict ' +
    'torchscript use_bfloat16 tie_encoder_decoder tf_legacy_loss cross_attention_hidden_size gradient_checkpointing ' +
    '_attn_implementation attn_implementation _flash_attn_2_enabled use_flash_attn unsloth_version unsloth_fixed ' +
    'transformers.js_config bad_words_ids begin_suppress_tokens diversity_penalty do_sample early_stopping ' +
    'encoder_no_repeat_ngram_size exponential_decay_length_penalty forced_bos_token_id forced_eos_token_id length_penalty ' +
    'max_length max_new_tokens min_length no_repeat_ngram_size num_beam_groups num_beams num_return_sequences ' +
    'output_scores remove_invalid_values repetition_penalty return_dict_in_generate suppress_tokens temperature top_k ' +
    'top_p typical_p eos_token bos_token pad_token mlp_only_layers decoder_sparse_step num_experts_per_tok ' +
    'cache_implementation moe_intermediate_size norm_topk_prob vocab_size_multiple original_vocab_size'
  ).split(' '),
);

/** With the values that change nothing; null and absence never do. */
function changing(config: ModelConfig): Record<string, readonly unknown[]> {
  const { headDim, hiddenSize, modelType, qkNorm } = config;
  return {
    ...(modelType === 'postnas' ? {} : { partial_rotary_factor: [1] }),
    rotary_pct: [1],
    rope_interleaved: [false],
    rope_interleave: [false],
    use_mrope: [false],
    no_rope_layer_interval: [0],
    position_embedding_type: ['rope', 'rotary', 'absolute'],
    alibi: [false],
    attention_multiplier: [headDim ** -0.5],
    query_pre_attn_scalar: [headDim],
    embedding_multiplier: [1],
    residual_multiplier: [1],
    scale_emb: [1],
    scale_depth: [],
    dim_model_base: [hiddenSize],
    logits_scaling: [1],
    logit_scale: [1],
    attn_logit_softcapping: [],
    final_logit_softcapping: [],
    attention_chunk_size: [],
    attention_sinks: [false],
    attn_output_gate: [false],
    clip_qkv: [],
    ...(modelType === 'postnas' ? {} : { qk_norm: [qkNorm], use_qk_norm: [qkNorm], qk_layernorm: [qkNorm] }),
    norm_type: ['rms_norm', 'rmsnorm'],
    parallel_attn: [false],
    use_parallel_residual: [false],
    num_experts: [0],
    num_local_experts: [0],
    n_routed_experts: [0],
    num_kv_shared_layers: [0],
    kv_lora_rank: [],
    q_lora_rank: [],
    is_encoder_decoder: [false],
    add_cross_attention: [false],
    per_layer_config: [],
    use_bidirectional_attention: [false],
    quantization: [],
    compression_config: [],
    ...(modelType === 'llama' ? { use_sliding_window: [false] } : {}),
  };
}

/** @throws InputError for a field that would change what the model computes, naming its value and those that would not */
export function refuseUnsupported(fields: Fields, config: ModelConfig, known?: Family): void {
  const { object } = fields;
  const family = fields.string('model_type');
  const refuse = (name: string, expected: string) => {
    const error = fields.wrong(name, expected);
    error.message += ` (model_type '${family}')`;
    throw error;
  };
  const activations = [
    ...(known?.activations ?? ['silu', 'swish']),
    ...(family === 'postnas' ? ['gelu_pytorch_tanh'] : []),
  ];
  for (const name of ['hidden_act', 'hidden_activation']) {
    if (fields.has(name) && !activations.includes(fields.string(name))) refuse(name, `'${activations[0]}'`);
  }
  const quantization = object.quantization_config;
  const ours = isObject(quantization) && quantization.quant_method === QUANT_METHOD;
  if (fields.has('quantization_config') && !ours) {
    refuse('quantization_config', `weights in F32, F16 or BF16, or quant_method '${QUANT_METHOD}'`);
  }
  for (const [name, neutral] of Object.entries(changing(config))) {
    if (!fields.has(name) || neutral.includes(object[name]) || known?.reads.includes(name)) continue;
    const none = neutral.length > 0 ? neutral.map((value) => JSON.stringify(value)).join(' or ') : 'none';
    refuse(name, `${none}: another value changes what is computed, and is not supported`);
  }
  const ropes = fields.has('no_rope_layers') ? fields.list('no_rope_layers') : [];
  if (!known?.reads.includes('no_rope_layer_interval') && ropes.some((rotated) => rotated !== 1))
    refuse('no_rope_layers', 'rotation (1) in all layers');
  if (config.modelType !== 'llama' || known?.layers) return;
  const window = fields.has('sliding_window') && object.use_sliding_window !== false;
  if (window && fields.integer('sliding_window') < config.maxPositionEmbeddings) {
    refuse('sliding_window', `none: the family '${family}' has no windows`);
  }
  const types = fields.has('layer_types') ? fields.list('layer_types') : [];
  if (types.some((type) => type !== 'full_attention'))
    refuse('layer_types', "'full_attention' in all layers");
}

/** The fields that are neither read nor known to change nothing: they may mean something to other software. */
export function unknownFields(file: JsonObject, config: ModelConfig): string[] {
  const json = textConfigOf(file);
  const known = new Set([
    ...READ,
    ...(READ_BY[config.modelType] ?? []),
    ...(familyOf(String(json.model_type))?.reads ?? []),
    ...Object.keys(changing(config)),
    'no_rope_layers',
  ]);
  return Object.keys(json).filter((name) => json[name] !== null && !known.has(name) && !NEUTRAL.has(name));
}
