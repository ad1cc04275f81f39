/**
 * Models of llama2.c (https://github.com/karpathy/llama2.c: run.c, export.py, tokenizer.py): float32 weights after a
 * header of seven integers, and a tokenizer in a file beside it.
 */
import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { InputError } from '../../util/errors.ts';
import type { ModelConfig } from '../config.ts';
import { FileBytes } from '../file-bytes.ts';
import { modelParameters } from '../parameters.ts';
import type { TensorInfo, TensorSource } from '../tensor-source.ts';
import { pairsToHalves } from './rotary.ts';
import { sentencePieceJson, type TokenizerFiles } from './tokenizer-json.ts';

/** 'ak42' read as a little-endian integer: the files of `export.py --version 1`. */
const LLAMA2C_V1_MAGIC = 0x616b3432;
const LEGACY_HEADER = 28;
const V1_HEADER = 256;

const BOS = 1;
const EOS = 2;
/** The ids 3 to 258 are the bytes. */
const FIRST_BYTE = 3;

interface Layout {
  config: ModelConfig;
  /** Position of each tensor's values in the file. */
  positions: Map<string, number>;
  end: number;
}

/** A llama2.c file as Hugging Face's tensors, query and key rows in Hugging Face's order. */
export class Llama2cFile implements TensorSource {
  readonly config: ModelConfig;
  private readonly file: FileBytes;
  private readonly positions: Map<string, number>;
  private readonly shapes: Map<string, number[]>;

  /** Throws InputError when the sizes in the header do not give the size of the file. */
  constructor(path: string) {
    this.file = new FileBytes(path);
    const { config, positions, end } = readLayout(this.file);
    if (end !== this.file.size) {
      throw new InputError(
        `${path} is no llama2.c model, or not a whole one: its header (width ${config.hiddenSize}, ` +
          `${config.layers.length} layers, vocabulary ${config.vocabSize}) asks for ${end} bytes, ` +
          `the file has ${this.file.size}`,
      );
    }
    this.config = config;
    this.positions = positions;
    this.shapes = new Map(modelParameters(config).map(({ name, shape }) => [name, shape]));
  }

  names(): string[] {
    return [...this.shapes.keys()];
  }

  has(name: string): boolean {
    return this.shapes.has(name);
  }

  info(name: string): TensorInfo {
    const shape = this.shapes.get(name);
    if (!shape) throw new InputError(`${this.file.path} has no tensor '${name}'`);
    return { name, dtype: 'F32', shape: [...shape] };
  }

  read(name: string): Float32Array<ArrayBuffer> {
    const { shape } = this.info(name);
    const count = shape.reduce((product, size) => product * size, 1);
    const bytes = this.file.bytes(this.positions.get(name)!, 4 * count, `tensor '${name}'`);
    const values = new Float32Array(bytes.buffer);
    return /[qk]_proj\.weight$/.test(name) ? pairsToHalves(values, shape, this.config.headDim) : values;
  }
}

function readLayout(file: FileBytes): Layout {
  const first = new Int32Array(file.bytes(0, LEGACY_HEADER, 'the header').buffer);
  if (first[0] !== LLAMA2C_V1_MAGIC) {
    // The sign of the vocabulary size tells whether the logits have a matrix of their own.
    const config = configOf(file.path, first, first[5]! > 0);
    return layoutOf(config, LEGACY_HEADER, legacyOrder(config));
  }
  if (first[1] !== 1) {
    throw new InputError(
      `${file.path} is of version ${first[1]} of llama2.c's formats, expected 0 (legacy) or 1`,
    );
  }
  const header = file.bytes(0, V1_HEADER, 'the header');
  const config = configOf(file.path, new Int32Array(header.buffer, 8, 7), header[36] === 1);
  return layoutOf(config, V1_HEADER, v1Order(config));
}

function configOf(path: string, header: Int32Array, tied: boolean): ModelConfig {
  const [hiddenSize, intermediateSize, layers, numHeads, numKvHeads, vocab, context] = [...header] as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const vocabSize = Math.abs(vocab);
  const sizes = [hiddenSize, intermediateSize, layers, numHeads, numKvHeads, vocabSize, context];
  const headDim = hiddenSize / numHeads;
  const plausible =
    sizes.every((size) => size > 0 && size < 1 << 24) &&
    layers < 1000 &&
    Number.isInteger(headDim / 2) &&
    numHeads % numKvHeads === 0;
  if (!plausible) {
    throw new InputError(
      `${path} is no llama2.c model: width, feed-forward width, layers, heads, key-value heads, vocabulary and ` +
        `context of its header are [${sizes}]`,
    );
  }
  return {
    modelType: 'llama',
    vocabSize,
    hiddenSize,
    intermediateSize,
    numHeads,
    numKvHeads,
    headDim,
    rmsNormEps: 1e-5,
    ropeTheta: 10000,
    ropeScaling: null,
    qkvBias: false,
    oBias: false,
    mlpBias: false,
    qkNorm: false,
    tieWordEmbeddings: tied,
    maxPositionEmbeddings: context,
    initializerRange: 0.02,
    bosTokenId: BOS,
    // run.c stops at the begin-of-text token, which separates the stories that the models were trained on.
    eosTokenIds: [EOS, BOS],
    layers: Array.from({ length: layers }, () => ({ kind: 'attention' })),
  };
}

/** A tensor of Hugging Face's names (layer '*': all layers one after the other), or a number of values to skip. */
type Item = string | number;

const LAYER_NORMS = ['input_layernorm.weight', 'post_attention_layernorm.weight'] as const;
const ATTENTION = ['q', 'k', 'v', 'o'].map((x) => `self_attn.${x}_proj.weight`);
const MLP = ['mlp.gate_proj.weight', 'mlp.down_proj.weight', 'mlp.up_proj.weight'];
const everyLayer = (name: string) => `model.layers.*.${name}`;

function legacyOrder({ maxPositionEmbeddings, headDim, tieWordEmbeddings }: ModelConfig): Item[] {
  return [
    'model.embed_tokens.weight',
    everyLayer(LAYER_NORMS[0]),
    ...ATTENTION.map(everyLayer),
    everyLayer(LAYER_NORMS[1]),
    ...MLP.map(everyLayer),
    'model.norm.weight',
    maxPositionEmbeddings * headDim, // cosines and sines of the rotary positions
    ...(tieWordEmbeddings ? [] : ['lm_head.weight']),
  ];
}

function v1Order({ tieWordEmbeddings }: ModelConfig): Item[] {
  return [
    ...LAYER_NORMS.map(everyLayer),
    'model.norm.weight',
    'model.embed_tokens.weight',
    ...ATTENTION.map(everyLayer),
    ...MLP.map(everyLayer),
    ...(tieWordEmbeddings ? [] : ['lm_head.weight']),
  ];
}

function layoutOf(config: ModelConfig, begin: number, order: Item[]): Layout {
  const shapes = new Map(modelParameters(config).map(({ name, shape }) => [name, shape]));
  const positions = new Map<string, number>();
  let at = begin;
  for (const item of order) {
    if (typeof item === 'number') {
      at += 4 * item;
      continue;
    }
    const names = item.includes('*') ? config.layers.map((_, i) => item.replace('*', `${i}`)) : [item];
    for (const name of names) {
      positions.set(name, at);
      at += 4 * shapes.get(name)!.reduce((product, size) => product * size, 1);
    }
  }
  return { config, positions, end: at };
}

/** The tokenizer that stands beside a model: tok512.bin for a vocabulary of 512, or tokenizer.bin. */
export function findLlama2cTokenizer(modelPath: string, vocabSize: number): string {
  const names = [`tok${vocabSize}.bin`, 'tokenizer.bin'];
  const found = names.map((name) => join(dirname(modelPath), name)).find((path) => existsSync(path));
  if (!found) {
    throw new InputError(
      `no tokenizer beside ${basename(modelPath)}: neither ${names.join(' nor ')} is there`,
    );
  }
  return found;
}

/**
 * llama2.c's tokenizer file: the longest piece's length, then for each id a float score, a length and the bytes.
 * Encoding and decoding by the tokenizer.json equal run.c's, except that '<s>', '</s>' and '<unk>' in a text are
 * the special tokens. A text gets the begin-of-text token and a space before it.
 *
 * @throws InputError when the file does not hold `vocabSize` pieces
 */
export function readLlama2cTokenizer(path: string, vocabSize: number): TokenizerFiles {
  const file = new FileBytes(path);
  const bytes = file.bytes(0, file.size, 'the tokenizer');
  const view = new DataView(bytes.buffer);
  const pieces: { text: string; score: number }[] = [];
  let at = 4;
  for (let id = 0; id < vocabSize; id++) {
    const length = at + 8 <= bytes.length ? view.getInt32(at + 4, true) : -1;
    if (length < 0 || at + 8 + length > bytes.length) {
      throw new InputError(`${path} ends within piece ${id}, expected ${vocabSize} pieces`);
    }
    const text = new TextDecoder().decode(bytes.subarray(at + 8, at + 8 + length));
    pieces.push({ text, score: view.getFloat32(at, true) });
    at += 8 + length;
  }
  if (at !== bytes.length) {
    throw new InputError(`${path} has ${bytes.length - at} bytes after the ${vocabSize} pieces of the model`);
  }
  ['<unk>', '<s>', '</s>'].forEach((text, id) => {
    if (pieces[id]) pieces[id] = { text, score: 0 };
  });
  const distinct = new Set(pieces.map(({ text }) => text));
  if (distinct.size !== pieces.length || !distinct.has('<0x00>')) {
    throw new InputError(
      `${path} is no llama2.c tokenizer: its pieces repeat, or there are none for single bytes`,
    );
  }
  const special = [0, BOS, EOS].map((id) => ({ id, content: pieces[id]!.text, special: true }));
  return {
    tokenizer: sentencePieceJson({
      pieces,
      mergeable: (id) => id >= FIRST_BYTE + 256,
      added: special,
      space: ' ',
      prefixSpace: true,
      before: [BOS],
      after: [],
      unknownId: 0,
    }),
    config: {
      tokenizer_class: 'PreTrainedTokenizerFast',
      bos_token: '<s>',
      eos_token: '</s>',
      unk_token: '<unk>',
      clean_up_tokenization_spaces: false,
    },
  };
}
