import { ropeFrequencies } from '../../mixers/rope.ts';
import type { GatedDeltaNetSpec } from '../../mixers/spec.ts';
import { type ModelConfig, whyNotPlain } from '../../model/config.ts';
import { halvesToPairs } from '../../model/import/rotary.ts';
import type { TensorSource } from '../../model/tensor-source.ts';
import { InputError } from '../../util/errors.ts';
import type { MetadataValue } from './gguf-file.ts';
import { hybridLayer, hybridMetadata, hybridNorms, whyNotHybrid } from './qwen35.ts';
import { copied, mlpTensors, scaled, type TensorPlan } from './tensor-plan.ts';

/** Which of llama.cpp's architectures computes what a model computes, and the model's weights under its names. */

type Architecture = 'llama' | 'qwen2' | 'qwen3' | 'qwen35';

export interface GgufPlan {
  architecture: Architecture;
  /** Without the architecture in front of the keys. */
  metadata: Record<string, MetadataValue>;
  tensors: TensorPlan[];
}

/** @throws InputError naming layer and block, or the part of the decoder, that llama.cpp does not compute so */
export function planGguf(config: ModelConfig): GgufPlan {
  const architecture = architectureOf(config);
  const { layers, hiddenSize, numHeads, numKvHeads, headDim, ropeScaling } = config;
  const hybrid = architecture === 'qwen35';
  const norms = hybrid ? hybridNorms(config) : { eps: config.rmsNormEps, stream: 1 };
  return {
    architecture,
    metadata: {
      block_count: layers.length,
      context_length: config.maxPositionEmbeddings,
      embedding_length: hiddenSize,
      feed_forward_length: config.intermediateSize,
      'attention.head_count': numHeads,
      'attention.head_count_kv': numKvHeads,
      'attention.key_length': headDim,
      'attention.value_length': headDim,
      'attention.layer_norm_rms_epsilon': { float: norms.eps },
      'rope.freq_base': { float: config.ropeTheta },
      'rope.dimension_count': headDim,
      vocab_size: config.vocabSize,
      ...(ropeScaling?.type === 'linear'
        ? { 'rope.scaling.type': 'linear', 'rope.scaling.factor': { float: ropeScaling.factor } }
        : {}),
      ...(hybrid ? hybridMetadata(config) : {}),
    },
    tensors: [
      ...outerTensors(config, norms.stream),
      ...layers.flatMap((spec, i) =>
        hybrid
          ? hybridLayer(config, spec as GatedDeltaNetSpec | { kind: 'attention' }, i, norms.stream)
          : plainLayer(config, i, architecture),
      ),
    ],
  };
}

function architectureOf(config: ModelConfig): Architecture {
  const { layers, qkvBias, oBias, mlpBias, qkNorm, ropeScaling } = config;
  const { hiddenSize, numHeads, headDim } = config;
  const refuse = (why: string): never => {
    throw new InputError(`the model cannot be exported to GGUF: ${why}`);
  };
  const own = whyNotPlain(config);
  if (own !== null) refuse(`llama.cpp's architectures that are written have no ${own}`);
  if (ropeScaling?.type === 'yarn') refuse("RoPE scaling of type 'yarn' is not exported");
  if (!layers.every(({ kind }) => kind === 'attention')) {
    const why = whyNotHybrid(config);
    return why === null ? 'qwen35' : refuse(why);
  }
  if (qkNorm && (qkvBias || oBias || mlpBias)) {
    refuse('llama.cpp has no architecture with norms of queries and keys (qwen3) that has biases, too');
  }
  const found = qkNorm ? 'qwen3' : qkvBias && !oBias && !mlpBias ? 'qwen2' : 'llama';
  if (found === 'qwen2' && numHeads * headDim !== hiddenSize) {
    refuse(
      `llama.cpp's architecture qwen2 has heads as wide together as the model, here ${numHeads} x ${headDim}`,
    );
  }
  if (found !== 'llama' && ropeScaling?.type === 'llama3') {
    refuse(`llama.cpp's architecture ${found} has no RoPE scaling of type 'llama3'`);
  }
  return found;
}

/** @param stream factor of the hidden states between the layers, which the final norm takes out again */
function outerTensors(config: ModelConfig, stream: number): TensorPlan[] {
  const { vocabSize, hiddenSize: d, tieWordEmbeddings, ropeScaling } = config;
  const embedding = 'model.embed_tokens.weight';
  return [
    scaled('token_embd.weight', embedding, [vocabSize, d], stream),
    // The head is the scaled embedding where it is tied.
    scaled('output_norm.weight', 'model.norm.weight', [d], tieWordEmbeddings ? 1 / stream : 1),
    ...(tieWordEmbeddings ? [] : [copied('output.weight', 'lm_head.weight', [vocabSize, d])]),
    ...(ropeScaling?.type === 'llama3' ? [ropeFactors(config)] : []),
  ];
}

/** How many times slower each plane turns than without the scaling. */
function ropeFactors(config: ModelConfig): TensorPlan {
  const plain = ropeFrequencies({ ...config, ropeScaling: null });
  const factors = ropeFrequencies(config).map((frequency, i) => plain[i]! / frequency);
  return {
    name: 'rope_freqs.weight',
    shape: [factors.length],
    values: () => Float32Array.from(factors),
  };
}

/** Full attention as Llama, Qwen2 and Qwen3 have it. */
function plainLayer(config: ModelConfig, layer: number, architecture: Architecture): TensorPlan[] {
  const { hiddenSize: d, numHeads, numKvHeads, headDim, qkvBias, oBias, qkNorm } = config;
  const [q, kv] = [numHeads * headDim, numKvHeads * headDim];
  const to = (name: string) => `blk.${layer}.${name}`;
  const from = (name: string) => `model.layers.${layer}.self_attn.${name}`;
  /** llama.cpp turns pairs of neighbouring channels in Llama models. */
  const rotated = (name: string, weight: string, shape: number[]): TensorPlan => {
    if (architecture !== 'llama') return copied(to(name), from(weight), shape);
    const values = (source: TensorSource) => halvesToPairs(source.read(from(weight)), shape, headDim);
    return { name: to(name), shape, like: from(weight), values };
  };
  return [
    ...mlpTensors(config, layer, { norm: 'ffn_norm', stream: 1 }),
    rotated('attn_q.weight', 'q_proj.weight', [q, d]),
    rotated('attn_k.weight', 'k_proj.weight', [kv, d]),
    copied(to('attn_v.weight'), from('v_proj.weight'), [kv, d]),
    copied(to('attn_output.weight'), from('o_proj.weight'), [d, q]),
    ...(qkvBias
      ? [
          rotated('attn_q.bias', 'q_proj.bias', [q]),
          rotated('attn_k.bias', 'k_proj.bias', [kv]),
          copied(to('attn_v.bias'), from('v_proj.bias'), [kv]),
        ]
      : []),
    ...(oBias ? [copied(to('attn_output.bias'), from('o_proj.bias'), [d])] : []),
    ...(qkNorm
      ? [
          copied(to('attn_q_norm.weight'), from('q_norm.weight'), [headDim]),
          copied(to('attn_k_norm.weight'), from('k_norm.weight'), [headDim]),
        ]
      : []),
  ];
}
