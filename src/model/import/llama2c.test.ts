import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Random } from '../../util/random.ts';
import { openCheckpoint } from '../checkpoint.ts';
import { loadTokenizer } from '../folder.ts';
import type { Tokenizer } from '../tokenizer.ts';
import { checkWeights } from '../weights.ts';
import { importCheckpoint } from './import-checkpoint.ts';
import { Llama2cFile, readLlama2cTokenizer } from './llama2c.ts';
import { pairsToHalves } from './rotary.ts';

const shared = join(import.meta.dirname, '../../../../shared/data');
const stories = join(shared, 'models/stories260K/stories260K.bin');
const pieces = join(shared, 'models/stories260K/tok512.bin');

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'postnas-llama2c-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test('rotary pairs become halves, head by head', () => {
  // Two heads of four channels, rows of width 2: row r holds 10 r and 10 r + 1.
  const rows = Float32Array.from({ length: 16 }, (_, i) => 10 * Math.floor(i / 2) + (i % 2));
  const firstOfRow = (values: Float32Array) => [...values].filter((_, i) => i % 2 === 0);
  expect(firstOfRow(pairsToHalves(rows, [8, 2], 4))).toEqual([0, 20, 10, 30, 40, 60, 50, 70]);
  expect([...pairsToHalves(new Float32Array([0, 1, 2, 3]), [4], 4)]).toEqual([0, 2, 1, 3]);
});

describe('a file made by hand', () => {
  // Width 4, feed-forward 3, 2 layers, 2 heads, 1 key-value head, vocabulary 5, context 3.
  const header = (vocab = 5) => [4, 3, 2, 2, 1, vocab, 3];
  const counts = [20, 8, 32, 16, 16, 32, 8, 24, 24, 24, 4, 6]; // the order of run.c, rotary tables at the end
  const total = counts.reduce((sum, n) => sum + n, 0);

  const legacyFile = (name: string, vocab: number, values: number) => {
    const path = join(dir, name);
    const numbers = Float32Array.from({ length: values }, (_, i) => i);
    writeFileSync(
      path,
      Buffer.concat([Buffer.from(new Int32Array(header(vocab)).buffer), Buffer.from(numbers.buffer)]),
    );
    return path;
  };
  const offset = (index: number) => counts.slice(0, index).reduce((sum, n) => sum + n, 0);

  test('each tensor is where run.c has it', () => {
    const model = new Llama2cFile(legacyFile('tied', 5, total));
    const first = (name: string) => model.read(name)[0];
    const layer1 = (name: string) => model.read(`model.layers.1.${name}.weight`);
    expect(first('model.embed_tokens.weight')).toBe(0);
    expect(layer1('input_layernorm')[0]).toBe(offset(1) + 4);
    expect([...layer1('self_attn.q_proj')].filter((_, i) => i % 4 === 0)).toEqual(
      [0, 4, 8, 12].map((row) => offset(2) + 16 + row), // heads of two channels: nothing to reorder
    );
    expect(layer1('self_attn.v_proj')[0]).toBe(offset(4) + 8);
    expect(layer1('mlp.gate_proj')[0]).toBe(offset(7) + 12);
    expect(layer1('mlp.down_proj')[0]).toBe(offset(8) + 12);
    expect(layer1('mlp.up_proj')[0]).toBe(offset(9) + 12);
    expect(first('model.norm.weight')).toBe(offset(10));
    expect(model.config).toMatchObject({ tieWordEmbeddings: true, numKvHeads: 1, maxPositionEmbeddings: 3 });
    checkWeights(model.config, model, { values: true });
  });

  test('a negative vocabulary size means a head of its own', () => {
    const model = new Llama2cFile(legacyFile('untied', -5, total + 20));
    expect(model.config).toMatchObject({ tieWordEmbeddings: false, vocabSize: 5 });
    expect(model.read('lm_head.weight')[0]).toBe(total);
  });

  test('sizes that do not fit are refused', () => {
    expect(() => new Llama2cFile(legacyFile('short', 5, total - 1))).toThrow(
      `asks for ${28 + 4 * total} bytes, the file has ${24 + 4 * total}`,
    );
    const noise = join(dir, 'noise');
    writeFileSync(noise, Buffer.alloc(100, 'x'));
    expect(() => new Llama2cFile(noise)).toThrow(/noise is no llama2\.c model/);
    writeFileSync(noise, 'tiny');
    return expect(importCheckpoint(noise, join(dir, 'out'))).rejects.toThrow(/noise has 4 bytes/);
  });

  test('a model without its tokenizer', async () => {
    const path = legacyFile('alone', 5, total);
    await expect(importCheckpoint(path, join(dir, 'out'))).rejects.toThrow(
      /no tokenizer beside alone: neither tok5\.bin nor tokenizer\.bin/,
    );
    expect(existsSync(join(dir, 'out'))).toBe(false);
  });
});

/** run.c's encode(), without the optional tokens around the text. */
function referenceEncode(text: string, vocab: Map<string, { id: number; score: number }>): number[] {
  const texts = [...vocab.keys()];
  const ids: number[] = text ? [vocab.get(' ')!.id] : [];
  for (const character of text) {
    const found = vocab.get(character);
    if (found) ids.push(found.id);
    else ids.push(...[...Buffer.from(character)].map((byte) => byte + 3));
  }
  for (;;) {
    let best = { score: Number.NEGATIVE_INFINITY, at: -1, id: -1 };
    for (let i = 0; i + 1 < ids.length; i++) {
      const merged = vocab.get(texts[ids[i]!]! + texts[ids[i + 1]!]!);
      if (merged && merged.score > best.score) best = { score: merged.score, at: i, id: merged.id };
    }
    if (best.at < 0) return ids;
    ids.splice(best.at, 2, best.id);
  }
}

describe.skipIf(!existsSync(stories))('stories260K (needs ../shared/data)', () => {
  const text = () => readFileSync(join(shared, 'text/tinystories-944k.txt'), 'utf8');
  const opening =
    'Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, ' +
    'she saw a big, r';
  const openingIds = (
    '403 407 261 378 432 383 286 261 376 298 315 421 395 317 426 338 401 396 267 337 410 408 419 292 411 322 ' +
    '265 282 295 433 426 385 328 432 358 394 261 370 432 352'
  )
    .split(' ')
    .map(Number);
  let folder: string;
  let tokenizer: Tokenizer;
  let vocab: Map<string, { id: number; score: number }>;

  beforeAll(async () => {
    folder = join(dir, 'stories260K');
    await importCheckpoint(stories, folder);
    tokenizer = loadTokenizer(folder);
    const bytes = readFileSync(pieces);
    vocab = new Map();
    for (let at = 4, id = 0; id < 512; id++) {
      const length = bytes.readInt32LE(at + 4);
      vocab.set(bytes.toString('utf8', at + 8, at + 8 + length), { id, score: bytes.readFloatLE(at) });
      at += 8 + length;
    }
  });

  test('the folder holds the whole model', () => {
    const { config, weights, generation } = openCheckpoint(folder);
    expect(config).toMatchObject({
      modelType: 'llama',
      vocabSize: 512,
      hiddenSize: 64,
      intermediateSize: 172,
      numHeads: 8,
      numKvHeads: 4,
      headDim: 8,
      tieWordEmbeddings: true,
    });
    checkWeights(config, weights, { values: true });
    const parameters = weights.names().reduce((sum, name) => sum + weights.read(name).length, 0);
    expect(parameters).toBe(260032);
    expect(generation.eosTokenIds).toEqual([2, 1]);
  });

  test('version 1 of the format holds the same tensors', () => {
    const legacy = new Llama2cFile(stories);
    const v1 = new Llama2cFile(stories.replace('.bin', '_v1.bin'));
    expect(v1.config).toEqual(legacy.config);
    for (const name of legacy.names()) {
      expect(
        Buffer.compare(Buffer.from(v1.read(name).buffer), Buffer.from(legacy.read(name).buffer)),
        name,
      ).toBe(0);
    }
  });

  test('the known first ids', () => {
    expect(tokenizer.encode(opening)).toEqual([1, ...openingIds]);
    expect(tokenizer.decode([1, ...openingIds])).toBe(opening);
    expect(tokenizer).toMatchObject({ vocabSize: 512, bosId: 1, eosIds: [2] });
  });

  test('encodes as run.c does', () => {
    const all = text();
    const random = new Random(5);
    const samples = [' two  spaces ', 'naïve café 🙂\n\ttab', '▁', '', 'a'];
    for (let i = 0; i < 60; i++) {
      const at = random.below(all.length - 200);
      samples.push(all.slice(at, at + 1 + random.below(200)));
    }
    const letters = [...vocab.keys()].filter((piece) => [...piece].length <= 2);
    for (let i = 0; i < 60; i++) {
      samples.push(Array.from({ length: 30 }, () => random.pick(letters)).join(''));
    }
    for (const sample of samples) {
      const expected = referenceEncode(sample, vocab);
      expect(tokenizer.encode(sample, { addSpecialTokens: false }), JSON.stringify(sample)).toEqual(expected);
    }
  });

  test('every text comes back', () => {
    const sample = `${text().slice(0, 20000)} naïve 🙂 ▁ <0x41>`;
    expect(tokenizer.decode(tokenizer.encode(sample))).toBe(sample);
    const stream = tokenizer.stream();
    const streamed = tokenizer.encode(sample).map((id) => stream.push(id));
    expect(streamed.join('') + stream.flush()).toBe(sample);
  });

  test('a tokenizer of another size', () => {
    expect(() => readLlama2cTokenizer(pieces, 513)).toThrow(/ends within piece 512, expected 513/);
    expect(() => readLlama2cTokenizer(pieces, 511)).toThrow(/bytes after the 511 pieces/);
  });
});
