import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FullSequence, relativeError } from '../../test/golden/full-sequence.ts';
import { randomWeights, tinyConfig } from '../../test/support/random-model.ts';
import { releasedJetBlock } from '../mixers/jet-block.ts';
import type {
  GlaSpec,
  HeadAttentionSpec,
  LinearSpec,
  Mamba2Spec,
  MixerSpec,
  RetNetSpec,
  SlidingWindowSpec,
  WindowLinearSpec,
} from '../mixers/spec.ts';
import { Random } from '../util/random.ts';
import { Engine } from './engine.ts';

const A: MixerSpec = { kind: 'attention' };
const W: SlidingWindowSpec = { kind: 'sliding_window', window: 5 };
const H: HeadAttentionSpec = { kind: 'head_attention', fullHeads: [1], window: 5, sinks: 2 };
const G: GlaSpec = { kind: 'gla', heads: 2, keyDim: 8, valueDim: 16, gateRank: 4, rope: true };
const R: RetNetSpec = { kind: 'retnet', heads: 2, keyDim: 8, valueDim: 16 };
const N: LinearSpec = { kind: 'deltanet', heads: 2, keyDim: 8, valueDim: 8, convSize: 4, rope: true };
const M: Mamba2Spec = { kind: 'mamba2', heads: 4, keyDim: 8, valueDim: 4, headsPerGroup: 2, convSize: 4 };
const D: LinearSpec = { kind: 'gated_deltanet', heads: 2, keyDim: 8, valueDim: 8, convSize: 4, rope: false };
const J: LinearSpec = releasedJetBlock({ heads: 2, keyDim: 8, valueDim: 16 });
const K: LinearSpec = { kind: 'kda', heads: 2, keyDim: 8, valueDim: 8, gateRank: 4, convSize: 3 };
const V: LinearSpec = {
  kind: 'rwkv7',
  heads: 2,
  keyDim: 8,
  valueDim: 16,
  decayRank: 4,
  rateRank: 4,
  gateRank: 4,
  valueRank: 0,
};

/** A window and a linear mixer. */
const beside = (window: number, linear: LinearSpec, sinks = 0): WindowLinearSpec => {
  return { kind: 'window_linear', window, linear, sinks };
};

function randomIds(count: number, seed = 7): number[] {
  const random = new Random(seed);
  return Array.from({ length: count }, () => random.below(64));
}

describe.each<[string, MixerSpec[]]>([
  ['AA', [A, A]],
  ['AWA', [A, W, A]],
  ['WAWG with sinks', [{ ...W, sinks: 3 }, A, { ...W, window: 60, sinks: 4 }, G]],
  ['HAH', [H, A, { ...H, fullHeads: [0], window: 80, sinks: 0 }]],
  ['HWG', [H, W, G]],
  ['WW', [W, { ...W, window: 100, sinks: 120 }]],
  ['LAL', [beside(5, D, 2), A, beside(80, M)]],
  ['LLG, one without a fused form', [beside(5, G), beside(60, V, 4), G]],
  ['GD', [G, D]],
  ['RNM', [R, N, M]],
  ['DAGWJK', [D, A, G, W, J, K]],
  [
    'GRM with norms of queries and keys',
    [
      { ...G, qkNorm: true },
      { ...R, qkNorm: true },
      { ...M, qkNorm: true },
    ],
  ],
  ['V, A and V with values of the first', [V, A, { ...V, valueRank: 4 }]],
])('%s', (_, layers) => {
  const config = tinyConfig(layers);
  const weights = randomWeights(config);
  const T = 330;
  const ids = randomIds(T);
  let engine: Engine;
  let expected: Float32Array[];
  beforeAll(async () => {
    engine = await Engine.create(config, weights, { threads: 1 });
    const full = new FullSequence(config, weights);
    expected = await full.logits(ids);
    await full.dispose();
  });
  afterAll(() => engine?.dispose());

  // Each cut of the sequence must give the logits of the whole: prompts around the sizes of pieces, then steps.
  test.each([
    [[1, 1, 1, 1, 1, 1, 1, 1]],
    [[63, 1, 1]],
    [[64, 1, 1]],
    [[65, 1, 2, 1]],
    [[40, 50, 3]],
    [[256, 70, 1, 1]],
    [[T]],
  ])('appended by %j', async (parts) => {
    using sequence = engine.start();
    for (const count of parts) {
      const end = sequence.length + count;
      const logits = await engine.append(sequence, ids.slice(sequence.length, end));
      expect(sequence.length).toBe(end);
      expect(relativeError(logits, expected[end - 1]!)).toBeLessThan(1e-4);
    }
  });

  test('a sequence can be gone on from in two ways, in turn or at once', async () => {
    const sequence = engine.start();
    await engine.append(sequence, ids.slice(0, 10));
    const on = (id: number) => engine.append(sequence.fork(), [id]);
    const first = await on(3);
    const second = await on(4);
    expect(relativeError(first, second)).toBeGreaterThan(1e-3);
    expect(await Promise.all([on(3), on(4)])).toEqual([first, second]);
  });
});

const near = (window: number, sinks = 0): SlidingWindowSpec => ({ kind: 'sliding_window', window, sinks });
const byHead = (fullHeads: number[], window: number, sinks = 0): HeadAttentionSpec => {
  return { kind: 'head_attention', fullHeads, window, sinks };
};

describe.each<{ title: string; layers: MixerSpec[]; window: number; sinks: number; tokens?: number }>([
  { title: 'windows of 250', layers: [near(250, 6), near(7, 2)], window: 250, sinks: 6 },
  { title: 'windows of 256', layers: [near(256, 4), near(7, 2)], window: 256, sinks: 4 },
  { title: 'more sinks than the window', layers: [near(40, 300), near(7, 2)], window: 40, sinks: 300 },
  { title: 'one head of three', layers: [byHead([2], 128, 4), byHead([0, 1], 30, 9)], window: 128, sinks: 4 },
  {
    title: 'heads out of order, and windows alone',
    layers: [byHead([1], 60, 5), near(100), byHead([0, 2], 5, 1)],
    ...{ window: 60, sinks: 5 },
  },
  {
    title: 'windows in a cache',
    layers: [near(2100, 5), byHead([1], 2060, 3), near(9, 2)],
    ...{ window: 2060, sinks: 3, tokens: 5000 },
  },
  {
    title: 'beside linear mixers, in a ring and in a cache',
    layers: [beside(2100, D, 5), beside(60, N, 3)],
    ...{ window: 60, sinks: 3, tokens: 5000 },
  },
])('a text several times longer than its windows: $title', ({ layers, window, sinks, tokens = 1300 }) => {
  const more = { numHeads: 6, numKvHeads: 3, maxPositionEmbeddings: 8192 };
  const config = tinyConfig(layers, more);
  const weights = randomWeights(config);
  const ids = randomIds(tokens);
  let engine: Engine;
  let expected: Float32Array[];
  beforeAll(async () => {
    engine = await Engine.create(config, weights, { threads: 1 });
    const full = new FullSequence(config, weights);
    expected = await full.logits(ids);
    await full.dispose();
  });
  afterAll(() => engine?.dispose());

  test('every token, in pieces', async () => {
    const found: Float32Array[] = [];
    await engine.append(engine.start(), ids, {
      each: (place, logits) => {
        found[place] = logits.slice();
      },
    });
    for (const [place, logits] of expected.entries()) {
      expect(relativeError(found[place]!, logits)).toBeLessThan(1e-4);
    }
  });

  test('steps from before the first sink is left behind on, alone and in a batch', async () => {
    const cuts = [1, 3, window - 3, window + sinks - 3, 509, 765, 1021, tokens - 9];
    const sequences = [];
    const batch = engine.batch();
    for (const cut of cuts) {
      const alone = engine.start();
      await engine.append(alone, ids.slice(0, cut));
      const sequence = alone.fork();
      sequences.push({ alone, sequence, cut });
      batch.add(sequence);
    }
    for (let i = 0; i < 8; i++) {
      const stepped = await batch.step(
        new Map(sequences.map(({ sequence, cut }) => [sequence, ids[cut + i]!])),
      );
      for (const { alone, sequence, cut } of sequences) {
        const logits = await engine.append(alone, [ids[cut + i]!]);
        expect(relativeError(logits, expected[cut + i]!)).toBeLessThan(1e-4);
        expect(relativeError(stepped.get(sequence)!, expected[cut + i]!)).toBeLessThan(1e-4);
      }
    }
  });

  test('greedy generation is that of the definition', async () => {
    const full = new FullSequence(config, weights);
    const text = ids.slice(0, window + 2);
    await using engine = await Engine.create(config, weights, { threads: 1 });
    const sequence = engine.start();
    let logits = await engine.append(sequence, text);
    for (let i = 0; i < 12; i++) {
      const next = logits.indexOf(Math.max(...logits));
      const plain = (await full.logits(text)).at(-1)!;
      expect(next).toBe(plain.indexOf(Math.max(...plain)));
      text.push(next);
      logits = await engine.append(sequence, [next]);
    }
    await full.dispose();
  });

  test('sinks matter', async () => {
    const without = tinyConfig(
      layers.map((spec) => ({ ...spec, sinks: 0 }) as MixerSpec),
      more,
    );
    await using other = await Engine.create(without, weights, { threads: 1 });
    const logits = await other.append(other.start(), ids);
    expect(relativeError(logits, expected.at(-1)!)).toBeGreaterThan(1e-3);
  });
});

test('a hybrid sees what came before its pieces', async () => {
  const config = tinyConfig([G, D]);
  await using engine = await Engine.create(config, randomWeights(config), { threads: 1 });
  const ids = randomIds(80);
  const logits = await engine.append(engine.start(), ids);
  const other = await engine.append(engine.start(), ids.with(60, (ids[60]! + 1) % 64));
  expect(relativeError(other, logits)).toBeGreaterThan(1e-4);
});

describe('mistakes', () => {
  const config = tinyConfig([A], { maxPositionEmbeddings: 16 });
  let engine: Engine;
  beforeAll(async () => {
    engine = await Engine.create(config, randomWeights(config), { threads: 1 });
  });
  afterAll(() => engine?.dispose());

  test('no tokens', async () => {
    await expect(engine.append(engine.start(), [])).rejects.toThrow('the prompt is empty');
  });

  test.each([[-1], [64], [1.5]])('token id %d', async (id) => {
    await expect(engine.append(engine.start(), [1, id])).rejects.toThrow(
      `token id ${id} is not in the vocabulary, expected 0 to 63`,
    );
  });

  test('more tokens than the context holds', async () => {
    await expect(engine.append(engine.start(), randomIds(17))).rejects.toThrow(
      "17 tokens do not fit the model's context of 16 tokens",
    );
    const sequence = engine.start();
    await engine.append(sequence, randomIds(16));
    await expect(engine.append(sequence, [1])).rejects.toThrow(
      "16 tokens and 1 more do not fit the model's context of 16 tokens",
    );
  });

  test('after disposal', async () => {
    const other = await Engine.create(config, randomWeights(config), { threads: 1 });
    const start = other.start();
    const running = other.append(start, [1, 2]);
    await new Promise(setImmediate);
    await other.dispose();
    await other.dispose();
    expect((await running).length).toBe(64);
    expect(start.length).toBe(2);
    await expect(other.append(start, [1])).rejects.toThrow('the model has been disposed of');
  });

  test('disposal between pieces', async () => {
    const long = tinyConfig([A, G], { maxPositionEmbeddings: 2048 });
    const other = await Engine.create(long, randomWeights(long), { threads: 1 });
    const disposals: Promise<void>[] = [];
    const onProgress = () => disposals.push(other.dispose());
    const running = other.append(other.start(), randomIds(1200), { onProgress });
    await expect(running).rejects.toThrow('the model has been disposed of');
    await Promise.all(disposals);
  });
});

test('reports the reading of the prompt in pieces, and stops between them', async () => {
  const config = tinyConfig([A], { maxPositionEmbeddings: 2048 });
  await using engine = await Engine.create(config, randomWeights(config), { threads: 1 });
  const done: number[] = [];
  await engine.append(engine.start(), randomIds(1200), { onProgress: (event) => done.push(event.done) });
  expect(done).toEqual([512, 1024, 1200]);
  const controller = new AbortController();
  const stopped = engine.append(engine.start(), randomIds(1200), {
    onProgress: () => controller.abort(),
    signal: controller.signal,
  });
  await expect(stopped).rejects.toThrow(/abort/);
});

test('loading can be stopped', async () => {
  const config = tinyConfig([A]);
  const controller = new AbortController();
  const loading = Engine.create(config, randomWeights(config), {
    signal: controller.signal,
    onProgress: ({ done }) => done === 3 && controller.abort(),
  });
  await expect(loading).rejects.toThrow(/abort/);
});
