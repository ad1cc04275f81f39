import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openCheckpoint } from '../checkpoint.ts';
import { loadTokenizer } from '../folder.ts';
import { Tokenizer } from '../tokenizer.ts';
import { GgufFile } from './gguf.ts';
import { BLOCK_TYPES } from './gguf-blocks.ts';
import { tokenizerFromGguf } from './gguf-tokenizer.ts';
import { importCheckpoint } from './import-checkpoint.ts';
import { Llama2cFile, readLlama2cTokenizer } from './llama2c.ts';

const golden = join(import.meta.dirname, '../../../test/golden');

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'postnas-gguf-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

// ---- a writer of small files -------------------------------------------------------------------------------

type Value = number | string | boolean | string[] | number[];

interface TestTensor {
  name: string;
  /** Outermost first. */
  shape: number[];
  type?: number;
  data: Uint8Array;
}

const u32 = (n: number) => Buffer.from(new Uint32Array([n]).buffer);
const u64 = (n: number) => Buffer.from(new BigUint64Array([BigInt(n)]).buffer);
const f32 = (n: number) => Buffer.from(new Float32Array([n]).buffer);
const text = (s: string) => Buffer.concat([u64(Buffer.byteLength(s)), Buffer.from(s)]);

/** Type and bytes of a value: whole numbers as uint32, others as float32. */
function valueBytes(value: Value): [type: number, bytes: Uint8Array] {
  if (typeof value === 'string') return [8, text(value)];
  if (typeof value === 'boolean') return [7, Buffer.from([value ? 1 : 0])];
  if (typeof value === 'number') return Number.isInteger(value) ? [4, u32(value)] : [6, f32(value)];
  const isText = typeof value[0] === 'string';
  const items = value.map((item) => (isText ? text(item as string) : f32(item as number)));
  return [9, Buffer.concat([u32(isText ? 8 : 6), u64(value.length), ...items])];
}

function ggufBytes(metadata: Record<string, Value>, tensors: TestTensor[]) {
  const head: Uint8Array[] = [
    Buffer.from('GGUF'),
    u32(3),
    u64(tensors.length),
    u64(Object.keys(metadata).length),
  ];
  for (const [key, value] of Object.entries(metadata)) {
    const [type, bytes] = valueBytes(value);
    head.push(text(key), u32(type), bytes);
  }
  const data: Uint8Array[] = [];
  let at = 0;
  for (const { name, shape, type = 0, data: bytes } of tensors) {
    head.push(text(name), u32(shape.length), ...shape.toReversed().map(u64), u32(type), u64(at));
    const padded = Buffer.alloc(Math.ceil(bytes.length / 32) * 32);
    padded.set(bytes);
    data.push(padded);
    at += padded.length;
  }
  const header = Buffer.concat(head);
  return Buffer.concat([header, Buffer.alloc((32 - (header.length % 32)) % 32), ...data]);
}

function ggufFile(name: string, metadata: Record<string, Value>, tensors: TestTensor[] = []): string {
  const path = join(dir, name);
  writeFileSync(path, ggufBytes(metadata, tensors));
  return path;
}

const asBytes = (values: Float32Array) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

// ---- element types -----------------------------------------------------------------------------------------

describe('blocks decode as by gguf-py', () => {
  const cases: Record<string, { type: number; data: string; values: number[] }> = JSON.parse(
    readFileSync(join(golden, 'gguf/blocks.json'), 'utf8'),
  );
  test.each(Object.entries(cases))('%s', (name, { type, data, values }) => {
    const block = BLOCK_TYPES.get(type)!;
    expect(block.name).toBe(name);
    const bytes = new Uint8Array(Buffer.from(data, 'base64'));
    expect((bytes.length / block.bytes) * block.values).toBe(values.length);
    const out = new Float32Array(values.length);
    block.decode(bytes, out);
    // One rounding may differ: the reference rounds after the multiplication and after the addition.
    out.forEach((value, i) => {
      expect(Math.abs(value - values[i]!)).toBeLessThanOrEqual(2e-7 * Math.max(1, Math.abs(values[i]!)));
    });
  });
});

// ---- models ------------------------------------------------------------------------------------------------

/** A byte-level vocabulary: the 256 bytes in their printable form, further tokens, and end-of-text last. */
function byteVocabulary(merges: string[]): { tokens: string[]; types: number[]; merges: string[] } {
  const printable = (byte: number) => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
  let next = 256;
  const bytes = Array.from({ length: 256 }, (_, byte) =>
    String.fromCharCode(printable(byte) ? byte : next++),
  );
  const tokens = [...bytes, ...merges.map((merge) => merge.replace(' ', '')), '<|end|>'];
  return { tokens, types: tokens.map((_, i) => (i === tokens.length - 1 ? 3 : 1)), merges };
}

function byteTokenizer(pre: string, merges: string[]): Record<string, Value> {
  const vocabulary = byteVocabulary(merges);
  return {
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.pre': pre,
    'tokenizer.ggml.tokens': vocabulary.tokens,
    'tokenizer.ggml.token_type': vocabulary.types,
    'tokenizer.ggml.merges': vocabulary.merges,
    'tokenizer.ggml.eos_token_id': vocabulary.tokens.length - 1,
    'tokenizer.ggml.bos_token_id': vocabulary.tokens.length - 1,
  };
}

/** How convert_hf_to_gguf.py orders the query and key rows of Llama models. */
function interleave(values: Float32Array, rows: number, heads: number): Float32Array {
  const half = rows / heads / 2;
  const width = values.length / rows;
  const out = new Float32Array(values.length);
  for (let head = 0; head < heads; head++) {
    for (let second = 0; second < 2; second++) {
      for (let j = 0; j < half; j++) {
        const from = (head * 2 + second) * half + j;
        const to = (head * half + j) * 2 + second;
        out.set(values.subarray(from * width, (from + 1) * width), to * width);
      }
    }
  }
  return out;
}

const GGUF_NAMES: [string, string][] = [
  ['model.embed_tokens', 'token_embd'],
  ['model.norm', 'output_norm'],
  ['lm_head', 'output'],
  ['model.layers.', 'blk.'],
  ['input_layernorm', 'attn_norm'],
  ['post_attention_layernorm', 'ffn_norm'],
  ['self_attn.q_proj', 'attn_q'],
  ['self_attn.k_proj', 'attn_k'],
  ['self_attn.v_proj', 'attn_v'],
  ['self_attn.o_proj', 'attn_output'],
  ['mlp.gate_proj', 'ffn_gate'],
  ['mlp.up_proj', 'ffn_up'],
  ['mlp.down_proj', 'ffn_down'],
];

/** A Hugging Face folder as the parts of a GGUF file. */
function toGguf(folder: string, arch: 'llama' | 'qwen2', extra: Record<string, Value> = {}) {
  const { config, weights } = openCheckpoint(folder);
  const metadata: Record<string, Value> = {
    'general.architecture': arch,
    [`${arch}.block_count`]: config.layers.length,
    [`${arch}.context_length`]: config.maxPositionEmbeddings,
    [`${arch}.embedding_length`]: config.hiddenSize,
    [`${arch}.feed_forward_length`]: config.intermediateSize,
    [`${arch}.attention.head_count`]: config.numHeads,
    [`${arch}.attention.head_count_kv`]: config.numKvHeads,
    [`${arch}.attention.layer_norm_rms_epsilon`]: config.rmsNormEps,
    [`${arch}.rope.freq_base`]: config.ropeTheta,
    'tokenizer.ggml.bos_token_id': 1,
    'tokenizer.ggml.eos_token_id': 2,
    ...extra,
  };
  const tensors = weights.names().map((name): TestTensor => {
    let values: Float32Array = weights.read(name);
    const { shape } = weights.info(name);
    if (arch === 'llama' && name.includes('q_proj')) values = interleave(values, shape[0]!, config.numHeads);
    if (arch === 'llama' && name.includes('k_proj'))
      values = interleave(values, shape[0]!, config.numKvHeads);
    const ggufName = GGUF_NAMES.reduce((result, [from, to]) => result.replace(from, to), name);
    return { name: ggufName, shape, data: asBytes(values) };
  });
  return { config, weights, metadata, tensors };
}

describe('models', () => {
  test.each([
    ['llama', 'llama'],
    ['llama-bias', 'llama'],
    ['qwen2', 'qwen2'],
  ] as const)('%s: configuration and weights come back', (name, arch) => {
    const linear: Record<string, Value> =
      name === 'llama-bias' ? { 'llama.rope.scaling.type': 'linear', 'llama.rope.scaling.factor': 4 } : {};
    const { config, weights, metadata, tensors } = toGguf(join(golden, 'models', name), arch, linear);
    const file = new GgufFile(ggufFile(`${name}.gguf`, metadata, tensors));
    expect(file.config).toEqual(config);
    expect(file.names().sort()).toEqual(weights.names().sort());
    for (const tensor of weights.names()) {
      expect(file.info(tensor).shape).toEqual(weights.info(tensor).shape);
      expect(Buffer.compare(asBytes(file.read(tensor)), asBytes(weights.read(tensor))), tensor).toBe(0);
    }
  });

  test("Llama 3's rotary scaling is recognised by its frequency factors", () => {
    const folder = join(golden, 'models/llama3-rope');
    const { metadata, tensors } = toGguf(folder, 'llama', {
      'llama.attention.head_count': 1,
      'llama.attention.head_count_kv': 1,
      'llama.attention.key_length': 32,
      'llama.attention.value_length': 32,
      'llama.rope.freq_base': 500000,
    });
    const factorOf = (j: number, factor: number) => {
      const wavelength = 2 * Math.PI * 500000 ** ((2 * j) / 32);
      if (wavelength < 8192 / 4) return 1;
      if (wavelength > 8192) return factor;
      const smooth = (8192 / wavelength - 1) / 3;
      return 1 / ((1 - smooth) / factor + smooth);
    };
    const withFactors = (name: string, factors: number[]) =>
      new GgufFile(
        ggufFile(name, metadata, [
          ...tensors,
          { name: 'rope_freqs.weight', shape: [factors.length], data: asBytes(new Float32Array(factors)) },
        ]),
      );
    const factors = Array.from({ length: 16 }, (_, j) => factorOf(j, 32));
    expect(withFactors('llama3.gguf', factors).config.ropeScaling).toEqual({
      type: 'llama3',
      factor: 32,
      lowFreqFactor: 1,
      highFreqFactor: 4,
      originalMaxPositionEmbeddings: 8192,
    });
    expect(() => withFactors('other.gguf', factors.with(3, 2))).toThrow(
      /frequency factors other than Llama 3's/,
    );
  });

  test('imported with its tokenizer', async () => {
    const tokenizer = byteTokenizer('gpt-2', ['a b']);
    const { metadata, tensors, weights } = toGguf(join(golden, 'models/llama'), 'llama');
    const path = ggufFile(
      'with-tokenizer.gguf',
      { ...metadata, ...tokenizer, 'tokenizer.chat_template': 'X' },
      tensors,
    );
    const folder = join(dir, 'imported');
    const seen: number[] = [];
    await expect(importCheckpoint(path, folder)).rejects.toThrow(/has 258 tokens, .* vocabulary has 64/);

    const rows = 260;
    const embedding = new Float32Array(rows * 32).fill(0.5);
    embedding.set(weights.read('model.embed_tokens.weight'));
    const larger = tensors.map((tensor) =>
      tensor.name === 'token_embd.weight'
        ? { ...tensor, shape: [rows, 32], data: asBytes(embedding) }
        : tensor,
    );
    writeFileSync(path, ggufBytes({ ...metadata, ...tokenizer, 'tokenizer.chat_template': 'X' }, larger));
    await importCheckpoint(path, folder, {
      dtype: 'BF16',
      onProgress: ({ done, total }) => seen.push(done / total),
    });
    expect(seen.at(-1)).toBe(1);
    const loaded = loadTokenizer(folder);
    expect(loaded.applyChatTemplate([])).toBe('X');
    expect(loaded.encode('abc')).toEqual([256, 99]);
    const { config, generation } = openCheckpoint(folder);
    expect(config).toMatchObject({ vocabSize: rows, bosTokenId: 257, eosTokenIds: [257] });
    expect(generation.eosTokenIds).toEqual([257]);
  });
});

describe('what is refused, by name', () => {
  const base = (): ReturnType<typeof toGguf> => toGguf(join(golden, 'models/qwen2'), 'qwen2');

  test('files that are not whole', () => {
    const { metadata, tensors } = base();
    const whole = ggufBytes(metadata, tensors);
    const cut = (bytes: number) => {
      const path = join(dir, `cut-${bytes}`);
      writeFileSync(path, whole.subarray(0, bytes));
      return () => new GgufFile(path);
    };
    expect(cut(whole.length)).not.toThrow();
    expect(cut(whole.length - 1)).toThrow(
      /cut-\d+ is truncated: tensor 'output_norm\.weight' ends at byte|truncated/,
    );
    for (const length of [10, 24, 40, 300, 1000])
      expect(cut(length)).toThrow(/truncated|more than the file has/);
  });

  test.each<[string, Record<string, Value>, RegExp]>([
    [
      'architecture',
      { 'general.architecture': 'gemma3' },
      /architecture 'gemma3' is not supported; supported are/,
    ],
    ['experts', { 'qwen2.expert_count': 8 }, /qwen2\.expert_count is 8, expected 0/],
    [
      'scaling',
      { 'qwen2.rope.scaling.type': 'yarn' },
      /rope\.scaling\.type is yarn, expected 'none' or 'linear'/,
    ],
    [
      'partial rotation',
      { 'qwen2.rope.dimension_count': 4 },
      /rope\.dimension_count is 4, expected the whole head/,
    ],
    ['wrong type', { 'qwen2.block_count': 'two' }, /qwen2\.block_count is two, expected a number/],
    ['no size', { 'qwen2.feed_forward_length': 0 }, /feed_forward_length is 0, expected a size/],
  ])('%s', (name, extra, message) => {
    const { metadata, tensors } = base();
    const path = ggufFile(`bad ${name}`, { ...metadata, ...extra }, tensors);
    expect(() => new GgufFile(path)).toThrow(message);
  });

  test('a missing key, element types, foreign tensors, other versions', () => {
    const { metadata, tensors } = base();
    const { 'qwen2.context_length': _, ...rest } = metadata;
    expect(() => new GgufFile(ggufFile('nokey', rest, tensors))).toThrow(
      /context_length is missing, expected a number/,
    );
    const [first, ...others] = tensors;
    const q2 = ggufFile('q2', metadata, [{ ...first!, type: 10 }, ...others]);
    expect(() => new GgufFile(q2)).toThrow(/is of ggml type 10, supported are F32, F16, Q4_0/);
    const uneven = ggufFile('uneven', metadata, [{ ...first!, shape: [4, 8], type: 2 }, ...others]);
    expect(() => new GgufFile(uneven)).toThrow(/rows of 8 values, expected whole Q4_0 blocks of 32/);
    const foreign = ggufFile('foreign', metadata, [{ ...first!, name: 'blk.0.ssm_a.weight' }, ...others]);
    expect(() => new GgufFile(foreign)).toThrow(/tensor 'blk\.0\.ssm_a\.weight' has no place/);
    const one = ggufBytes(metadata, tensors);
    one.writeUInt32LE(1, 4);
    writeFileSync(join(dir, 'v1'), one);
    expect(() => new GgufFile(join(dir, 'v1'))).toThrow(/GGUF version 1, expected 2 or 3/);
  });
});

// ---- tokenizers --------------------------------------------------------------------------------------------

describe('tokenizers', () => {
  const tokenizerOf = (metadata: Record<string, Value>) => {
    const { metadata: model, tensors } = toGguf(join(golden, 'models/llama'), 'llama');
    const file = new GgufFile(ggufFile('tokenizer', { ...model, ...metadata }, tensors));
    const { tokenizer, config } = tokenizerFromGguf(file.metadata);
    return new Tokenizer(tokenizer, config);
  };
  const pieces = (pre: string, merges: string[], sample: string) => {
    const tokenizer = tokenizerOf(byteTokenizer(pre, merges));
    const ids = tokenizer.encode(sample, { addSpecialTokens: false });
    return ids.map((id) => tokenizer.decode([id]));
  };

  test('digits: all in one word, one each, groups of three', () => {
    const merges = ['1 2', '12 3', '123 4', '4 5'];
    expect(pieces('gpt-2', merges, '12345')).toEqual(['1234', '5']);
    expect(pieces('smollm', merges, '12345')).toEqual(['1', '2', '3', '4', '5']);
    expect(pieces('qwen2', merges, '12345')).toEqual(['1', '2', '3', '4', '5']);
    expect(pieces('llama-bpe', merges, '12345')).toEqual(['123', '45']);
  });

  test('words end at line breaks and contractions', () => {
    const merges = ["' L", "'L L", '! Ċ', '. Ċ'];
    expect(pieces('llama-bpe', merges, "I'LL!\n")).toEqual(['I', "'LL", '!\n']);
    expect(pieces('gpt-2', merges, "I'LL!\n")).toEqual(['I', "'", 'L', 'L', '!', '\n']);
  });

  test('qwen2 composes characters first; llama-bpe takes whole words from the vocabulary', () => {
    expect(pieces('qwen2', ['Ã ©'], 'e\u0301')).toEqual(['é']);
    // 'abc' is a token that the merges cannot reach.
    expect(pieces('llama-bpe', ['b c', 'ab c'], 'abc')).toEqual(['abc']);
    expect(pieces('qwen2', ['b c', 'ab c'], 'abc')).toEqual(['a', 'bc']);
  });

  test('special tokens: kept whole, hidden when decoded, put before a text when the file says so', () => {
    const metadata = byteTokenizer('llama-bpe', []);
    const tokenizer = tokenizerOf(metadata);
    expect(tokenizer.encode('<|end|>a')).toEqual([256, 256, 97]);
    expect(tokenizer.decode([256, 97])).toBe('a');
    expect(tokenizer.decode([256, 97], { skipSpecialTokens: false })).toBe('<|end|>a');
    expect(tokenizer).toMatchObject({ bosId: 256, eosIds: [256], vocabSize: 257 });
    expect(tokenizerOf({ ...metadata, 'tokenizer.ggml.add_bos_token': false }).encode('a')).toEqual([97]);
    expect(tokenizerOf({ ...metadata, 'tokenizer.ggml.add_eos_token': true }).encode('a')).toEqual([
      256, 97, 256,
    ]);
  });

  test('what is not supported is named', () => {
    const metadata = byteTokenizer('tekken', []);
    expect(() => tokenizerOf(metadata)).toThrow(
      /tokenizer\.ggml\.pre is tekken, expected one of gpt-2, smollm/,
    );
    expect(() => tokenizerOf({ ...metadata, 'tokenizer.ggml.model': 'bert' })).toThrow(
      /expected 'gpt2' or 'llama'/,
    );
    expect(() => tokenizerOf({ ...metadata, 'tokenizer.ggml.eos_token_id': 999 })).toThrow(/an id below 257/);
    expect(() => tokenizerOf({ ...metadata, 'tokenizer.ggml.token_type': [1] })).toThrow(
      /token_type is a list, expected 257/,
    );
    expect(() =>
      tokenizerOf({
        ...metadata,
        'tokenizer.ggml.tokens': ['a', 'a'],
        'tokenizer.ggml.token_type': [1, 1],
        'tokenizer.ggml.bos_token_id': 1,
        'tokenizer.ggml.eos_token_id': 1,
      }),
    ).toThrow(/tokens holds "a" twice/);
  });

  const pieceFile = join(import.meta.dirname, '../../../../shared/data/models/stories260K/tok512.bin');
  let missing = false;
  try {
    readLlama2cTokenizer(pieceFile, 512);
  } catch {
    missing = true;
  }

  test.skipIf(missing)('SentencePiece: the pieces of tok512.bin as in GGUF (needs ../shared/data)', () => {
    const { tokenizer: json, config } = readLlama2cTokenizer(pieceFile, 512);
    const reference = new Tokenizer(json, config);
    const bytes = readFileSync(pieceFile);
    const tokens: string[] = [];
    const scores: number[] = [];
    for (let at = 4; at < bytes.length; ) {
      const length = bytes.readInt32LE(at + 4);
      scores.push(bytes.readFloatLE(at));
      const special = ['<unk>', '<s>', '</s>'][tokens.length];
      tokens.push(special ?? bytes.toString('utf8', at + 8, at + 8 + length).replaceAll(' ', '▁'));
      at += 8 + length;
    }
    const tokenizer = tokenizerOf({
      'tokenizer.ggml.model': 'llama',
      'tokenizer.ggml.tokens': tokens,
      'tokenizer.ggml.scores': scores,
      'tokenizer.ggml.token_type': tokens.map((_, id) => (id === 0 ? 2 : id < 3 ? 3 : id < 259 ? 6 : 1)),
      'tokenizer.ggml.bos_token_id': 1,
      'tokenizer.ggml.eos_token_id': 2,
    });
    for (const sample of [
      'Once upon a time, there was a little girl named Lily.',
      ' two  spaces',
      'naïve 🙂\n',
    ]) {
      expect(tokenizer.encode(sample)).toEqual(reference.encode(sample));
      expect(tokenizer.decode(tokenizer.encode(sample))).toBe(sample);
    }
    expect(tokenizer.encode('')).toEqual([1]);
  });
});

test('content decides, not the name', async () => {
  const path = join(dir, 'model.gguf');
  writeFileSync(path, Buffer.alloc(64, 1));
  await expect(importCheckpoint(path, join(dir, 'no'))).rejects.toThrow(/is no llama2\.c model/);
  expect(() => new Llama2cFile(path)).toThrow();
});
