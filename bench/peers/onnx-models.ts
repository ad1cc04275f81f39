import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ModelConfig } from '../../src/model/config.ts';
import { Random } from '../../src/util/random.ts';
import type { Dtype } from './contender.ts';
import { noise, seedOf } from './noise.ts';
import { OnnxWriter } from './onnx-writer.ts';
import type { ModelName, Shape } from './shapes.ts';

/**
 * The shapes as transformers.js loads them: a folder with config.json and an ONNX decoder, built of the fused operators
 * that exported models have (GroupQueryAttention, MatMulNBits, SkipSimplifiedLayerNormalization); hybrids of Gated
 * DeltaNet under the names of `qwen3_next`, of CausalConvWithState and LinearAttention.
 */

const DEVIATION = 0.02;
const BLOCK = 32;
const CONV_TAPS = 4;
/** Bytes and scales that are drawn for a matrix; they repeat. Prime, so that rows do not begin alike. */
const DRAWN = 65_521;

/** The folder of a model, written when it is not there; its name says that no two matrices are alike. */
export function onnxFolder(models: string, shape: Shape, model: ModelName, dtype: Dtype): string {
  const folder = join(models, `${shape.name}-${model}-unlike`);
  const file = join(folder, 'onnx', dtype === 'q8' ? 'model_quantized.onnx' : 'model_q4.onnx');
  if (existsSync(file)) return folder;
  mkdirSync(join(folder, 'onnx'), { recursive: true });
  writeFileSync(join(folder, 'config.json'), JSON.stringify(configJson(shape, model), null, 2));
  new DecoderWriter(new OnnxWriter(file), shape, model, dtype === 'q8' ? 8 : 4).write();
  return folder;
}

function configJson({ config, full }: Shape, model: ModelName): object {
  if (model === 'jet' || model === 'heads') throw new Error(`transformers.js has no such model: ${model}`);
  const common = {
    vocab_size: config.vocabSize,
    hidden_size: config.hiddenSize,
    intermediate_size: config.intermediateSize,
    num_hidden_layers: config.layers.length,
    num_attention_heads: config.numHeads,
    num_key_value_heads: config.numKvHeads,
    head_dim: config.headDim,
    max_position_embeddings: config.maxPositionEmbeddings,
    tie_word_embeddings: true,
  };
  if (model === 'full') {
    return {
      ...common,
      model_type: config.modelType,
      architectures: [config.qkvBias ? 'Qwen2ForCausalLM' : 'LlamaForCausalLM'],
    };
  }
  return {
    ...common,
    model_type: 'qwen3_next',
    architectures: ['Qwen3NextForCausalLM'],
    layer_types: config.layers.map((_, i) => (full.includes(i) ? 'full_attention' : 'linear_attention')),
  };
}

class DecoderWriter {
  private readonly config: ModelConfig;

  constructor(
    private readonly graph: OnnxWriter,
    private readonly shape: Shape,
    private readonly model: ModelName,
    private readonly bits: 4 | 8,
  ) {
    this.config = shape.config;
  }

  write(): void {
    const { graph, config } = this;
    const { hiddenSize: d, intermediateSize: f, vocabSize } = config;
    const ids = graph.input('input_ids', 'int64', ['batch_size', 'sequence_length']);
    const mask = graph.input('attention_mask', 'int64', ['batch_size', 'total_sequence_length']);
    const keep = graph.input('num_logits_to_keep', 'int64', []);
    const lengths = this.lengths(mask);
    const rotation = this.rotation();

    const table = graph.weight('embed', 'float32', [vocabSize, d], bytes(noise(DRAWN, DEVIATION)));
    let x = graph.node('Gather', [table, ids], { axis: 0 });
    let normed = graph.node('SimplifiedLayerNormalization', [x, this.ones('norm_first', d)], {
      epsilon: config.rmsNormEps,
      axis: -1,
    });
    for (const i of config.layers.keys()) {
      const linear = this.model === 'hybrid' && !this.shape.full.includes(i);
      const y = linear ? this.linearAttention(i, normed) : this.attention(i, normed, lengths, rotation);
      [normed, x] = this.addAndNorm(`${i}.post`, x, y);
      const gate = this.matrix(`${i}.gate`, normed, d, f);
      const up = this.matrix(`${i}.up`, normed, d, f);
      const hidden = graph.node('Mul', [this.silu(gate), up]);
      [normed, x] = this.addAndNorm(`${i}.next`, x, this.matrix(`${i}.down`, hidden, f, d));
    }
    const start = graph.node('Unsqueeze', [graph.node('Neg', [keep]), graph.constant('int64', [1], [0])]);
    const end = graph.constant('int64', [1], [2 ** 40]);
    const last = graph.node('Slice', [normed, start, end, graph.constant('int64', [1], [1])]);
    const logits = this.matrix('head', last, d, vocabSize);
    graph.output('logits', 'float32', ['batch_size', 'kept', vocabSize], logits);
    graph.finish();
  }

  private matrix(name: string, x: string, K: number, N: number): string {
    const { graph, bits } = this;
    const random = new Random(seedOf(name));
    const drawn = Uint8Array.from({ length: DRAWN }, () => random.below(256));
    const scale = (DEVIATION * Math.sqrt(12)) / 2 ** bits;
    const B = graph.weight(`${name}.weight`, 'uint8', [N, K / BLOCK, (BLOCK * bits) / 8], drawn);
    const scales = graph.weight(
      `${name}.scales`,
      'float32',
      [N * (K / BLOCK)],
      bytes(new Float32Array(DRAWN).fill(scale)),
    );
    return graph.contrib('MatMulNBits', [x, B, scales], 1, {
      K,
      N,
      bits,
      block_size: BLOCK,
      accuracy_level: 4,
    })[0]!;
  }

  private ones(name: string, size: number): string {
    return this.graph.weight(name, 'float32', [size], bytes(new Float32Array(size).fill(1)));
  }

  private silu(x: string): string {
    return this.graph.node('Mul', [x, this.graph.node('Sigmoid', [x])]);
  }

  /** RMSNorm(x + y), and the sum. */
  private addAndNorm(name: string, x: string, y: string): [string, string] {
    const outputs = this.graph.contrib(
      'SkipSimplifiedLayerNormalization',
      [x, y, this.ones(`${name}_norm`, this.config.hiddenSize)],
      4,
      { epsilon: this.config.rmsNormEps },
    );
    return [outputs[0]!, outputs[3]!];
  }

  /** What GroupQueryAttention wants to know: the last position of each sequence, and their length. */
  private lengths(mask: string): [string, string] {
    const { graph } = this;
    const sum = graph.node('ReduceSum', [mask, graph.constant('int64', [1], [1])], { keepdims: 0 });
    const lastPosition = graph.node('Sub', [sum, graph.constant('int64', [1], [1])]);
    const total = graph.node('Gather', [graph.node('Shape', [mask]), graph.constant('int64', [], [1])], {
      axis: 0,
    });
    return [graph.node('Cast', [lastPosition], { to: 6 }), graph.node('Cast', [total], { to: 6 })];
  }

  private rotation(): [string, string] {
    const { headDim, ropeTheta, maxPositionEmbeddings: rows } = this.config;
    const half = headDim / 2;
    const table = (f: (angle: number) => number) =>
      Float32Array.from({ length: rows * half }, (_, i) =>
        f(Math.floor(i / half) * ropeTheta ** ((-2 * (i % half)) / headDim)),
      );
    return [
      this.graph.weight('cos', 'float32', [rows, half], bytes(table(Math.cos))),
      this.graph.weight('sin', 'float32', [rows, half], bytes(table(Math.sin))),
    ];
  }

  private attention(i: number, x: string, lengths: [string, string], rotation: [string, string]): string {
    const { graph } = this;
    const { hiddenSize: d, numHeads, numKvHeads, headDim, qkvBias } = this.config;
    const project = (name: string, width: number) => {
      const y = this.matrix(`${i}.${name}`, x, d, width);
      if (!qkvBias) return y;
      const bias = graph.weight(`${i}.${name}.bias`, 'float32', [width], new Uint8Array(4 * width));
      return graph.node('Add', [y, bias]);
    };
    const cache = ['batch_size', numKvHeads, 'past_sequence_length', headDim];
    const past = ['key', 'value'].map((part) =>
      graph.input(`past_key_values.${i}.${part}`, 'float32', cache),
    );
    const [y, key, value] = graph.contrib(
      'GroupQueryAttention',
      [
        project('q', numHeads * headDim),
        project('k', numKvHeads * headDim),
        project('v', numKvHeads * headDim),
        ...past,
        ...lengths,
        ...rotation,
      ],
      3,
      { num_heads: numHeads, kv_num_heads: numKvHeads, do_rotary: 1, scale: headDim ** -0.5 },
    ) as [string, string, string];
    const grown = ['batch_size', numKvHeads, 'total_sequence_length', headDim];
    graph.output(`present.${i}.key`, 'float32', grown, key);
    graph.output(`present.${i}.value`, 'float32', grown, value);
    return this.matrix(`${i}.o`, y, numHeads * headDim, d);
  }

  /** Gated DeltaNet: convolutions, heads of length 1, the recurrence, the norm of each head and its gate. */
  private linearAttention(i: number, x: string): string {
    const { graph } = this;
    const { hiddenSize: d, numHeads: H, headDim } = this.config;
    const width = H * headDim;
    const channels = 3 * width;
    const pastConv = graph.input(`past_conv.${i}`, 'float32', ['batch_size', CONV_TAPS - 1, channels]);
    const pastState = graph.input(`past_recurrent.${i}`, 'float32', ['batch_size', H, headDim, headDim]);
    const taps = graph.weight(
      `${i}.conv`,
      'float32',
      [channels, 1, CONV_TAPS],
      bytes(noise(channels * CONV_TAPS, 0.3)),
    );
    const mixed = this.matrix(`${i}.qkv`, x, d, channels);
    const [conv, presentConv] = graph.contrib('CausalConvWithState', [mixed, taps, '', pastConv], 2, {
      activation: 'silu',
      ndim: 1,
      channels_last: 1,
    }) as [string, string];
    const [q, k, v] = graph.nodeMany(
      'Split',
      [conv, graph.constant('int64', [3], [width, width, width])],
      3,
      { axis: 2 },
    ) as [string, string, string];
    const decay = graph.node('Mul', [
      graph.node('Softplus', [
        graph.node('Add', [
          this.matrix(`${i}.a`, x, d, H),
          graph.constant(
            'float32',
            [H],
            Array.from({ length: H }, () => -3),
          ),
        ]),
      ]),
      graph.constant(
        'float32',
        [H],
        Array.from({ length: H }, () => -1),
      ),
    ]);
    const beta = graph.node('Sigmoid', [this.matrix(`${i}.b`, x, d, H)]);
    const [o, presentState] = graph.contrib(
      'LinearAttention',
      [this.unitHeads(q), this.unitHeads(k), v, pastState, decay, beta],
      2,
      { q_num_heads: H, kv_num_heads: H, update_rule: 'gated_delta', scale: headDim ** -0.5 },
    ) as [string, string];
    const heads = graph.node('Reshape', [o, graph.constant('int64', [4], [0, 0, H, headDim])]);
    const normed = graph.node('SimplifiedLayerNormalization', [heads, this.ones(`${i}.o_norm`, headDim)], {
      epsilon: 1e-5,
      axis: -1,
    });
    const flat = graph.node('Reshape', [normed, graph.constant('int64', [3], [0, 0, width])]);
    const gated = graph.node('Mul', [flat, this.silu(this.matrix(`${i}.g`, x, d, width))]);
    graph.output(`present_conv.${i}`, 'float32', ['batch_size', CONV_TAPS - 1, channels], presentConv);
    graph.output(`present_recurrent.${i}`, 'float32', ['batch_size', H, headDim, headDim], presentState);
    return this.matrix(`${i}.o`, gated, width, d);
  }

  private unitHeads(x: string): string {
    const { graph } = this;
    const { numHeads: H, headDim } = this.config;
    const heads = graph.node('Reshape', [x, graph.constant('int64', [4], [0, 0, H, headDim])]);
    const unit = graph.node('LpNormalization', [heads], { axis: -1, p: 2 });
    return graph.node('Reshape', [unit, graph.constant('int64', [3], [0, 0, H * headDim])]);
  }
}

function bytes(values: Float32Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
