/** Exports to ONNX in @huggingface/transformers on Node.js: the same greedy tokens as the engine's. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ExportOnnxOptions, exportOnnx } from '../../../src/export/onnx/export-onnx.ts';
import { attentionSpec } from '../../../src/mixers/head-attention.ts';
import { mixerOf } from '../../../src/mixers/registry.ts';
import type { MixerSpec } from '../../../src/mixers/spec.ts';
import { type Checkpoint, openCheckpoint } from '../../../src/model/checkpoint.ts';
import type { ModelConfig } from '../../../src/model/config.ts';
import { loadTokenizer } from '../../../src/model/folder.ts';
import { MemoryTensors } from '../../../src/model/memory-tensors.ts';
import { Random } from '../../../src/util/random.ts';
import { EVERY_MIXER } from '../../support/every-mixer.ts';
import { tinyConfig } from '../../support/random-model.ts';
import { cache, drawnIds, greedyTokens, peer, randomCheckpoint } from './peers.ts';

/** What of transformers.js is used here. */
interface TransformersJs {
  env: { allowRemoteModels: boolean; localModelPath: string };
  AutoModelForCausalLM: { from_pretrained(path: string, options?: object): Promise<TransformersModel> };
  AutoTokenizer: { from_pretrained(path: string): Promise<TransformersTokenizer> };
  pipeline(
    task: 'text-generation',
    model: string,
    options?: object,
  ): Promise<(text: string, options: object) => Promise<{ generated_text: string }[]>>;
  Tensor: new (type: 'int64', data: BigInt64Array, dims: number[]) => object;
}
interface TransformersModel {
  generate(options: object): Promise<{ tolist(): bigint[][] }>;
  dispose(): Promise<unknown>;
}
interface TransformersTokenizer {
  encode(text: string): number[];
  decode(ids: number[]): string;
}

let transformers: TransformersJs;
let dir: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'postnas-transformers-'));
  transformers = await peer('@huggingface/transformers/dist/transformers.node.mjs');
  transformers.env.allowRemoteModels = false;
  transformers.env.localModelPath = dir;
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

let count = 0;
async function exported(checkpoint: Checkpoint, options: Partial<ExportOnnxOptions> = {}): Promise<string> {
  const folder = join(dir, `model-${count++}`);
  await exportOnnx(folder, checkpoint, { dtypes: ['f32'], ...options });
  return basename(folder);
}

const NEVER = 1 << 30;

/** What transformers.js writes after prompts, of which the shorter are padded on the left. */
async function generated(
  folder: string,
  prompts: readonly (readonly number[])[],
  tokens: number,
  options: object = {},
): Promise<number[][]> {
  const model = await transformers.AutoModelForCausalLM.from_pretrained(folder, {
    device: 'cpu',
    session_options: { intraOpNumThreads: 1 },
    ...options,
  });
  const length = Math.max(...prompts.map((ids) => ids.length));
  const tensor = (value: (id: number | null) => number) => {
    const rows = prompts.map((ids) => [...new Array<null>(length - ids.length).fill(null), ...ids]);
    return new transformers.Tensor(
      'int64',
      BigInt64Array.from(rows.flat(), (id) => BigInt(value(id))),
      [prompts.length, length],
    );
  };
  try {
    const output = await model.generate({
      inputs: tensor((id) => id ?? 0),
      attention_mask: tensor((id) => (id === null ? 0 : 1)),
      do_sample: false,
      max_new_tokens: tokens,
      eos_token_id: NEVER,
    });
    return output.tolist().map((row) => row.slice(length).map(Number));
  } finally {
    await model.dispose();
  }
}

const attention: MixerSpec = { kind: 'attention' };
const models: [string, ModelConfig][] = [
  ...Object.entries(EVERY_MIXER).map(
    ([kind, spec]) => [kind, tinyConfig([spec, attention, spec])] as [string, ModelConfig],
  ),
  ['Gated DeltaNet with RoPE', tinyConfig([{ ...EVERY_MIXER.gated_deltanet, rope: true }, attention])],
  [
    'RWKV7 with the first values',
    tinyConfig([EVERY_MIXER.rwkv7, attention, { ...EVERY_MIXER.rwkv7, valueRank: 4 }]),
  ],
  ['no full attention', tinyConfig([EVERY_MIXER.jet_block, EVERY_MIXER.sliding_window, EVERY_MIXER.gla])],
  [
    'windows with sinks, heads with windows beside full ones',
    tinyConfig(
      [
        { kind: 'sliding_window', window: 5, sinks: 3 },
        { kind: 'head_attention', fullHeads: [0, 2], window: 6, sinks: 2 },
        { kind: 'head_attention', fullHeads: [1], window: 4 },
      ],
      { numKvHeads: 4 },
    ),
  ],
  ['windows with sinks alone', tinyConfig([{ kind: 'sliding_window', window: 5, sinks: 3 }])],
  ['like Llama', tinyConfig([attention, attention], { modelType: 'llama', tieWordEmbeddings: true })],
  ['like Qwen2', tinyConfig([attention, attention], { modelType: 'qwen2', qkvBias: true })],
  ['like Qwen3', tinyConfig([attention, attention], { modelType: 'qwen3', qkNorm: true })],
];

test.each(models)('%s: after a prompt, and two at once', async (_, config) => {
  const checkpoint = randomCheckpoint(config);
  const folder = await exported(checkpoint);
  const prompts = [drawnIds(21), drawnIds(12, 64, 9)];
  const expected = await Promise.all(prompts.map((ids) => greedyTokens(checkpoint, ids, 24)));
  // A model that always writes the same token would tell nothing.
  expect(new Set(expected.flat()).size).toBeGreaterThan(4);
  expect(await generated(folder, prompts.slice(0, 1), 24)).toEqual(expected.slice(0, 1));
  expect(await generated(folder, prompts, 24)).toEqual(expected);
});

describe('types of weights', () => {
  const { gated_deltanet, jet_block } = EVERY_MIXER;
  const config = tinyConfig([attention, gated_deltanet, jet_block], {
    hiddenSize: 64,
    intermediateSize: 96,
    tieWordEmbeddings: true,
  });
  const checkpoint = randomCheckpoint(config);
  const prompt = drawnIds(20);

  test('each under its own name, the first when none is asked for', async () => {
    const folder = await exported(checkpoint, { dtypes: ['q8', 'q4', 'f16'] });
    const q8 = await greedyTokens(checkpoint, prompt, 16, 'q8');
    const q4 = await greedyTokens(checkpoint, prompt, 16, 'q4');
    expect(q8).not.toEqual(q4);
    expect(await generated(folder, [prompt], 16)).toEqual([q8]);
    expect(await generated(folder, [prompt], 16, { dtype: 'q8' })).toEqual([q8]);
    expect(await generated(folder, [prompt], 16, { dtype: 'q4' })).toEqual([q4]);
    // Only whether it loads and runs: half precision has no counterpart in the engine.
    expect((await generated(folder, [prompt], 16, { dtype: 'fp16' }))[0]).toHaveLength(16);
  });
});

describe('the embedded model', () => {
  const base = resolve(import.meta.dirname, '../../../models/base');

  test('from text to text', async () => {
    const checkpoint = openCheckpoint(base);
    const folder = await exported(checkpoint, { tokenizerFrom: base });
    const text = 'the box of Ann is';
    const ours = loadTokenizer(base);
    const theirs = await transformers.AutoTokenizer.from_pretrained(folder);
    const prompt = ours.encode(text);
    expect(theirs.encode(text)).toEqual(prompt);
    const tokens = await greedyTokens(checkpoint, prompt, 12);
    expect(await generated(folder, [prompt], 12)).toEqual([tokens]);
    const write = await transformers.pipeline('text-generation', folder, { device: 'cpu' });
    const [answer] = await write(text, { max_new_tokens: 12, do_sample: false, return_full_text: false });
    const ends = tokens.findIndex((id) => checkpoint.generation.eosTokenIds.includes(id));
    expect(answer!.generated_text).toBe(ours.decode(ends < 0 ? tokens : tokens.slice(0, ends)));
  });
});

/** Written by scripts/fetch-smollm2.mjs, before `npm run test:smollm2`. */
const smollm2 = join(cache, 'smollm2/hf');

describe.skipIf(!existsSync(smollm2))('SmolLM2-135M', () => {
  test('a hybrid of Gated DeltaNet, JetBlock and two full layers, in 8 bits', async () => {
    const parent = openCheckpoint(smollm2);
    const { numHeads: heads, headDim: keyDim } = parent.config;
    const random = new Random(5);
    const weights = new MemoryTensors(
      parent.weights.names().map((name) => {
        return [name, { shape: parent.weights.info(name).shape, data: parent.weights.read(name) }];
      }),
    );
    const size = { heads, keyDim, valueDim: keyDim };
    const layers = parent.config.layers.map((full, i): MixerSpec => {
      if (i === 9 || i === 19) return full;
      const spec: MixerSpec =
        i % 2 ? { ...EVERY_MIXER.gated_deltanet, ...size } : { ...EVERY_MIXER.jet_block, ...size };
      const prefix = `model.layers.${i}.self_attn.`;
      const own = weights.names().filter((name) => name.startsWith(prefix));
      const values = new Map(own.map((name) => [name.slice(prefix.length), weights.read(name)]));
      for (const name of own) weights.tensors.delete(name);
      const mixer = mixerOf(spec);
      const start = mixer.fromAttention(spec, parent.config, values, random);
      for (const { name, shape } of mixer.parameters(spec, parent.config)) {
        weights.set(prefix + name, { shape, data: Float32Array.from(start.get(name)!) });
      }
      return spec;
    });
    const checkpoint: Checkpoint = {
      config: { ...parent.config, layers, modelType: 'postnas' },
      weights,
      generation: parent.generation,
    };
    const folder = await exported(checkpoint, { dtypes: ['q8'], tokenizerFrom: smollm2 });
    const prompt = loadTokenizer(smollm2).encode('Once upon a time there was a lighthouse keeper who');
    const expected = await greedyTokens(checkpoint, prompt, 24, 'q8');
    expect(await generated(folder, [prompt], 24)).toEqual([expected]);
  });

  test('under a placement, after a prompt longer than its windows, in 8 bits', async () => {
    const parent = openCheckpoint(smollm2);
    const heads = [
      [10, 2],
      [15, 2],
      [17, 1],
      [18, 2],
      [20, 2],
      [23, 0],
    ];
    const layers = parent.config.layers.map((_, i) => {
      const own = heads.filter(([layer]) => layer === i).map(([, head]) => head!);
      return attentionSpec(own, parent.config, { window: 128, sinks: 4 });
    });
    const checkpoint = { ...parent, config: { ...parent.config, layers } };
    const folder = await exported(checkpoint, { dtypes: ['q8'], tokenizerFrom: smollm2 });
    const text =
      'The lighthouse keeper counted the ships that passed, and wrote each of them into his book. ';
    const prompt = loadTokenizer(smollm2).encode(text.repeat(15));
    expect(prompt.length).toBeGreaterThan(256);
    const expected = await greedyTokens(checkpoint, prompt, 24, 'q8');
    expect(await generated(folder, [prompt], 24)).toEqual([expected]);
  });
});
