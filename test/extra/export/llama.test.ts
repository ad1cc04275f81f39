/** Exports to GGUF in llama.cpp (node-llama-cpp): the same greedy tokens as the engine's. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exportGguf, type GgufDtype } from '../../../src/export/gguf/export-gguf.ts';
import type { GatedDeltaNetSpec, MixerSpec } from '../../../src/mixers/spec.ts';
import { type Checkpoint, openCheckpoint } from '../../../src/model/checkpoint.ts';
import type { ModelConfig } from '../../../src/model/config.ts';
import { loadTokenizer } from '../../../src/model/folder.ts';
import { Engine } from '../../../src/runtime/engine.ts';
import { tinyConfig } from '../../support/random-model.ts';
import { tinyTokenizerFiles } from '../../support/tiny-tokenizer.ts';
import { drawnIds, greedyTokens, peer, randomCheckpoint, readTokenByToken } from './peers.ts';

/** What of node-llama-cpp is used here. */
interface NodeLlamaCpp {
  getLlama(options: object): Promise<Llama>;
}
interface Llama {
  loadModel(options: object): Promise<LlamaModel>;
}
interface LlamaModel {
  tokenize(text: string, specialTokens: boolean): number[];
  detokenize(tokens: readonly number[]): string;
  createContext(options: object): Promise<{ getSequence(): LlamaSequence; dispose(): Promise<void> }>;
  dispose(): Promise<void>;
}
interface LlamaSequence {
  evaluate(tokens: readonly number[], options: object): AsyncGenerator<number, void, undefined>;
  controlledEvaluate(
    input: readonly (number | [number, object])[],
  ): Promise<({ next: { probabilities: Map<number, number> } } | undefined)[]>;
}

let llama: Llama;
let dir: string;
let tokenizer: string;
beforeAll(async () => {
  const { getLlama } = await peer<NodeLlamaCpp>('node-llama-cpp/dist/index.js');
  llama = await getLlama({ gpu: false, build: 'never', logLevel: 'error', maxThreads: 2 });
  dir = mkdtempSync(join(tmpdir(), 'postnas-gguf-'));
  tokenizer = join(dir, 'tokenizer');
  mkdirSync(tokenizer);
  for (const [name, text] of Object.entries(tinyTokenizerFiles)) writeFileSync(join(tokenizer, name), text);
});
// llama.cpp ends with the process: `llama.dispose()` may wait for ever.
afterAll(() => rmSync(dir, { recursive: true, force: true }));

let count = 0;
async function exported(checkpoint: Checkpoint, dtype: GgufDtype, tokenizerFrom = tokenizer) {
  const path = join(dir, `${count++}.gguf`);
  const architecture = await exportGguf(path, checkpoint, { dtype, tokenizerFrom });
  return { path, architecture };
}

/** With keys and values in float32, as the engine has them. */
async function withSequence<T>(
  path: string,
  use: (sequence: LlamaSequence, model: LlamaModel) => Promise<T>,
): Promise<T> {
  const model = await llama.loadModel({ modelPath: path, gpuLayers: 0 });
  const context = await model.createContext({
    contextSize: 256,
    threads: 2,
    flashAttention: false,
    experimentalKvCacheKeyType: 'F32',
    experimentalKvCacheValueType: 'F32',
  });
  try {
    return await use(context.getSequence(), model);
  } finally {
    await context.dispose();
    await model.dispose();
  }
}

async function generated(path: string, prompt: readonly number[], tokens: number): Promise<number[]> {
  return withSequence(path, async (sequence) => {
    const found: number[] = [];
    for await (const token of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
      found.push(token);
      if (found.length === tokens) break;
    }
    return found;
  });
}

const attention: MixerSpec = { kind: 'attention' };
const gdn: GatedDeltaNetSpec = {
  kind: 'gated_deltanet',
  heads: 2,
  keyDim: 16,
  valueDim: 16,
  convSize: 4,
  rope: false,
};
const qwen3 = { qkNorm: true, hiddenSize: 64, headDim: 16, intermediateSize: 96 };

const models: [string, string, ModelConfig][] = [
  ['a hybrid like Qwen3', 'qwen35', tinyConfig([gdn, gdn, attention, gdn, attention], qwen3)],
  [
    'tied embeddings, eps of the head norm',
    'qwen35',
    tinyConfig([attention, gdn], { ...qwen3, tieWordEmbeddings: true, rmsNormEps: 1e-5 }),
  ],
  [
    'tied embeddings, a large eps',
    'qwen35',
    tinyConfig([gdn, attention], { ...qwen3, tieWordEmbeddings: true, rmsNormEps: 1e-3 }),
  ],
  [
    'convolutions of 3, 2 and 0 taps',
    'qwen35',
    tinyConfig([{ ...gdn, convSize: 3 }, attention, { ...gdn, convSize: 2 }, { ...gdn, convSize: 0 }], qwen3),
  ],
  [
    'linear scaling of positions',
    'qwen35',
    tinyConfig([gdn, attention], { ...qwen3, ropeScaling: { type: 'linear', factor: 4 } }),
  ],
  ['like Qwen3', 'qwen3', tinyConfig([attention, attention], { ...qwen3, modelType: 'qwen3' })],
  ['like Qwen2', 'qwen2', tinyConfig([attention, attention], { qkvBias: true, modelType: 'qwen2' })],
  [
    'like Llama',
    'llama',
    tinyConfig([attention, attention], { modelType: 'llama', headDim: 16, tieWordEmbeddings: true }),
  ],
  [
    'like Llama, with biases',
    'llama',
    tinyConfig([attention, attention], {
      modelType: 'llama',
      headDim: 16,
      qkvBias: true,
      oBias: true,
      mlpBias: true,
    }),
  ],
  [
    'like Llama 3.1, its scaling of positions',
    'llama',
    tinyConfig([attention, attention], {
      headDim: 16,
      ropeScaling: {
        type: 'llama3',
        factor: 8,
        lowFreqFactor: 1,
        highFreqFactor: 4,
        originalMaxPositionEmbeddings: 64,
      },
    }),
  ],
];

test.each(models)('%s (%s)', async (_, architecture, config) => {
  const checkpoint = randomCheckpoint(config);
  const file = await exported(checkpoint, 'f32');
  expect(file.architecture).toBe(architecture);
  const prompt = drawnIds(40);
  const expected = await greedyTokens(checkpoint, prompt, 24);
  expect(new Set(expected).size).toBeGreaterThan(4);
  expect(await generated(file.path, prompt, 24)).toEqual(expected);
});

/** The probabilities of the token after a prompt. */
async function probabilities(path: string, prompt: readonly number[]): Promise<Map<number, number>> {
  return withSequence(path, async (sequence) => {
    const last = [
      prompt.at(-1)!,
      { generateNext: { probabilities: true, options: { temperature: 1, topK: 0, topP: 1, minP: 0 } } },
    ] as [number, object];
    const results = await sequence.controlledEvaluate([...prompt.slice(0, -1), last]);
    return results.at(-1)!.next.probabilities;
  });
}

async function expectedProbabilities(
  { config, weights }: Checkpoint,
  prompt: readonly number[],
  dtype: 'f32' | 'q8' | 'q4',
) {
  const engine = await Engine.create(config, weights, { threads: 1, dtype });
  using sequence = engine.start();
  const logits = await readTokenByToken(engine, sequence, prompt);
  await engine.dispose();
  const largest = Math.max(...logits);
  const weightsOf = logits.map((x) => Math.exp(x - largest));
  const sum = weightsOf.reduce((a, b) => a + b, 0);
  return weightsOf.map((x) => x / sum);
}

describe('types of weights', () => {
  const config = tinyConfig([gdn, attention, gdn], { ...qwen3, tieWordEmbeddings: true });
  const checkpoint = randomCheckpoint(config);
  const prompt = drawnIds(30);

  // llama.cpp rounds the activations of products in few bits, too.
  test.each([
    ['f32', 'f32', 1e-4],
    ['f16', 'f32', 0.02],
    ['q8', 'q8', 0.05],
    ['q4', 'q4', 0.1],
  ] as const)('%s: the probabilities of the engine in %s', async (dtype, own, most) => {
    const { path } = await exported(checkpoint, dtype);
    const found = await probabilities(path, prompt);
    const expected = await expectedProbabilities(checkpoint, prompt, own);
    let difference = 0;
    for (const [id, p] of expected.entries())
      difference = Math.max(difference, Math.abs(p - (found.get(id) ?? 0)));
    expect(difference).toBeLessThan(most);
  });
});

test('the embedded model, from text to text', async () => {
  const base = resolve(import.meta.dirname, '../../../models/base');
  const checkpoint = openCheckpoint(base);
  const { path } = await exported(checkpoint, 'f32', base);
  const ours = loadTokenizer(base);
  for (const text of ['the box of Ann is', "Tom's 12 apples, and  two\nmore <|endoftext|>"]) {
    const ids = await withSequence(path, async (_, model) => model.tokenize(text, true));
    expect(ids).toEqual(ours.encode(text));
  }
  const prompt = ours.encode('the box of Ann is');
  const expected = await greedyTokens(checkpoint, prompt, 12);
  expect(await generated(path, prompt, 12)).toEqual(expected);
  expect(await withSequence(path, async (_, model) => model.detokenize(expected))).toBe(
    ours.decode(expected),
  );
});
