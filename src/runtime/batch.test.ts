import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { randomWeights, tinyConfig } from '../../test/support/random-model.ts';
import { releasedJetBlock } from '../mixers/jet-block.ts';
import type { MixerSpec } from '../mixers/spec.ts';
import { Random } from '../util/random.ts';
import { Engine } from './engine.ts';
import { argMaxOf } from './sampler.ts';
import type { Sequence } from './sequence.ts';

const A: MixerSpec = { kind: 'attention' };
const W: MixerSpec = { kind: 'sliding_window', window: 5 };
const H: MixerSpec = { kind: 'head_attention', fullHeads: [1], window: 12, sinks: 3 };
const G: MixerSpec = { kind: 'gla', heads: 2, keyDim: 8, valueDim: 16, gateRank: 4, rope: true };
const R: MixerSpec = { kind: 'retnet', heads: 2, keyDim: 8, valueDim: 16 };
const N: MixerSpec = { kind: 'deltanet', heads: 2, keyDim: 8, valueDim: 8, convSize: 4, rope: true };
const M: MixerSpec = { kind: 'mamba2', heads: 4, keyDim: 8, valueDim: 4, headsPerGroup: 2, convSize: 4 };
const D: MixerSpec = { kind: 'gated_deltanet', heads: 3, keyDim: 8, valueDim: 8, convSize: 4, rope: false };
const J: MixerSpec = releasedJetBlock({ heads: 2, keyDim: 8, valueDim: 16 });
const K: MixerSpec = { kind: 'kda', heads: 2, keyDim: 8, valueDim: 8, gateRank: 4, convSize: 3 };
const V: MixerSpec = {
  ...{ kind: 'rwkv7', heads: 2, keyDim: 8, valueDim: 16 },
  ...{ decayRank: 4, rateRank: 4, gateRank: 4, valueRank: 0 },
};

const L: MixerSpec = { kind: 'window_linear', window: 7, sinks: 2, linear: D };

const STEPS = 6;

describe.each([
  ['DAJ', [D, A, J], 'f32'],
  ['every mixer', [A, W, H, G, R, N, M, D, J, K, V, L, { ...V, valueRank: 4 }], 'f32'],
  ['DAM of 8 bits', [D, A, M], 'q8'],
  ['DAM of 4 bits', [D, A, M], 'q4'],
  ['LAL of 8 bits', [L, A, { ...L, window: 3, linear: M }], 'q8'],
  ['WHW of 8 bits', [W, H, { kind: 'sliding_window', window: 9, sinks: 4 }], 'q8'],
] as const)('%s', (_, layers, dtype) => {
  const config = tinyConfig([...layers], { intermediateSize: 64 });
  const random = new Random(3);
  const prompts = Array.from({ length: 32 }, (_, i) =>
    Array.from({ length: 1 + ((i * 7) % 23) }, () => random.below(64)),
  );
  let engine: Engine;
  /** Of each prompt alone: the greedy tokens, and the logits that they came from. */
  const alone: { ids: number[]; logits: Float32Array[] }[] = [];

  /** The sequence behind a prompt, and the first token after it. */
  async function read(prompt: readonly number[]): Promise<{ sequence: Sequence; next: number }> {
    const sequence = engine.start();
    return { sequence, next: argMaxOf(await engine.append(sequence, prompt)) };
  }

  beforeAll(async () => {
    engine = await Engine.create(config, randomWeights(config), { threads: 1, dtype });
    for (const prompt of prompts) {
      const batch = engine.batch();
      let { sequence, next } = await read(prompt);
      batch.add(sequence);
      const found = { ids: [next], logits: [] as Float32Array[] };
      for (let t = 0; t < STEPS; t++) {
        const logits = (await batch.step(new Map([[sequence, next]]))).get(sequence)!;
        next = argMaxOf(logits);
        found.ids.push(next);
        found.logits.push(logits.slice());
      }
      alone.push(found);
    }
  });
  afterAll(() => engine?.dispose());

  test.each([1, 2, 3, 8, 32])('batch of %i: each gets what it gets alone', async (size) => {
    const batch = engine.batch();
    const all: { sequence: Sequence; next: number }[] = [];
    for (const prompt of prompts.slice(0, size)) all.push(await read(prompt));
    for (const { sequence } of all) batch.add(sequence);
    for (let t = 0; t < STEPS; t++) {
      const logits = await batch.step(new Map(all.map(({ sequence, next }) => [sequence, next])));
      for (const [i, row] of all.entries()) {
        const found = logits.get(row.sequence)!;
        expect(found).toEqual(alone[i]!.logits[t]);
        row.next = argMaxOf(found);
        expect(row.next).toBe(alone[i]!.ids[t + 1]);
      }
    }
  });

  test('sequences come and go', async () => {
    const batch = engine.batch();
    const active = new Map<number, { sequence: Sequence; next: number; steps: number }>();
    for (let t = 0; t < 12; t++) {
      // One joins at every turn, after some steps it leaves, is gone on from alone and comes back.
      const joining = { ...(await read(prompts[t]!)), steps: 0 };
      active.set(t, joining);
      batch.add(joining.sequence);
      const given = [...active.values()].map(({ sequence, next }) => [sequence, next] as const);
      const logits = await batch.step(new Map(given));
      for (const [i, row] of active) {
        row.next = argMaxOf(logits.get(row.sequence)!);
        expect(row.next).toBe(alone[i]!.ids[++row.steps]);
        if (row.steps === 3) {
          batch.remove(row.sequence);
          row.next = argMaxOf(await engine.append(row.sequence, [row.next]));
          expect(row.next).toBe(alone[i]!.ids[++row.steps]);
          batch.add(row.sequence);
        }
        if (row.steps === STEPS) {
          batch.remove(row.sequence);
          expect(row.sequence.length).toBe(prompts[i]!.length + STEPS);
          row.sequence.dispose();
          active.delete(i);
        }
      }
      expect(batch.size).toBe(active.size);
    }
  });
});

test('sequences can be forked in a batch, and gone on from by themselves after it', async () => {
  const config = tinyConfig([D, A, H]);
  await using engine = await Engine.create(config, randomWeights(config), { threads: 1 });
  const sequences = [[1, 2, 3], [4], [5, 6]].map((ids) => ({ ids, sequence: engine.start() }));
  for (const { ids, sequence } of sequences) await engine.append(sequence, ids);
  // With a step before the batch, whose buffers the steps after it must not be those of.
  for (const { sequence } of sequences) await engine.append(sequence, [7]);
  const batch = engine.batch();
  for (const { sequence } of sequences) batch.add(sequence);
  await batch.step(new Map(sequences.map(({ sequence }) => [sequence, 8])));
  const forks = sequences.map(({ sequence }) => sequence.fork());
  // The last one takes the place of the first.
  for (const { sequence } of sequences) batch.remove(sequence);
  for (const [i, { ids, sequence }] of sequences.entries()) {
    const alone = engine.start();
    await engine.append(alone, ids);
    for (const id of [7, 8]) await engine.append(alone, [id]);
    const expected = (await engine.append(alone, [9])).slice();
    for (const gone of [forks[i]!, sequence]) {
      const found = await engine.append(gone, [9]);
      for (const [n, logit] of found.entries()) expect(logit).toBeCloseTo(expected[n]!, 4);
    }
  }
});

test('mistakes', async () => {
  const config = tinyConfig([D, A], { maxPositionEmbeddings: 4 });
  await using engine = await Engine.create(config, randomWeights(config), { threads: 1 });
  const batch = engine.batch();
  const [one, other] = [engine.start(), engine.start()];
  batch.add(one);
  expect(() => batch.add(one)).toThrow('the sequence is in the batch already');
  expect(() => batch.remove(other)).toThrow('the sequence is not in the batch');
  await expect(batch.step(new Map())).rejects.toThrow('takes a token for each of its 1 sequences');
  await expect(batch.step(new Map([[one, 64]]))).rejects.toThrow('token id 64 is not in the vocabulary');
  for (let i = 0; i < 4; i++) await batch.step(new Map([[one, i]]));
  await expect(batch.step(new Map([[one, 1]]))).rejects.toThrow('do not fit the model');
  batch.remove(one);
  expect(await batch.step(new Map())).toEqual(new Map());
});
