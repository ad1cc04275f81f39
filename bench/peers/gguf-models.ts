import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { MetadataValue } from '../../src/export/gguf/gguf-file.ts';
import { type DrawnTensor, writeDrawnGguf } from './gguf-writer.ts';
import type { ModelName, Shape } from './shapes.ts';

/**
 * The shapes as llama.cpp knows them: `llama` or `qwen2` with attention in all layers, and `qwen35` for Gated DeltaNet
 * beside attention (which that architecture gates, so that its query matrix is twice as wide, and gives head norms).
 */

interface GgufModel {
  metadata: Record<string, MetadataValue>;
  tensors: DrawnTensor[];
}

/** Matrices have a deviation that keeps activations of usual size through many layers. */
const DEVIATION = 0.02;

function ggufModel(shape: Shape, model: ModelName, type: DrawnTensor['type']): GgufModel {
  if (model === 'jet' || model === 'heads') throw new Error(`llama.cpp has no such model: ${model}`);
  const { config } = shape;
  const { hiddenSize: d, intermediateSize: f, vocabSize, numHeads, numKvHeads, headDim } = config;
  const hybrid = model === 'hybrid';
  const architecture = hybrid ? 'qwen35' : config.qkvBias ? 'qwen2' : 'llama';
  const matrix = (name: string, inputs: number, out: number): DrawnTensor => ({
    name: `${name}.weight`,
    dims: [inputs, out],
    type,
    values: { deviation: DEVIATION },
  });
  const vector = (name: string, size: number, constant: number): DrawnTensor => ({
    name,
    dims: [size],
    type: 'F32',
    values: { constant },
  });

  const tensors: DrawnTensor[] = [matrix('token_embd', d, vocabSize), vector('output_norm.weight', d, 1)];
  for (const i of config.layers.keys()) {
    const at = `blk.${i}`;
    tensors.push(vector(`${at}.attn_norm.weight`, d, 1));
    if (!hybrid || shape.full.includes(i)) {
      tensors.push(
        matrix(`${at}.attn_q`, d, numHeads * headDim * (hybrid ? 2 : 1)),
        matrix(`${at}.attn_k`, d, numKvHeads * headDim),
        matrix(`${at}.attn_v`, d, numKvHeads * headDim),
        matrix(`${at}.attn_output`, numHeads * headDim, d),
      );
      if (hybrid) {
        tensors.push(
          vector(`${at}.attn_q_norm.weight`, headDim, 1),
          vector(`${at}.attn_k_norm.weight`, headDim, 1),
        );
      } else if (config.qkvBias) {
        tensors.push(
          vector(`${at}.attn_q.bias`, numHeads * headDim, 0),
          vector(`${at}.attn_k.bias`, numKvHeads * headDim, 0),
          vector(`${at}.attn_v.bias`, numKvHeads * headDim, 0),
        );
      }
    } else {
      const width = numHeads * headDim;
      tensors.push(
        matrix(`${at}.attn_qkv`, d, 3 * width),
        matrix(`${at}.attn_gate`, d, width),
        { name: `${at}.ssm_conv1d.weight`, dims: [4, 3 * width], type: 'F32', values: { deviation: 0.3 } },
        vector(`${at}.ssm_dt.bias`, numHeads, -3),
        vector(`${at}.ssm_a`, numHeads, -1),
        matrix(`${at}.ssm_beta`, d, numHeads),
        matrix(`${at}.ssm_alpha`, d, numHeads),
        vector(`${at}.ssm_norm.weight`, headDim, 1),
        matrix(`${at}.ssm_out`, width, d),
      );
    }
    tensors.push(
      vector(`${at}.${hybrid ? 'post_attention_norm' : 'ffn_norm'}.weight`, d, 1),
      matrix(`${at}.ffn_gate`, d, f),
      matrix(`${at}.ffn_up`, d, f),
      matrix(`${at}.ffn_down`, f, d),
    );
  }
  const own: Record<string, MetadataValue> = {
    block_count: config.layers.length,
    context_length: config.maxPositionEmbeddings,
    embedding_length: d,
    feed_forward_length: f,
    'attention.head_count': numHeads,
    'attention.head_count_kv': numKvHeads,
    'attention.key_length': headDim,
    'attention.value_length': headDim,
    'attention.layer_norm_rms_epsilon': { float: config.rmsNormEps },
    'rope.freq_base': { float: config.ropeTheta },
    'rope.dimension_count': headDim,
    vocab_size: vocabSize,
    ...(hybrid
      ? {
          'rope.dimension_sections': [headDim / 8, headDim / 8, 0, 0],
          'ssm.conv_kernel': 4,
          'ssm.state_size': headDim,
          'ssm.inner_size': numHeads * headDim,
          'ssm.time_step_rank': numHeads,
          'ssm.group_count': numHeads,
          'attention.recurrent_layers': config.layers.map((_, i) => !shape.full.includes(i)),
        }
      : {}),
  };
  return {
    metadata: {
      'general.architecture': architecture,
      'general.name': `${shape.name} ${model}, random weights`,
      // Words without meaning: node-llama-cpp asks for a tokenizer when it loads a model.
      'tokenizer.ggml.model': 'gpt2',
      'tokenizer.ggml.pre': 'gpt-2',
      'tokenizer.ggml.tokens': Array.from({ length: vocabSize }, (_, i) => `t${i}`),
      'tokenizer.ggml.token_type': Array.from({ length: vocabSize }, () => 1),
      'tokenizer.ggml.merges': ['t 0'],
      'tokenizer.ggml.bos_token_id': vocabSize - 1,
      'tokenizer.ggml.eos_token_id': vocabSize - 1,
      ...Object.fromEntries(Object.entries(own).map(([key, value]) => [`${architecture}.${key}`, value])),
    },
    tensors,
  };
}

/** The file of a model, written when it is not there. */
export function ggufFile(folder: string, shape: Shape, model: ModelName, dtype: 'q8' | 'q4'): string {
  const path = join(folder, `${shape.name}-${model}-${dtype}.gguf`);
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true });
  const { metadata, tensors } = ggufModel(shape, model, dtype === 'q8' ? 'Q8_0' : 'Q4_0');
  writeDrawnGguf(path, metadata, tensors);
  return path;
}
