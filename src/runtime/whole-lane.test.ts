import { afterEach, expect, test, vi } from 'vitest';
import { randomWeights, tinyConfig } from '../../test/support/random-model.ts';
import { releasedJetBlock } from '../mixers/jet-block.ts';
import type { MixerSpec } from '../mixers/spec.ts';
import { Random } from '../util/random.ts';
import { Engine } from './engine.ts';
import { WholeLane } from './whole-lane.ts';

const A: MixerSpec = { kind: 'attention' };
const D: MixerSpec = { kind: 'gated_deltanet', heads: 3, keyDim: 8, valueDim: 8, convSize: 4, rope: false };
const W: MixerSpec = { kind: 'sliding_window', window: 100, sinks: 4 };
const H: MixerSpec = { kind: 'head_attention', fullHeads: [1], window: 30 };
const L: MixerSpec = { kind: 'window_linear', window: 60, sinks: 4, linear: D };
const M: MixerSpec = { kind: 'mamba2', heads: 4, keyDim: 8, valueDim: 4, headsPerGroup: 2, convSize: 4 };
const J: MixerSpec = releasedJetBlock({ heads: 2, keyDim: 8, valueDim: 16 });

afterEach(() => {
  vi.restoreAllMocks();
});

// Weights of few bits: what is off in the last place is off by a whole step of an input's rounding.
test.each([
  ['A', [A], undefined],
  ['DAMJA', [D, A, M, J, A], undefined],
  ['DAMJA', [D, A, M, J, A], 'q8'],
  ['WHA', [W, H, A], undefined],
  ['WHA', [W, H, A], 'q8'],
  ['LAL', [L, A, { ...L, linear: M }], undefined],
  ['LA', [L, A], 'q8'],
] as const)('%s: whole steps are those that are cut, bit for bit', async (_, layers, dtype) => {
  const config = tinyConfig([...layers], {
    hiddenSize: 64,
    intermediateSize: 96,
    headDim: 16,
    maxPositionEmbeddings: 8192,
  });
  const weights = randomWeights(config);
  const random = new Random(5);
  const ids = Array.from({ length: 4500 }, () => random.below(64));
  const form = vi.spyOn(WholeLane, 'formFor');
  const all = async () => {
    await using engine = await Engine.create(config, weights, { threads: 1, dtype });
    const found: Float32Array[] = [];
    using sequence = engine.start();
    const go = async (on: typeof sequence, ...counts: number[]) => {
      for (const count of counts) {
        found.push((await engine.append(on, ids.slice(on.length, on.length + count))).slice());
      }
    };
    // The block grows at 256 tokens; pieces come between steps; forks share the block; at 4,096 there are two, or what is packed and
    // another.
    await go(sequence, 1, 1, 252, 1, 1, 1, 1, 3, 1);
    using fork = sequence.fork();
    await go(fork, 1, 1);
    await go(sequence, 1, 1, 3838, 1, 1, 1, 1, 4, 1, 300, 1, 1);
    return found;
  };
  const whole = await all();
  const found = form.mock.results.map(({ value }) => value);
  expect(found).toContain('whole');
  expect(found.at(-1)).toBe(dtype ? 'whole, packed' : null);
  form.mockReturnValue(null);
  expect(await all()).toEqual(whole);
});
