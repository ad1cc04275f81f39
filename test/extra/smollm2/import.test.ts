/** The real checkpoint: SmolLM2-135M-Instruct as imported from GGUF by scripts/fetch-smollm2.mjs. */
import { join, resolve } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { type Checkpoint, openCheckpoint } from '../../../src/model/checkpoint.ts';
import { loadTokenizer } from '../../../src/model/folder.ts';
import type { Tokenizer } from '../../../src/model/tokenizer.ts';
import { checkWeights } from '../../../src/model/weights.ts';

const cache = process.env.POSTNAS_CACHE ?? resolve(import.meta.dirname, '../../../.cache');
const folder = join(cache, 'smollm2/hf');

let checkpoint: Checkpoint;
let tokenizer: Tokenizer;
beforeAll(() => {
  checkpoint = openCheckpoint(folder);
  tokenizer = loadTokenizer(folder);
});

test('the configuration is that of SmolLM2-135M', () => {
  const { config, generation } = checkpoint;
  expect(config).toMatchObject({
    modelType: 'llama',
    vocabSize: 49152,
    hiddenSize: 576,
    intermediateSize: 1536,
    numHeads: 9,
    numKvHeads: 3,
    headDim: 64,
    rmsNormEps: 1e-5,
    ropeTheta: 100000,
    ropeScaling: null,
    tieWordEmbeddings: true,
    maxPositionEmbeddings: 8192,
    bosTokenId: 1,
  });
  expect(config.layers.length).toBe(30);
  expect(generation.eosTokenIds).toEqual([2]);
});

test('the weights are complete and finite', () => {
  const { config, weights } = checkpoint;
  checkWeights(config, weights, { values: true });
  const count = weights
    .names()
    .reduce((sum, name) => sum + weights.info(name).shape.reduce((product, size) => product * size, 1), 0);
  expect(count).toBe(134_515_008);
});

// Ids by llama.cpp v0.5.0 (node-llama-cpp 3.22.1) from the GGUF file, and by Python's tokenizers from the folder.
test.each([
  [
    "Hello, world! It's 2024 — naïve 🙂\n\n  def f(x):\n\treturn x+1",
    '19556 28 905 17 657 506 216 34 32 34 36 1841 15486 46494 47526 8866 753 275 24 104 727 198 197 5406 1792 27 33',
  ],
  ['  leading', '216 2899'],
  ['trailing   ', '4861 4966 333'],
  ['\t\ttabs \r\n windows', '197 197 100 7366 216 2738 8393'],
  ['12345 67 8.90', '33 34 35 36 37 216 38 39 216 40 30 41 32'],
  ["I'LL they've DON'T", '57 23 16421 502 3543 422 2154 23 68'],
  ['مرحبا 123 ٣٤٥', '21706 20602 44626 31462 10805 216 33 34 35 216 164 113 164 114 164 115'],
  ['½ ² ³ Ⅷ', '16738 216 19133 216 39050 216 173 223 117'],
  ['👩‍👩‍👧‍👦 family', '10813 235 119 321 231 10813 235 119 321 231 10813 235 117 321 231 10813 235 116 1564'],
])('%j has the ids of llama.cpp', (text, ids) => {
  const encoded = tokenizer.encode(text);
  expect(encoded.join(' ')).toBe(ids);
  expect(tokenizer.decode(encoded)).toBe(text);
  const stream = tokenizer.stream();
  expect(encoded.map((id) => stream.push(id)).join('') + stream.flush()).toBe(text);
});

test('a conversation', () => {
  const text = tokenizer.applyChatTemplate([{ role: 'user', content: 'What is the capital of France?' }], {
    addGenerationPrompt: true,
  });
  expect(text).toMatch(/^<\|im_start\|>system\nYou are a helpful AI assistant named SmolLM/);
  expect(tokenizer.encode(text).join(' ')).toBe(
    '1 9690 198 2683 359 253 5356 5646 11173 3365 3511 308 34519 28 7018 411 407 19712 8182 2 198 1 4093 198 ' +
      '1780 314 260 3575 282 4649 47 2 198 1 520 9531 198',
  );
});
