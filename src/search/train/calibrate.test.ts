import { describe, expect, test } from 'vitest';
import { tinyBatches, tinyParent } from '../../../test/support/tiny-network.ts';
import { evaluate, input, ndarray, type Value } from '../../graph/index.ts';
import { mixerOf, registerMixer } from '../../mixers/registry.ts';
import type { LinearSpec, MixerSpec } from '../../mixers/spec.ts';
import { openCheckpoint } from '../../model/checkpoint.ts';
import { embed, weightInputs } from '../../model/decoder.ts';
import { layerParameters } from '../../model/parameters.ts';
import { Random } from '../../util/random.ts';
import { dataOf } from '../data.ts';
import { BranchWeights } from '../network/branches.ts';
import { linearKinds, linearMixer } from '../network/linear-mixer.ts';
import { Network } from '../network/network.ts';
import { align } from './align.ts';
import { readAttention } from './attention-reading.ts';
import { calibrate, startOf } from './calibrate.ts';
import type { Start } from './start.ts';

const shape = { batch: 4, length: 24 };
const grouped = { numHeads: 6, numKvHeads: 2 } as const;

/** Of the embeddings of some rows, in float64. */
function reading(parent: Network, spec: MixerSpec, near?: { window: number; sinks?: number }) {
  const { config } = parent;
  const drawn = new Int32Array(shape.batch * shape.length);
  tinyBatches().fill(drawn, shape.length, new Random(1));
  const table = input('table', 'float32', [config.vocabSize, config.hiddenSize]);
  const ids = input('ids', 'int64', [shape.batch, shape.length]);
  const weights = weightInputs(layerParameters(config, spec));
  const x = embed(ids, { 'model.embed_tokens.weight': table });
  const outputs = readAttention(config, spec, x, weights, near);
  const exact = ({ data, dims }: Value) => ndarray([...dims], Float64Array.from(data as Float32Array));
  const values = parent.layerValues(0, 0);
  const feeds = new Map([
    ...Object.entries(weights).map(([name, tensor]) => [tensor, exact(values[name]!)] as const),
    [table, exact(parent.embedding)],
    [ids, ndarray([shape.batch, shape.length], Float64Array.from(drawn))],
  ]);
  const names = Object.keys(outputs) as (keyof typeof outputs)[];
  const found = evaluate(Object.values(outputs), feeds);
  const of = (name: (typeof names)[number]) => found[names.indexOf(name)]!.data;
  return { distance: of('distance'), entropy: of('entropy'), heads: of('heads'), y: of('y'), x: of('x') };
}

/** Shares of queries' attention by plain loops over what `readAttention` gave as the mixer's input: [B][H][query][key]. */
function sharesOf(parent: Network, x: ArrayLike<number>, sees: (query: number, key: number) => boolean) {
  const { hiddenSize: D, numHeads, numKvHeads, headDim: d, ropeTheta } = parent.config;
  const { weights } = parent.branches[0]![0]!;
  const project = (name: string, head: number, row: number, position: number) => {
    const w = weights[`${name}_proj.weight`]!.data as Float32Array;
    const plain = Array.from({ length: d }, (_, i) => {
      let sum = 0;
      for (let c = 0; c < D; c++) sum += w[(head * d + i) * D + c]! * x[row * D + c]!;
      return sum;
    });
    if (name === 'v') return plain;
    return plain.map((value, i) => {
      const angle = position * ropeTheta ** (-(2 * (i % (d / 2))) / d);
      const other = i < d / 2 ? -plain[i + d / 2]! : plain[i - d / 2]!;
      return value * Math.cos(angle) + other * Math.sin(angle);
    });
  };
  const { batch, length: T } = shape;
  return Array.from({ length: batch }, (_, b) =>
    Array.from({ length: numHeads }, (_, h) => {
      const kv = Math.floor(h / (numHeads / numKvHeads));
      const keys = Array.from({ length: T }, (_, t) => project('k', kv, b * T + t, t));
      return Array.from({ length: T }, (_, t) => {
        const q = project('q', h, b * T + t, t);
        const scores = keys.map((k, j) =>
          sees(t, j) ? Math.exp(k.reduce((sum, value, i) => sum + value * q[i]!, 0) / Math.sqrt(d)) : 0,
        );
        const total = scores.reduce((a, b) => a + b, 0);
        return scores.map((score) => score / total);
      });
    }),
  );
}

describe('what is read of attention', () => {
  const parent = tinyParent([{ kind: 'attention' }], grouped);
  const T = shape.length;

  test('distances and entropies by plain loops, of query heads that share keys', () => {
    const found = reading(parent, { kind: 'attention' });
    const shares = sharesOf(parent, found.x, (t, j) => j <= t);
    for (let h = 0; h < grouped.numHeads; h++) {
      let [looked, mass, entropy] = [0, 0, 0];
      for (const row of shares) {
        for (const [t, keys] of row[h]!.entries()) {
          for (const [j, share] of keys.entries()) {
            if (share === 0) continue;
            if (j > 0) [looked, mass] = [looked + share * Math.log1p(t - j), mass + share];
            if (t > 0) entropy -= (share * Math.log(share)) / Math.log(t + 1) / (T - 1) / shape.batch;
          }
        }
      }
      expect(Math.abs(found.distance[h]! - looked / mass)).toBeLessThan(1e-6);
      expect(Math.abs(found.entropy[h]! - entropy)).toBeLessThan(1e-6);
    }
  });

  test('beside a window, what lies behind it, and what the window lacks', () => {
    const near = { window: 5, sinks: 2 };
    const found = reading(parent, { kind: 'attention' }, near);
    const shares = sharesOf(parent, found.x, (t, j) => j <= t);
    for (let h = 0; h < grouped.numHeads; h++) {
      let [looked, mass] = [0, 0];
      for (const row of shares) {
        for (const [t, keys] of row[h]!.entries()) {
          for (const [j, share] of keys.entries()) {
            if (t - j >= near.window && j >= near.sinks)
              [looked, mass] = [looked + share * Math.log1p(t - j), mass + share];
          }
        }
      }
      expect(Math.abs(found.distance[h]! - looked / mass)).toBeLessThan(1e-6);
    }
    const all = reading(parent, { kind: 'attention' });
    const window = reading(parent, { kind: 'sliding_window', ...near });
    for (const name of ['heads', 'y'] as const) {
      for (let i = 0; i < found[name].length; i++) {
        expect(Math.abs(found[name][i]! - (all[name][i]! - window[name][i]!))).toBeLessThan(1e-9);
      }
    }
  });
});

/** A real model: one with random weights has no attention that something could be told of. */
const base = openCheckpoint('models/base');
const { batches } = await dataOf('models/base', { rows: 1, length: 1, examples: 1, task: [] });
const { config } = base;

/** The error of a layer at the start, on other rows than it was found on. */
async function errorOf(spec: LinearSpec, start: Start) {
  const branches = new BranchWeights(new Network(config, base.weights), [2], spec);
  branches.initialise(1);
  const schedule = { peak: 1e-3, warmup: 0, steps: 0, decay: 'constant', final: 1 } as const;
  const rows = { batch: 4, length: 64 };
  const { losses } = await align({ branches, batches, shape: rows, schedule, seed: 3, start, threads: 1 });
  return { branches, error: losses[0]! };
}

describe('calibrated starts', () => {
  test.each(linearKinds())('%s: nearer to the attention than its weights alone', async (kind) => {
    const spec = linearMixer(kind, config) as LinearSpec;
    const [copied, calibrated] = [await errorOf(spec, 'copied'), await errorOf(spec, 'calibrated')];
    expect(calibrated.error).toBeLessThan(0.96 * copied.error);
  });

  test('do not depend on the rows that are trained on', async () => {
    const spec = linearMixer('gla', config) as LinearSpec;
    const { branches } = await errorOf(spec, 'calibrated');
    const alone = new BranchWeights(new Network(config, base.weights), [2], spec);
    alone.initialise(1);
    await calibrate({ branches: alone, batches, seed: 3, threads: 1 });
    expect(branches.vector.data).toEqual(alone.vector.data);
  });

  test('are those of the seed and the text', async () => {
    const spec = linearMixer('gated_deltanet', config) as LinearSpec;
    const [one, same] = [await errorOf(spec, 'calibrated'), await errorOf(spec, 'calibrated')];
    expect(one.branches.vector.data).toEqual(same.branches.vector.data);
  });

  test('of heads that the attention does not have', async () => {
    for (const [heads, valueDim] of [
      [8, 4],
      [3, 12],
    ] as const) {
      const spec: LinearSpec = { ...(linearMixer('gated_deltanet', config) as LinearSpec), heads, valueDim };
      const { branches, error } = await errorOf(spec, 'calibrated');
      expect(branches.vector.data.every(Number.isFinite)).toBe(true);
      expect(error).toBeLessThan(1);
    }
  });

  test('half-lives are the distances, and write strengths go with the entropies', async () => {
    const { config } = tinyParent(undefined, grouped);
    const spec: LinearSpec = {
      kind: 'gated_deltanet',
      heads: 6,
      keyDim: 8,
      valueDim: 8,
      convSize: 0,
      rope: false,
    };
    const weights = new Map(
      mixerOf<LinearSpec>(spec)
        .parameters(spec, config)
        .map(({ name, init }) => [name, init(new Random(1))]),
    );
    const distance = [1, 2, 4, 8, 16, 32];
    const entropy = [0, 0.2, 0.4, 0.6, 0.8, 1];
    const one = Float32Array.from({ length: config.hiddenSize }, (_, i) => (i === 0 ? 2 : 0));
    const { calibration } = mixerOf<LinearSpec>(spec);
    calibration!.set(spec, config, weights, { distance, entropy, one });
    for (const [head, each] of distance.entries()) {
      const step = Math.log1p(Math.exp(weights.get('dt_bias')![head]!));
      expect(Math.exp(-step * Math.exp(weights.get('A_log')![head]!)) ** each).toBeCloseTo(0.5, 5);
      // An input whose first channel is a half is what `one` makes 1 of.
      const beta = 1 / (1 + Math.exp(-0.5 * weights.get('b_proj.weight')![head * config.hiddenSize]!));
      expect(beta).toBeCloseTo(0.3 + 0.4 * (1 - entropy[head]!), 5);
    }
  });

  test("RetNet's heads stand in the order of distances", async () => {
    const spec: LinearSpec = { kind: 'retnet', heads: 3, keyDim: 2, valueDim: 2 };
    const context = { ...config, hiddenSize: 4 };
    const weights = new Map(
      mixerOf<LinearSpec>(spec)
        .parameters(spec, context)
        .map(({ name, shape }) => {
          const inputs = shape[1] ?? 1;
          // By head, as rows; of the output projection as columns.
          const headOf = (i: number) =>
            Math.floor((name === 'o_proj.weight' ? i % inputs : Math.floor(i / inputs)) / 2);
          return [
            name,
            Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => headOf(i)),
          ] as const;
        }),
    );
    const { calibration } = mixerOf<LinearSpec>(spec);
    const read = { distance: [30, 2, 9], entropy: [0, 0, 0], one: new Float32Array(4) };
    expect(calibration!.order!(spec, read)).toEqual([1, 2, 0]);
    calibration!.set(spec, context, weights, read);
    for (const name of ['q_proj', 'k_proj', 'v_proj']) {
      const rows = [1, 1, 2, 2, 0, 0].flatMap((head) => [head, head, head, head]);
      expect([...weights.get(`${name}.weight`)!], name).toEqual(rows);
    }
    expect([...weights.get('o_proj.weight')!.subarray(0, 6)]).toEqual([1, 1, 2, 2, 0, 0]);
  });

  test('beside a window the layer is still its window, and its linear part is fitted to the rest', async () => {
    const parent = tinyParent(undefined, grouped);
    const linear = linearMixer('gated_deltanet', parent.config) as LinearSpec;
    const spec: MixerSpec = { kind: 'window_linear', window: 4, sinks: 1, linear };
    const branches = new BranchWeights(parent, [1], spec);
    branches.initialise(1);
    const before = branches.vector.data.slice();
    await calibrate({ branches, batches: tinyBatches(), seed: 3, threads: 1 });
    const changed = branches.vector.parameters
      .map(({ name }) => name)
      .filter((name) => {
        const start = branches.vector.start(name);
        return branches.vector.view(name).some((value, i) => value !== before[start + i]);
      });
    expect(changed.every((name) => name.startsWith('1.linear.'))).toBe(true);
    expect(changed).toContain('1.linear.o_proj.weight');
    expect(branches.vector.view('1.linear_gate').every((value) => value === 0)).toBe(true);
  });

  test('a layer that is linear in the parent keeps what it has', async () => {
    const linear = linearMixer('gated_deltanet', tinyParent(undefined, grouped).config) as LinearSpec;
    const parent = tinyParent([{ kind: 'attention' }, linear], grouped);
    const branches = new BranchWeights(parent, [0, 1], linear);
    branches.initialise(1);
    const own = () => Object.values(branches.values(1)).flatMap(({ data }) => [...(data as Float32Array)]);
    const before = own();
    await calibrate({ branches, batches: tinyBatches(), seed: 3, threads: 1 });
    expect(own()).toEqual(before);
  });

  test('a mixer from outside without a calibration starts from weights, and is refused where it is to start otherwise', () => {
    const { calibration: _, ...plain } = mixerOf<LinearSpec>({
      kind: 'retnet',
      heads: 1,
      keyDim: 1,
      valueDim: 1,
    });
    registerMixer({ ...plain, kind: 'custom_uncalibrated', letter: '8' });
    const spec: LinearSpec = { kind: 'custom_uncalibrated', heads: 2, keyDim: 8, valueDim: 8 };
    expect([startOf(spec), startOf(spec, 'copied')]).toEqual(['copied', 'copied']);
    expect(() => startOf({ kind: 'window_linear', window: 8, linear: spec }, 'calibrated')).toThrow(
      "a custom_uncalibrated block can't start 'calibrated'",
    );
    expect(startOf(linearMixer('gla', config))).toBe('calibrated');
  });
});
