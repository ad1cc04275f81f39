/**
 * GGUF files of the Llama and Qwen2 architectures as Hugging Face's tensors and configuration. Names and keys after
 * llama.cpp's gguf-py (constants.py, tensor_mapping.py) and convert_hf_to_gguf.py.
 */
import { InputError } from '../../util/errors.ts';
import { checkSizes, MOST_LAYERS } from '../check-sizes.ts';
import type { ModelConfig } from '../config.ts';
import { FileBytes } from '../file-bytes.ts';
import type { GenerationConfig } from '../generation-config.ts';
import type { TensorInfo, TensorSource } from '../tensor-source.ts';
import { BLOCK_TYPES, type BlockType } from './gguf-blocks.ts';
import { generationFromGguf } from './gguf-generation.ts';
import { type GgufTensor, readGgufHeader } from './gguf-header.ts';
import { GgufMetadata } from './gguf-metadata.ts';
import { linearScaling, llama3Scaling, ROPE_FACTORS, shortest } from './gguf-rope.ts';
import { pairsToHalves } from './rotary.ts';

const ARCHITECTURES = ['llama', 'qwen2'] as const;
type Architecture = (typeof ARCHITECTURES)[number];

/** Parts of a name outside of the layers, and within one. */
const NAMES: Record<string, string> = {
  token_embd: 'model.embed_tokens',
  output_norm: 'model.norm',
  output: 'lm_head',
};
const LAYER_NAMES: Record<string, string> = {
  attn_norm: 'input_layernorm',
  ffn_norm: 'post_attention_layernorm',
  attn_q: 'self_attn.q_proj',
  attn_k: 'self_attn.k_proj',
  attn_v: 'self_attn.v_proj',
  attn_output: 'self_attn.o_proj',
  ffn_gate: 'mlp.gate_proj',
  ffn_up: 'mlp.up_proj',
  ffn_down: 'mlp.down_proj',
};
/** Keys of the architecture that change what other models compute, with the values that change nothing. */
const CHANGING = {
  expert_count: 0,
  'attention.sliding_window': 0,
  'attention.clamp_kqv': 0,
  'attention.max_alibi_bias': 0,
  logit_scale: 1,
  embedding_scale: 1,
  residual_scale: 1,
  attn_logit_softcapping: 0,
  final_logit_softcapping: 0,
};

interface Stored extends GgufTensor {
  block: BlockType;
  /** Sizes, outermost first. */
  shape: number[];
}

/** A GGUF file under Hugging Face's names; blocks are decoded when a tensor is read. */
export class GgufFile implements TensorSource {
  readonly config: ModelConfig;
  readonly generation: GenerationConfig;
  readonly metadata: GgufMetadata;
  private readonly file: FileBytes;
  private readonly tensors: Map<string, Stored>;
  private readonly architecture: Architecture;

  /** Throws InputError naming key or tensor when the file is truncated or holds what is not supported. */
  constructor(path: string) {
    this.file = new FileBytes(path);
    const header = readGgufHeader(this.file);
    this.metadata = new GgufMetadata(path, header.metadata);
    this.architecture = this.metadata.text('general.architecture') as Architecture;
    if (!ARCHITECTURES.includes(this.architecture)) {
      throw new InputError(
        `${path}: architecture '${this.architecture}' is not supported; supported are ${ARCHITECTURES.join(', ')}`,
      );
    }
    this.tensors = new Map();
    let factors: Stored | undefined;
    for (const tensor of header.tensors) {
      const stored = this.place(tensor);
      if (tensor.name === ROPE_FACTORS) factors = stored;
      else this.tensors.set(huggingFaceName(path, tensor.name), stored);
    }
    refuseOverlaps(path, [...this.tensors.values(), ...(factors ? [factors] : [])]);
    this.generation = generationFromGguf(this.metadata, this.tokenCount());
    this.config = this.readConfig(factors);
    checkSizes(path, this.config);
  }

  names(): string[] {
    return [...this.tensors.keys()];
  }

  has(name: string): boolean {
    return this.tensors.has(name);
  }

  info(name: string): TensorInfo {
    return { name, dtype: 'F32', shape: [...this.tensor(name).shape] };
  }

  read(name: string): Float32Array<ArrayBuffer> {
    const tensor = this.tensor(name);
    const values = this.decode(tensor);
    const interleaved = this.architecture === 'llama' && /\.[qk]_proj\./.test(name);
    return interleaved ? pairsToHalves(values, tensor.shape, this.config.headDim) : values;
  }

  private tensor(name: string): Stored {
    const tensor = this.tensors.get(name);
    if (!tensor) throw new InputError(`${this.file.path} has no tensor '${name}'`);
    return tensor;
  }

  private place(tensor: GgufTensor): Stored {
    const where = `${this.file.path}: tensor '${tensor.name}'`;
    const block = BLOCK_TYPES.get(tensor.type);
    if (!block) {
      const known = [...BLOCK_TYPES.values()].map(({ name }) => name).join(', ');
      throw new InputError(`${where} is of ggml type ${tensor.type}, supported are ${known}`);
    }
    const row = tensor.dims[0] ?? 1;
    if (row % block.values !== 0) {
      throw new InputError(
        `${where} has rows of ${row} values, expected whole ${block.name} blocks of ${block.values}`,
      );
    }
    const stored = { ...tensor, block, shape: tensor.dims.toReversed() };
    const end = tensor.position + byteCount(stored);
    if (end > this.file.size) {
      throw new InputError(
        `${this.file.path} is truncated: tensor '${tensor.name}' ends at byte ${end}, the file has ${this.file.size}`,
      );
    }
    return stored;
  }

  private decode(tensor: Stored): Float32Array<ArrayBuffer> {
    const data = this.file.bytes(tensor.position, byteCount(tensor), `tensor '${tensor.name}'`);
    const out = new Float32Array(valueCount(tensor));
    tensor.block.decode(data, out);
    return out;
  }

  private vocabSize(): number {
    const { shape } = this.info('model.embed_tokens.weight');
    const [rows] = shape;
    if (shape.length === 2 && rows! > 0) return rows!;
    throw new InputError(
      `${this.file.path}: tensor 'token_embd.weight' has shape [${shape}], expected a matrix`,
    );
  }

  /** One more than the largest id that may be named: which of them are tokens, the tokenizer's reader tells. */
  private tokenCount(): number {
    const key = 'tokenizer.ggml.tokens';
    const listed = this.metadata.has(key) ? this.metadata.texts(key).length : 0;
    return Math.max(listed, this.vocabSize());
  }

  private readConfig(ropeFactors: Stored | undefined): ModelConfig {
    const { metadata, architecture: arch } = this;
    const size = (key: string, fallback?: number, most = 1 << 24) => {
      const value = metadata.number(`${arch}.${key}`, fallback);
      if (!Number.isInteger(value) || value < 1 || value > most) {
        throw metadata.wrong(`${arch}.${key}`, `a size: a whole number from 1 to ${most}`);
      }
      return value;
    };
    for (const [key, neutral] of Object.entries(CHANGING)) {
      const full = `${arch}.${key}`;
      if (metadata.number(full, neutral) !== neutral) {
        throw metadata.wrong(
          full,
          `${neutral}: another value changes what is computed, and is not supported`,
        );
      }
    }
    const hiddenSize = size('embedding_length');
    const numHeads = size('attention.head_count');
    const headDim = size('attention.key_length', hiddenSize / numHeads);
    if (size('attention.value_length', headDim) !== headDim) {
      throw metadata.wrong(`${arch}.attention.value_length`, `the key length, ${headDim}`);
    }
    if (size('rope.dimension_count', headDim) !== headDim) {
      throw metadata.wrong(`${arch}.rope.dimension_count`, `the whole head, ${headDim}`);
    }
    const theta = shortest(metadata.positive(`${arch}.rope.freq_base`, 10000));
    return {
      modelType: arch,
      vocabSize: this.vocabSize(),
      hiddenSize,
      intermediateSize: size('feed_forward_length'),
      numHeads,
      numKvHeads: size('attention.head_count_kv', numHeads),
      headDim,
      rmsNormEps: shortest(metadata.positive(`${arch}.attention.layer_norm_rms_epsilon`)),
      ropeTheta: theta,
      ropeScaling: ropeFactors
        ? llama3Scaling(this.file.path, headDim, theta, this.factorsOf(ropeFactors, headDim))
        : linearScaling(metadata, arch),
      qkvBias: this.has('model.layers.0.self_attn.q_proj.bias'),
      oBias: this.has('model.layers.0.self_attn.o_proj.bias'),
      mlpBias: this.has('model.layers.0.mlp.gate_proj.bias'),
      qkNorm: false,
      tieWordEmbeddings: !this.has('lm_head.weight'),
      maxPositionEmbeddings: size('context_length'),
      initializerRange: 0.02,
      bosTokenId: this.generation.bosTokenId,
      eosTokenIds: this.generation.eosTokenIds,
      layers: Array.from({ length: size('block_count', undefined, MOST_LAYERS) }, () => ({
        kind: 'attention',
      })),
    };
  }

  private factorsOf(tensor: Stored, headDim: number): Float32Array {
    const { shape } = tensor;
    if (shape.length === 1 && shape[0] === headDim / 2) return this.decode(tensor);
    throw new InputError(
      `${this.file.path}: tensor '${ROPE_FACTORS}' has shape [${shape}], expected [${headDim / 2}]`,
    );
  }
}

function valueCount({ shape }: Stored): number {
  return shape.reduce((product, size) => product * size, 1);
}

function byteCount(tensor: Stored): number {
  return (valueCount(tensor) / tensor.block.values) * tensor.block.bytes;
}

/** @throws InputError naming two tensors that have bytes in common */
function refuseOverlaps(path: string, tensors: Stored[]): void {
  const sorted = tensors.filter((tensor) => byteCount(tensor) > 0).sort((a, b) => a.position - b.position);
  for (const [i, tensor] of sorted.entries()) {
    const before = sorted[i - 1];
    if (before && before.position + byteCount(before) > tensor.position) {
      throw new InputError(`${path}: tensors '${before.name}' and '${tensor.name}' overlap`);
    }
  }
}

function huggingFaceName(path: string, name: string): string {
  const match = /^(?:blk\.(\d+)\.)?(\w+)\.(weight|bias)$/.exec(name);
  const [, layer, part = '', kind] = match ?? [];
  const names = layer === undefined ? NAMES : LAYER_NAMES;
  const found = Object.hasOwn(names, part) ? names[part] : undefined;
  if (!found) {
    throw new InputError(`${path}: tensor '${name.slice(0, 100)}' has no place in a Llama or Qwen2 model`);
  }
  return layer === undefined ? `${found}.${kind}` : `model.layers.${layer}.${found}.${kind}`;
}
