import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EVERY_MIXER } from '../../../test/support/every-mixer.ts';
import { randomWeights, tinyConfig } from '../../../test/support/random-model.ts';
import { tinyTokenizerFiles } from '../../../test/support/tiny-tokenizer.ts';
import type { MixerSpec } from '../../mixers/spec.ts';
import type { ModelConfig } from '../../model/config.ts';
import { FileBytes } from '../../model/file-bytes.ts';
import type { GenerationConfig } from '../../model/generation-config.ts';
import { GgufFile } from '../../model/import/gguf.ts';
import { BLOCK_TYPES } from '../../model/import/gguf-blocks.ts';
import { readGgufHeader } from '../../model/import/gguf-header.ts';
import { tokenizerFromGguf } from '../../model/import/gguf-tokenizer.ts';
import { templateProcessing } from '../../model/import/tokenizer-json.ts';
import { modelParameters } from '../../model/parameters.ts';
import { Tokenizer } from '../../model/tokenizer.ts';
import { exportGguf, type GgufDtype } from './export-gguf.ts';

let dir: string;
let tokenizer: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'postnas-export-gguf-'));
  tokenizer = join(dir, 'tokenizer');
  mkdirSync(tokenizer);
  for (const [name, text] of Object.entries(tinyTokenizerFiles)) writeFileSync(join(tokenizer, name), text);
});
afterAll(() => rmSync(dir, { recursive: true }));

const attention: MixerSpec = { kind: 'attention' };
const gdn = EVERY_MIXER.gated_deltanet;

let count = 0;
async function exported(config: ModelConfig, dtype: GgufDtype = 'f32', tokenizerFrom = tokenizer) {
  const path = join(dir, `${count++}.gguf`);
  const weights = randomWeights(config);
  const { bosTokenId, eosTokenIds } = config;
  const checkpoint = { config, weights, generation: { bosTokenId, eosTokenIds } };
  const architecture = await exportGguf(path, checkpoint, { dtype, tokenizerFrom });
  return { path, weights, architecture };
}

/** The decoded values of a file's tensor. */
function read(path: string, name: string): Float32Array {
  const file = new FileBytes(path);
  const tensor = readGgufHeader(file).tensors.find((tensor) => tensor.name === name)!;
  const { values, bytes, decode } = BLOCK_TYPES.get(tensor.type)!;
  const out = new Float32Array(tensor.dims.reduce((a, b) => a * b, 1));
  decode(file.bytes(tensor.position, (out.length / values) * bytes, name), out);
  return out;
}

// Run by llama.cpp itself in test/extra/export; here they are read again.
test.each<[string, Partial<ModelConfig>]>([
  ['llama', { modelType: 'llama' }],
  ['llama', { modelType: 'llama', qkvBias: true, oBias: true, tieWordEmbeddings: true }],
  ['qwen2', { modelType: 'qwen2', qkvBias: true }],
])('%s: the importer finds the same model', async (architecture, more) => {
  const config = tinyConfig([attention, attention], more);
  const { path, weights } = await exported(config);
  const file = new GgufFile(path);
  expect(file.config).toMatchObject({ ...config, modelType: architecture, initializerRange: 0.02 });
  for (const { name } of modelParameters(config)) expect(file.read(name), name).toEqual(weights.read(name));
});

test('the scaling of Llama 3.1 is found again', async () => {
  const ropeScaling = {
    type: 'llama3',
    factor: 8,
    lowFreqFactor: 1,
    highFreqFactor: 4,
    originalMaxPositionEmbeddings: 8192,
  } as const;
  const config = tinyConfig([attention], { ropeScaling, headDim: 32, ropeTheta: 500_000 });
  const { path } = await exported(config);
  expect(new GgufFile(path).config.ropeScaling).toEqual(ropeScaling);
});

test('a hybrid: one eps, made up for in the weights; a gate of one half', async () => {
  const config = tinyConfig([gdn, attention], { qkNorm: true, rmsNormEps: 1e-6, tieWordEmbeddings: true });
  const { path, weights, architecture } = await exported(config);
  expect(architecture).toBe('qwen35');
  const { metadata } = readGgufHeader(new FileBytes(path));
  expect(metadata.get('qwen35.attention.layer_norm_rms_epsilon')).toBeCloseTo(1e-5, 12);
  expect(metadata.get('qwen35.attention.recurrent_layers')).toEqual(Uint8Array.of(1, 0));
  expect(metadata.get('qwen35.ssm.state_size')).toBe(8);
  const near = (name: string, expected: Float32Array, factor: number) => {
    for (const [i, x] of read(path, name).entries()) expect(x).toBeCloseTo(expected[i]! * factor, 5);
  };
  const r = Math.sqrt(10);
  near('token_embd.weight', weights.read('model.embed_tokens.weight'), r);
  near('output_norm.weight', weights.read('model.norm.weight'), 1 / r);
  near('blk.0.ssm_out.weight', weights.read('model.layers.0.self_attn.o_proj.weight'), r);
  near('blk.0.ffn_down.weight', weights.read('model.layers.0.mlp.down_proj.weight'), r);
  near('blk.1.attn_output.weight', weights.read('model.layers.1.self_attn.o_proj.weight'), 2 * r);
  const q = read(path, 'blk.1.attn_q.weight');
  expect(q.length).toBe(2 * 32 * 32);
  // Of each head 8 rows of the query, then 8 of the gate.
  for (const [i, x] of q.entries()) if (Math.floor(i / (8 * 32)) % 2) expect(x).toBe(0);
});

describe('types', () => {
  const config = tinyConfig([attention], { hiddenSize: 64, headDim: 16, intermediateSize: 96 });
  test.each([
    ['f16', 1e-3],
    ['q8', 0.01],
    ['q4', 0.1],
  ] as const)('%s: every matrix is near, and vectors are exact', async (dtype, most) => {
    const { path, weights } = await exported(config, dtype);
    const file = new GgufFile(path);
    for (const { name, shape } of modelParameters(config)) {
      const [found, expected] = [file.read(name), weights.read(name)];
      const norm = (x: Float32Array) => Math.sqrt(x.reduce((sum, value) => sum + value * value, 0));
      const error = norm(found.map((x, i) => x - expected[i]!)) / norm(expected);
      if (shape.length === 1) expect(error, name).toBe(0);
      else expect(error, name).toBeLessThan(most);
      if (shape.length === 2) expect(error, name).toBeGreaterThan(0);
    }
  });
});

test('the tokenizer is read again as it was; ids without a token are unused', async () => {
  const { path } = await exported(tinyConfig([attention], { vocabSize: 70 }));
  const { metadata } = new GgufFile(path);
  expect(metadata.numbers('tokenizer.ggml.token_type').slice(62)).toEqual([1, 1, 5, 5, 5, 5, 5, 5]);
  const files = tokenizerFromGguf(metadata);
  const back = new Tokenizer(files.tokenizer, files.config);
  const text = 'hello World 12é';
  const own = JSON.parse(tinyTokenizerFiles['tokenizer.json']);
  expect(back.encode(text)).toEqual(new Tokenizer(own, {}).encode(text));
  expect(metadata.text('tokenizer.chat_template')).toBe(tinyTokenizerFiles['chat_template.jinja']);
});

describe('ids and templates', () => {
  const config = tinyConfig([attention]);
  /** The files of the tiny tokenizer, changed. */
  const changedTokenizer = (
    change: (
      json: Record<string, unknown> & {
        model: Record<string, unknown>;
        added_tokens: Record<string, unknown>[];
      },
    ) => void,
    files: Record<string, unknown> = {},
  ) => {
    const folder = join(dir, `tokenizer-${count++}`);
    mkdirSync(folder);
    const json = JSON.parse(tinyTokenizerFiles['tokenizer.json']);
    change(json);
    writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(json));
    for (const [name, value] of Object.entries(files))
      writeFileSync(join(folder, name), JSON.stringify(value));
    return folder;
  };
  const processor = (before: number[], after: number[]) => (json: Record<string, unknown>) => {
    json.post_processor = templateProcessing(before, after, (id) => ['<unk>', '<s>', '</s>'][id]!);
  };
  const write = async (tokenizerFrom: string, generation: GenerationConfig) => {
    const path = join(dir, `${count++}.gguf`);
    await exportGguf(
      path,
      { config, weights: randomWeights(config), generation },
      { dtype: 'f32', tokenizerFrom },
    );
    const file = new GgufFile(path);
    const { tokenizer: json, config: more } = tokenizerFromGguf(file.metadata);
    return { file, tokenizer: new Tokenizer(json, more), more };
  };

  test('a bos that the tokenizer puts in front and no configuration names', async () => {
    const folder = changedTokenizer(processor([1], []));
    const { file, tokenizer } = await write(folder, { bosTokenId: null, eosTokenIds: [2] });
    expect(file.generation).toEqual({ bosTokenId: 1, eosTokenIds: [2] });
    expect(file.metadata.boolean('tokenizer.ggml.add_bos_token', false)).toBe(true);
    expect(tokenizer.encode('a')[0]).toBe(1);
  });

  test('a bos that is named and not put', async () => {
    const { file, tokenizer } = await write(
      changedTokenizer(() => {}),
      { bosTokenId: 1, eosTokenIds: [2] },
    );
    expect(file.generation.bosTokenId).toBe(1);
    expect(tokenizer.encode('a')).toHaveLength(1);
  });

  test('three tokens that end a text, in their order; an end that is put after a text', async () => {
    const { file } = await write(tokenizer, { bosTokenId: 1, eosTokenIds: [5, 2, 7] });
    expect(file.generation.eosTokenIds).toEqual([5, 2, 7]);
    expect(file.config.eosTokenIds).toEqual([5, 2, 7]);
    const after = await write(changedTokenizer(processor([1], [2])), { bosTokenId: 1, eosTokenIds: [5, 2] });
    expect(after.file.generation.eosTokenIds).toEqual([2, 5]);
    expect(after.tokenizer.encode('a').at(-1)).toBe(2);
  });

  test('templates by name, tokens for padding, sampling settings', async () => {
    const chat_template = [
      { name: 'default', template: 'usual' },
      { name: 'tool_use', template: 'with tools' },
    ];
    const folder = changedTokenizer(() => {}, {
      'tokenizer_config.json': { chat_template, pad_token: '<unk>', unk_token: { content: '<unk>' } },
    });
    const generation = {
      bosTokenId: 1,
      eosTokenIds: [2],
      doSample: true,
      temperature: 0.6,
      topK: 20,
      minP: 0.05,
    };
    const { file, more } = await write(folder, generation);
    expect(more).toMatchObject({ chat_template, pad_token: '<unk>', unk_token: '<unk>' });
    expect(file.generation).toEqual(generation);
    const greedy = await write(folder, { ...generation, doSample: false });
    expect(greedy.file.generation).toEqual({ bosTokenId: 1, eosTokenIds: [2] });
  });

  test.each<[string, () => string, number[], RegExp]>([
    [
      'four ends',
      () => tokenizer,
      [2, 3, 4, 5],
      /4 tokens end a text \(2, 3, 4, 5\), a GGUF file names at most 3/,
    ],
    [
      'two tokens in front',
      () => changedTokenizer(processor([1, 0], [])),
      [2],
      /puts 2 tokens before a text and 0 after/,
    ],
    [
      'words that are not merged',
      () => changedTokenizer(({ model }) => Object.assign(model, { ignore_merges: true })),
      [2],
      /ignore_merges is true, for 'gpt-2' it would be false, which a GGUF file cannot say/,
    ],
    [
      'an added token that takes spaces',
      () => changedTokenizer(({ added_tokens: [first] }) => Object.assign(first!, { rstrip: true })),
      [2],
      /the added token "<unk>" has rstrip, which a GGUF file cannot say/,
    ],
  ])('%s: refused', async (_, folder, eosTokenIds, message) => {
    await expect(write(folder(), { bosTokenId: 1, eosTokenIds })).rejects.toThrow(message);
  });
});

describe('is refused, naming layer, block and reason', () => {
  const { head_attention, window_linear, jet_block, sliding_window, gla, rwkv7 } = EVERY_MIXER;
  test.each<[string, MixerSpec[], Partial<ModelConfig>, RegExp]>([
    ['JetBlock', [gdn, jet_block], {}, /layer 1 \(jet_block\): llama.cpp has no dynamic convolution/],
    ['window', [gdn, sliding_window], {}, /layer 1 \(sliding_window\): .*no sliding window beside/],
    ['sinks', [gdn, { ...sliding_window, sinks: 4 }], {}, /layer 1 \(sliding_window\)/],
    ['sinks alone', [attention, { ...sliding_window, sinks: 4 }], {}, /layer 1 \(sliding_window\)|no layer/],
    ['heads', [attention, head_attention], {}, /layer 1 \(head_attention\): .* one reach for all KV heads/],
    [
      'what was put in, not what was left: a window in Llama',
      [attention, { ...sliding_window, sinks: 4 }],
      { qkNorm: false },
      /layer 1 \(sliding_window\): .*nor in models of the kinds of Llama/,
    ],
    [
      'window + linear',
      [attention, window_linear],
      {},
      /layer 1 \(window_linear\): .*no layer of a window and/,
    ],
    ['GLA', [gla, attention], {}, /layer 0 \(gla\): llama.cpp has no such block/],
    ['RWKV7', [attention, rwkv7], {}, /layer 1 \(rwkv7\): /],
    ['widths', [{ ...gdn, valueDim: 16 }], {}, /layer 0 \(gated_deltanet\): keys are 8 wide and values 16/],
    ['RoPE', [{ ...gdn, rope: true }], {}, /layer 0 \(gated_deltanet\): llama.cpp does not rotate/],
    [
      'biases',
      [{ ...gdn, qkvBias: true }],
      {},
      /layer 0 \(gated_deltanet\): llama.cpp has no biases of queries/,
    ],
    ['another epsilon', [{ ...gdn, normEps: 1e-6 }], {}, /norms of heads by 0.000001 are not exported/],
    [
      'norms after',
      ['attention'].map((kind) => ({ kind }) as MixerSpec),
      { norms: 'after' },
      /no norms after mixers/,
    ],
    [
      'sizes',
      [gdn, { ...gdn, heads: 4 }],
      {},
      /layer 1 .*4 heads of 8, but llama.cpp has one size .* 2 heads of 8/,
    ],
    ['parent', [gdn, attention], { qkNorm: false }, /layer 1 \(attention\): .*normalises queries and keys/],
    ['biases', [gdn, attention], { qkvBias: true }, /the parent has biases/],
    ['no attention', [gdn, gdn], {}, /no layer has full attention/],
    [
      'YaRN',
      [attention],
      {
        ropeScaling: {
          type: 'yarn',
          factor: 2,
          originalMaxPositionEmbeddings: 64,
          betaFast: 32,
          betaSlow: 1,
          truncate: true,
          attentionFactor: 1,
        },
      },
      /RoPE scaling of type 'yarn' is not exported/,
    ],
    ['Qwen3 with biases', [attention], { qkvBias: true }, /qwen3\) that has biases/],
    ['wide heads', [attention], { qkNorm: false, qkvBias: true, headDim: 16 }, /qwen2 .* here 4 x 16/],
  ])('%s', async (_, layers, more, message) => {
    const exporting = exported(tinyConfig(layers, { qkNorm: true, ...more }));
    await expect(exporting).rejects.toThrow(message);
    expect(existsSync(join(dir, `${count - 1}.gguf`))).toBe(false);
  });

  test('a folder without a tokenizer, and one of another kind', async () => {
    const config = tinyConfig([attention]);
    await expect(exported(config, 'f32', dir)).rejects.toThrow(/has no tokenizer.json/);
    const other = join(dir, 'other');
    mkdirSync(other);
    const json = JSON.parse(tinyTokenizerFiles['tokenizer.json']);
    json.pre_tokenizer = { type: 'Whitespace' };
    writeFileSync(join(other, 'tokenizer.json'), JSON.stringify(json));
    await expect(exported(config, 'f32', other)).rejects.toThrow(
      /no byte-level BPE that cuts words as GPT-2/,
    );
  });

  test('a file that is there, without --overwrite', async () => {
    const config = tinyConfig([attention]);
    const { path, weights } = await exported(config);
    const generation = { bosTokenId: 1, eosTokenIds: [2] };
    const again = (overwrite: boolean) =>
      exportGguf(
        path,
        { config, weights, generation },
        { dtype: 'f32', tokenizerFrom: tokenizer, overwrite },
      );
    await expect(again(false)).rejects.toThrow(/is there already: choose another name, or --overwrite/);
    await again(true);
  });
});
