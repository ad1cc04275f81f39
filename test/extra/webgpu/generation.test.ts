import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { dequantize, Program } from '../../../src/graph/index.ts';
import { releasedJetBlock } from '../../../src/mixers/jet-block.ts';
import type { LinearSpec, MixerSpec } from '../../../src/mixers/spec.ts';
import { importCheckpoint } from '../../../src/model/import/import-checkpoint.ts';
import { MemoryTensors } from '../../../src/model/memory-tensors.ts';
import { bitsOf, quantizeWeight, type WeightDtype } from '../../../src/model/quantized-tensors.ts';
import { DeviceRuns } from '../../../src/runtime/device/device-runs.ts';
import { Engine } from '../../../src/runtime/engine.ts';
import { EngineWeights } from '../../../src/runtime/engine-weights.ts';
import { Model } from '../../../src/runtime/model.ts';
import { PrefixCache } from '../../../src/runtime/prefix-cache.ts';
import { readWholePrompt } from '../../../src/runtime/read-prompt.ts';
import { argMaxOf } from '../../../src/runtime/sampler.ts';
import type { Sequence } from '../../../src/runtime/sequence.ts';
import { loadSequence, saveSequence } from '../../../src/runtime/snapshot-file.ts';
import { Random } from '../../../src/util/random.ts';
import { relativeError } from '../../golden/full-sequence.ts';
import { randomWeights, tinyConfig } from '../../support/random-model.ts';
import { nodesOn } from './profile.ts';

/** Generation on WebGPU is generation on the CPU: the same tokens, logits within 1e-4 of the largest. */
const TOLERANCE = 1e-4;

const A: MixerSpec = { kind: 'attention' };
const W: MixerSpec = { kind: 'sliding_window', window: 5 };
const S: MixerSpec = { kind: 'sliding_window', window: 5, sinks: 3 };
const H: MixerSpec = { kind: 'head_attention', fullHeads: [1], window: 5, sinks: 2 };
const G: LinearSpec = { kind: 'gla', heads: 2, keyDim: 8, valueDim: 16, gateRank: 4, rope: true };
const L: MixerSpec = { kind: 'window_linear', window: 5, sinks: 2, linear: G };
const R: MixerSpec = { kind: 'retnet', heads: 2, keyDim: 8, valueDim: 16 };
const N: MixerSpec = { kind: 'deltanet', heads: 2, keyDim: 8, valueDim: 8, convSize: 4, rope: true };
const M: MixerSpec = { kind: 'mamba2', heads: 4, keyDim: 8, valueDim: 4, headsPerGroup: 2, convSize: 4 };
const D: MixerSpec = { kind: 'gated_deltanet', heads: 3, keyDim: 8, valueDim: 8, convSize: 4, rope: false };
const J: MixerSpec = releasedJetBlock({ heads: 2, keyDim: 8, valueDim: 16 });
const K: MixerSpec = { kind: 'kda', heads: 2, keyDim: 8, valueDim: 8, gateRank: 4, convSize: 3 };
const V: LinearSpec = {
  ...{ kind: 'rwkv7', heads: 2, keyDim: 8, valueDim: 16 },
  ...{ decayRank: 4, rateRank: 4, gateRank: 4, valueRank: 0 },
};

const config = tinyConfig(
  [A, W, G, R, H, N, M, S, D, J, K, A, L, { ...L, linear: V }, V, { ...V, valueRank: 4 }],
  {
    intermediateSize: 64,
  },
);
const weights = randomWeights(config);
const random = new Random(3);
const randomIds = (count: number) => Array.from({ length: count }, () => random.below(64));

let cpu: Engine;
let gpu: Engine;
beforeAll(async () => {
  cpu = await Engine.create(config, weights, { threads: 1 });
  gpu = await Engine.create(config, weights, { device: 'webgpu' });
});
afterAll(async () => {
  await cpu?.dispose();
  await gpu?.dispose();
});

/** Greedy tokens after what has been appended. */
async function greedy(
  engine: Engine,
  sequence: Sequence,
  logits: Float32Array,
  count: number,
): Promise<number[]> {
  const ids = [argMaxOf(logits)];
  while (ids.length < count) ids.push(argMaxOf(await engine.append(sequence, [ids.at(-1)!])));
  return ids;
}

describe('a hybrid of every mixer', () => {
  test.each([1, 2, 64, 65, 150])('prompt of %d tokens, then steps', async (length) => {
    const prompt = randomIds(length);
    using one = cpu.start();
    using other = gpu.start();
    const expected = await cpu.append(one, prompt);
    const found = await gpu.append(other, prompt);
    expect(relativeError(found, expected)).toBeLessThan(TOLERANCE);
    expect(await greedy(gpu, other, found, 12)).toEqual(await greedy(cpu, one, expected, 12));
    expect(other.length).toBe(length + 11);
  });

  test('the tail goes over into the past', async () => {
    const ids = randomIds(280);
    using one = cpu.start();
    using other = gpu.start();
    for (const id of ids) {
      const expected = await cpu.append(one, [id]);
      const found = await gpu.append(other, [id]);
      if (one.length % 20 === 0) expect(relativeError(found, expected)).toBeLessThan(TOLERANCE);
    }
  });

  test('logits after every token of a prompt', async () => {
    const ids = randomIds(90);
    const all = async (engine: Engine) => {
      const rows: Float32Array[] = [];
      using sequence = engine.start();
      await engine.append(sequence, ids, { each: (place, logits) => (rows[place] = logits.slice()) });
      return rows;
    };
    const [expected, found] = [await all(cpu), await all(gpu)];
    expect(found.length).toBe(90);
    for (const [i, row] of expected.entries()) expect(relativeError(found[i]!, row)).toBeLessThan(TOLERANCE);
  });

  test('a sequence goes on in two ways, and a failed token leaves it as it was', async () => {
    using start = gpu.start();
    await gpu.append(start, randomIds(20));
    await expect(gpu.append(start, [64])).rejects.toThrow('token id 64 is not in the vocabulary');
    const on = async (id: number) => {
      using fork = start.fork();
      return (await gpu.append(fork, [id])).slice();
    };
    const [first, second] = [await on(3), await on(4)];
    expect(relativeError(first, second)).toBeGreaterThan(1e-3);
    expect(await on(3)).toEqual(first);
    expect(await gpu.append(start, [4])).toEqual(second);
  });

  test('a batch that sequences of other lengths join and leave: each gets what it gets on the CPU', async () => {
    const prompts = [5, 150, 1, 40].map(randomIds);
    const expected: number[][] = [];
    for (const prompt of prompts) {
      using sequence = cpu.start();
      expected.push(await greedy(cpu, sequence, await cpu.append(sequence, prompt), 14));
    }
    const batch = gpu.batch();
    const found: number[][] = prompts.map(() => []);
    const sequences: Sequence[] = [];
    for (const [i, prompt] of prompts.entries()) {
      const sequence = gpu.start();
      sequences.push(sequence);
      found[i]!.push(argMaxOf(await gpu.append(sequence, prompt)));
    }
    const steps = async (members: number[], count: number) => {
      for (let step = 0; step < count; step++) {
        const logits = await batch.step(new Map(members.map((i) => [sequences[i]!, found[i]!.at(-1)!])));
        for (const i of members) found[i]!.push(argMaxOf(logits.get(sequences[i]!)!));
      }
    };
    for (const i of [0, 1]) batch.add(sequences[i]!);
    await steps([0, 1], 4);
    batch.add(sequences[2]!);
    await steps([0, 1, 2], 4);
    batch.remove(sequences[1]!);
    batch.add(sequences[3]!);
    await steps([0, 2, 3], 5);
    for (const i of [0, 2, 3]) batch.remove(sequences[i]!);
    const alone = async (i: number) => {
      while (found[i]!.length < 14) {
        found[i]!.push(argMaxOf(await gpu.append(sequences[i]!, [found[i]!.at(-1)!])));
      }
    };
    for (const i of [0, 1, 2, 3]) await alone(i);
    expect(found).toEqual(expected);
    // What was beside it is not kept: the longest prompt had 150 tokens.
    expect(sequences[2]!.bytes).toBeLessThan(sequences[1]!.bytes);
    for (const sequence of sequences) sequence.dispose();
  });

  test('sequences that are drawn are a batch', async () => {
    const drawn = await gpu.drawn(3, 50);
    const batch = gpu.batch();
    for (const sequence of drawn) batch.add(sequence);
    const logits = await batch.step(new Map(drawn.map((sequence) => [sequence, 5])));
    expect(drawn.map(({ length }) => length)).toEqual([51, 51, 51]);
    const [first, second, third] = drawn.map((sequence) => logits.get(sequence)!) as [
      Float32Array,
      ...Float32Array[],
    ];
    expect(first.every(Number.isFinite)).toBe(true);
    expect(second).toEqual(first);
    expect(third).toEqual(first);
    const again = await gpu.drawn(2, 50);
    const other = gpu.batch();
    for (const sequence of again) other.add(sequence);
    const best = await other.greedyStep(new Map(again.map((sequence) => [sequence, 5])));
    expect([...best.values()]).toEqual([argMaxOf(first), argMaxOf(first)]);
    for (const sequence of again) sequence.dispose();
    for (const sequence of drawn) sequence.dispose();
  });

  test('a prompt starts from a snapshot', async () => {
    const cache = new PrefixCache(1e9);
    const start = randomIds(40);
    const read = async (prompt: number[], from: PrefixCache | null) => {
      const { sequence, logits, cachedTokens } = await readWholePrompt(gpu, from, prompt, {
        boundaries: [40],
      });
      const ids = await greedy(gpu, sequence, logits, 5);
      sequence.dispose();
      return { ids, cachedTokens };
    };
    expect((await read([...start, 1], cache)).cachedTokens).toBe(0);
    const warm = await read([...start, 9, 8], cache);
    expect(warm.cachedTokens).toBe(40);
    expect(warm.ids).toEqual((await read([...start, 9, 8], null)).ids);
    expect(cache.bytes).toBeGreaterThan(0);
    cache.clear();
  });

  test.each([1, 3, 130, 300])(
    'a sequence of %d tokens goes on from a file on the other device',
    async (length) => {
      const folder = mkdtempSync(join(tmpdir(), 'postnas-sequence-'));
      const path = join(folder, 'a.safetensors');
      const ids = randomIds(length);
      try {
        for (const [from, to] of [
          [gpu, cpu],
          [cpu, gpu],
          [gpu, gpu],
        ] as const) {
          using sequence = from.start();
          await from.append(sequence, ids);
          await saveSequence(path, from, sequence, ids);
          const loaded = await loadSequence(path, to);
          expect(loaded.ids).toEqual(ids);
          using restored = loaded.sequence;
          for (const id of [5, 6, 7]) {
            const expected = await from.append(sequence, [id]);
            expect(relativeError(await to.append(restored, [id]), expected)).toBeLessThan(TOLERANCE);
          }
        }
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  );
});

describe('weights in fewer bits', () => {
  const some = tinyConfig([A, W, D, J], { hiddenSize: 64, intermediateSize: 96, headDim: 16 });
  const wide = randomWeights(some);
  /** The weights with what few bits have made of them, as float32: the definition. */
  const rounded = (dtype: WeightDtype) =>
    new MemoryTensors(
      wide.names().map((name) => {
        const { shape } = wide.info(name);
        const bits = bitsOf(name, shape, dtype);
        const data = wide.read(name);
        return [name, { shape, data: bits ? dequantize(quantizeWeight(data, shape, bits)) : data }];
      }),
    );

  // As on the CPU, inputs of products with few bits are rounded to 8 bits; float16 has 11 bits of everything. These
  // models have large random weights, which make much of every rounding.
  test.each([
    ['q8', 'q8', 0.08],
    ['q4', 'q4', 0.08],
    ['f16', 'f32', 0.03],
  ] as const)(
    '%s: the logits of the same weights in float32 within a share',
    async (dtype, as, tolerance) => {
      await using exact = await Engine.create(some, rounded(as), { threads: 1 });
      await using whole = await Engine.create(some, wide, { threads: 1 });
      await using engine = await Engine.create(some, wide, { device: 'webgpu', dtype });
      using before = whole.start();
      using expected = exact.start();
      using found = engine.start();
      let [off, apart] = [0, 0];
      for (const ids of [randomIds(40), [1], [2], [3]]) {
        const logits = await engine.append(found, ids);
        off = Math.max(off, relativeError(logits, await exact.append(expected, ids)));
        apart = Math.max(apart, relativeError(logits, await whole.append(before, ids)));
      }
      expect(off).toBeLessThan(tolerance);
      // It is not float32 all the same.
      expect(apart).toBeGreaterThan(1e-4);
    },
  );

  test('float16 is for devices', async () => {
    await expect(Engine.create(config, weights, { dtype: 'f16' })).rejects.toThrow(
      "dtype f16 is for device 'webgpu'; on the CPU weights are f32, q8 or q4",
    );
  });
});

test('no work on floats is left to the CPU, whatever the mixer', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'postnas-profile-'));
  const compile = Program.compile.bind(Program);
  const spy = vi
    .spyOn(Program, 'compile')
    .mockImplementation((outputs, options) =>
      compile(outputs, { ...options, profile: join(folder, `of-${spy.mock.calls.length}`) }),
    );
  try {
    await using engine = await Engine.create(config, weights, { device: 'webgpu' });
    using sequence = engine.start();
    await engine.append(sequence, randomIds(70));
    await engine.append(sequence, [1]);
  } finally {
    spy.mockRestore();
  }
  const ran = readdirSync(folder).flatMap((file) => nodesOn(join(folder, file)));
  rmSync(folder, { recursive: true });
  expect(new Set(ran.map(({ provider }) => provider))).toContain('WebGpuExecutionProvider');
  const left = ran.filter(({ provider, floats }) => floats && provider === 'CPUExecutionProvider');
  expect([...new Set(left.map(({ op }) => op))]).toEqual([]);
});

test('more sequences than a value of the device has room for take their steps in groups', async () => {
  const small = tinyConfig([A, D]);
  const source = new EngineWeights(small, randomWeights(small), undefined);
  const runs = await DeviceRuns.create(small, source, { device: 'webgpu' });
  const prompts = [5, 150, 1, 40, 9].map(randomIds);
  const read = async () => {
    const sequences = prompts.map(() => runs.start());
    for (const [i, sequence] of sequences.entries()) await runs.read(sequence, prompts[i]!, false, undefined);
    return sequences;
  };
  const [together, apart] = [await read(), await read()];
  const ids = [3, 1, 4, 1, 5];
  const expected = await runs.stepAll(together, ids);
  // Room for the keys of two sequences of 150 tokens, which are in blocks of 128, and one block more.
  runs.largestValue = 2 * 4 * small.numKvHeads * small.headDim * (3 * 128 + 2);
  const found = await runs.stepAll(apart, ids);
  for (const [i, row] of expected.entries()) expect(relativeError(found[i]!, row)).toBeLessThan(TOLERANCE);
  expect(new Set(apart.map(({ rows }) => rows)).size).toBe(3);
  expect((await runs.drawn(5, 256)).length).toBe(5);
  runs.largestValue = 1000;
  await expect(runs.stepAll(apart, ids)).rejects.toThrow("the device's values hold 1000");
  // Nothing was added: they can be gone on from.
  expect(apart.map(({ length }) => length)).toEqual([6, 151, 2, 41, 10]);
  runs.largestValue = 2 ** 31 - 4;
  await runs.stepAll(apart, ids);
  await runs.dispose();
});

test('nothing is left on the device by sequences that are gone', async () => {
  const small = tinyConfig([A, D, W]);
  const source = new EngineWeights(small, randomWeights(small), undefined);
  const runs = await DeviceRuns.create(small, source, { device: 'webgpu' });
  const batch = runs.batch({ check: () => {}, exclusively: (run) => run() });
  const before = runs.held;
  for (const length of [3, 200, 300]) {
    const sequences = [runs.start(), runs.start()];
    await runs.read(sequences[0]!, randomIds(length), true, undefined);
    await runs.read(sequences[1]!, randomIds(7), false, undefined);
    sequences.push(sequences[0]!.fork());
    for (const sequence of sequences) batch.add(sequence);
    await batch.step(new Map(sequences.map((sequence) => [sequence, 1])));
    batch.remove(sequences[1]!);
    await runs.step(sequences[1]!, 2);
    for (const sequence of [sequences[0]!, sequences[2]!]) batch.remove(sequence);
    for (const sequence of sequences) sequence.dispose();
    expect(runs.held).toBe(before);
  }
  await runs.dispose();
  expect(runs.held).toBe(0);
});

test('disposal frees the device while sequences are there', async () => {
  const small = tinyConfig([A, D]);
  const engine = await Engine.create(small, randomWeights(small), { device: 'webgpu' });
  const sequence = engine.start();
  const running = engine.append(sequence, [1, 2, 3]);
  await engine.dispose();
  await running.catch(() => {});
  await expect(engine.append(sequence, [1])).rejects.toThrow('the model has been disposed of');
  sequence.dispose();
});

const file = resolve(import.meta.dirname, '../../../../shared/data/models/stories260K/stories260K.bin');
test.skipIf(!existsSync(file))('stories260K writes the same text (needs ../shared/data)', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'postnas-stories-'));
  try {
    await importCheckpoint(file, folder);
    const write = async (device: 'cpu' | 'webgpu', dtype?: 'f16') => {
      await using model = await Model.fromPretrained(folder, { device, dtype });
      const ids: number[] = [];
      for await (const { id } of model.generate('Once upon a time', { maxNewTokens: 60 })) ids.push(id);
      return ids;
    };
    const expected = await write('cpu');
    expect(expected.length).toBe(60);
    expect(await write('webgpu')).toEqual(expected);
    expect(await write('webgpu', 'f16')).toEqual(expected);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
