import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  gradientStep,
  taken,
  tinyBatches,
  tinyGla,
  tinyParent,
  tinySupernet,
} from '../../../test/support/tiny-network.ts';
import {
  add,
  div,
  evaluate,
  grad,
  input,
  mean,
  mul,
  type NdArray,
  ndarray,
  sub,
  type Tensor,
  type Values,
} from '../../graph/index.ts';
import type { MixerSpec } from '../../mixers/spec.ts';
import { decoderLayer, embed, weightInputs } from '../../model/decoder.ts';
import { layerParameters } from '../../model/parameters.ts';
import { Random } from '../../util/random.ts';
import type { Path } from '../judge/scorer.ts';
import type { BranchWeights } from '../network/branches.ts';
import type { Network } from '../network/network.ts';
import { type PathSampling, samplePath, trainSuperNetwork } from './super-network.ts';

const shape = { batch: 2, length: 6 };

describe('samplePath', () => {
  const draw = (sampling: PathSampling, layers: number, count = 4000) => {
    const random = new Random(1);
    return Array.from({ length: count }, () => samplePath(sampling, layers, random));
  };
  const fullLayers = (path: readonly number[]) => path.filter((branch) => branch === 0).length;
  /** How often each number of full layers comes, as fractions. */
  const spread = (paths: number[][], layers: number) =>
    Array.from(
      { length: layers + 1 },
      (_, n) => paths.filter((p) => fullLayers(p) === n).length / paths.length,
    );

  test.each<[PathSampling, number[]]>([
    [{ rule: 'budget', budget: 1 }, [1 / 3, 1 / 3, 1 / 3, 0, 0, 0]],
    // Never all of them: that path has nothing to train.
    [{ rule: 'budget', budget: 4 }, [1 / 5, 1 / 5, 1 / 5, 1 / 5, 1 / 5, 0]],
    [{ rule: 'budget', budget: 0 }, [1, 0, 0, 0, 0, 0]],
    [{ rule: 'uniform' }, [1 / 5, 1 / 5, 1 / 5, 1 / 5, 1 / 5, 0]],
    [{ rule: 'coin' }, [1, 5, 10, 10, 5, 1].map((x) => x / 32)],
  ])('%o: how many layers are full', (sampling, expected) => {
    const found = spread(draw(sampling, 5), 5);
    for (const [n, fraction] of expected.entries()) expect(Math.abs(found[n]! - fraction)).toBeLessThan(0.03);
  });

  test.each<PathSampling>([{ rule: 'budget', budget: 2 }, { rule: 'uniform' }, { rule: 'coin' }])(
    '%o: which ones is uniform',
    (sampling) => {
      const paths = draw(sampling, 5);
      const mean = paths.reduce((sum, path) => sum + fullLayers(path), 0) / paths.length / 5;
      for (let layer = 0; layer < 5; layer++) {
        const share = paths.filter((path) => path[layer] === 0).length / paths.length;
        expect(Math.abs(share - mean)).toBeLessThan(0.03);
      }
    },
  );

  test('fixed', () => {
    expect(draw({ rule: 'fixed', path: [0, 1, 0] }, 3, 2)).toEqual([
      [0, 1, 0],
      [0, 1, 0],
    ]);
  });
});

/** Loss and gradients of a path on the first batch of seed 3, as one float64 graph differentiated at once. */
function wholePath({ network, vector }: BranchWeights, path: Path, lastWeight: number) {
  const { config } = network;
  const count = path.length;
  const tokens = new Int32Array(shape.batch * shape.length);
  tinyBatches().fill(tokens, shape.length, new Random(3));
  const feeds = new Map<Tensor, NdArray>();
  const feed = (x: Tensor, data: ArrayLike<number>) => {
    feeds.set(x, ndarray(x.shape as number[], data));
    return x;
  };
  const given = (spec: MixerSpec, values: Values) => {
    const weights = weightInputs(layerParameters(config, spec));
    for (const [name, w] of Object.entries(weights)) feed(w, values[name]!.data as Float32Array);
    return weights;
  };
  const ids = feed(input('ids', 'int64', [shape.batch, shape.length]), tokens);
  const table = input('table', 'float32', [config.vocabSize, config.hiddenSize]);
  feed(table, network.embedding.data as Float32Array);
  let teacher = embed(ids, { 'model.embed_tokens.weight': table });
  let student = teacher;
  const trained: [string, Tensor][] = [];
  const first = path.indexOf(1);
  let loss: Tensor | undefined;
  for (const [layer, branch] of path.entries()) {
    const own = network.branches[layer]![0]!.spec;
    teacher = decoderLayer(config, own, teacher, given(own, network.layerValues(layer, 0)), {
      form: 'recurrent',
    }).y;
    const { spec } = network.branches[layer]![branch]!;
    const weights = given(spec, network.layerValues(layer, branch));
    student = decoderLayer(config, spec, student, weights, { form: 'recurrent' }).y;
    if (branch === 1) {
      for (const [name, w] of Object.entries(weights)) {
        if (name.startsWith('self_attn.')) trained.push([`${layer}.${name.slice('self_attn.'.length)}`, w]);
      }
    }
    if (layer < first) continue;
    const error = sub(student, teacher);
    const relative = div(mean(mul(error, error)), add(mean(mul(teacher, teacher)), 1e-8));
    const weighted = mul(relative, 1 / (count - first) + (layer === count - 1 ? lastWeight : 0));
    loss = loss ? add(loss, weighted) : weighted;
  }
  const slopes = grad(
    loss!,
    trained.map(([, w]) => w),
  );
  const [value, ...found] = evaluate([loss!, ...slopes], feeds);
  const gradient = new Map(trained.map(([name], i) => [name, [...found[i]!.data]]));
  // What is not on the path does not move.
  for (const { name } of vector.parameters) {
    if (!gradient.has(name))
      gradient.set(
        name,
        [...vector.view(name)].map(() => 0),
      );
  }
  return { loss: value!.data[0]!, gradient };
}

function frozen({ outer, layers, branches }: Network): number[] {
  return [outer, ...layers, ...branches.map(([own]) => own!.weights)].flatMap((values) =>
    Object.values(values).flatMap(({ data }) => [...(data as Float32Array)]),
  );
}

describe('trainSuperNetwork', () => {
  const settings = { batches: tinyBatches(), shape, seed: 3, threads: 1 };
  const gdn: MixerSpec = {
    kind: 'gated_deltanet',
    heads: 2,
    keyDim: 8,
    valueDim: 8,
    convSize: 3,
    rope: false,
  };

  test.each<[Path, MixerSpec[], MixerSpec, number]>([
    [[1, 1, 1], [{ kind: 'attention' }, { kind: 'attention' }, { kind: 'attention' }], tinyGla, 1],
    [
      [1, 0, 1],
      [{ kind: 'attention' }, { kind: 'sliding_window', window: 2 }, { kind: 'attention' }],
      gdn,
      0,
    ],
    [[0, 1, 0], [{ kind: 'attention' }, { kind: 'attention' }, tinyGla], tinyGla, 0.5],
  ])('layer by layer it finds the gradient of the whole path %j', async (path, layers, spec, lastWeight) => {
    const branches = tinySupernet(tinyParent(layers), spec);
    const expected = wholePath(branches, path, lastWeight);
    const before = frozen(branches.network);
    let loss = 0;
    const found = await taken(branches, () =>
      trainSuperNetwork({
        ...settings,
        ...gradientStep,
        branches,
        lastWeight,
        sampling: { rule: 'fixed', path },
        onProgress: ({ values }) => {
          if (values) loss = values.loss!;
        },
      }),
    );
    expect(loss).toBeCloseTo(expected.loss, 4);
    for (const [name, slopes] of expected.gradient) {
      const largest = Math.max(...slopes.map(Math.abs));
      const off = found.get(name)!.map((g, i) => Math.abs(g - slopes[i]!));
      // Weights are known to 1e-7, and so are these.
      expect(Math.max(...off), name).toBeLessThanOrEqual(1e-3 * largest + (largest > 0 ? 5e-7 : 0));
    }
    expect(Math.max(...[...expected.gradient.values()].flat())).toBeGreaterThan(1e-3);
    expect(frozen(branches.network)).toEqual(before);
  });

  test('the features of the last layer weigh once more than the mean, unless told otherwise', async () => {
    const path = [1, 0, 1];
    const branches = tinySupernet();
    const expected = wholePath(branches, path, 1);
    let loss = 0;
    await trainSuperNetwork({
      ...settings,
      ...gradientStep,
      branches,
      sampling: { rule: 'fixed', path },
      onProgress: ({ values }) => {
        loss = values!.loss!;
      },
    });
    expect(loss).toBeCloseTo(expected.loss, 4);
    expect(wholePath(tinySupernet(), path, 0).loss).toBeLessThan(0.9 * expected.loss);
  });

  test('a path of all attention teaches nothing', async () => {
    const branches = tinySupernet();
    const sampling: PathSampling = { rule: 'fixed', path: [0, 0, 0] };
    const found = await taken(branches, () =>
      trainSuperNetwork({ ...settings, ...gradientStep, branches, sampling }),
    );
    for (const [name, slopes] of found) expect(new Set(slopes), name).toEqual(new Set([0]));
  });

  test('MLPs are trained along, one for all paths, and the teacher keeps its own', async () => {
    const branches = tinySupernet();
    const { network } = branches;
    const parts = () => ({
      mlps: network.layers.flatMap(({ 'input_layernorm.weight': _, ...mlp }) => Object.values(mlp)),
      kept: [
        ...Object.values(network.outer),
        ...network.layers.map((values) => values['input_layernorm.weight']!),
        ...network.branches.flatMap(([own]) => Object.values(own!.weights)),
      ],
      linear: network.branches.flatMap(([, branch]) => Object.values(branch!.weights)),
    });
    const copies = (values: Values[string][]) => values.map(({ data }) => (data as Float32Array).slice());
    const before = parts();
    const saved = { mlps: copies(before.mlps), kept: copies(before.kept), linear: copies(before.linear) };
    const vector = branches.vector.data.slice();
    const folder = mkdtempSync(join(tmpdir(), 'postnas-mlps-'));
    const options = {
      ...settings,
      branches,
      folder,
      mlps: true,
      sampling: { rule: 'coin' } as const,
      schedule: { ...gradientStep.schedule, peak: 1e-3, steps: 6 },
    };
    await trainSuperNetwork(options);
    const after = parts();
    expect(copies(after.kept)).toEqual(saved.kept);
    for (const group of ['mlps', 'linear'] as const) {
      for (const [i, now] of copies(after[group]).entries()) expect(now).not.toEqual(saved[group][i]);
      // The arrays that they were in are the teacher's, or the caller's.
      expect(copies(before[group])).toEqual(saved[group]);
    }
    expect(branches.vector.data).toEqual(vector);
    const again = tinySupernet();
    await trainSuperNetwork({ ...options, branches: again });
    expect(again.network.fingerprint()).toBe(network.fingerprint());
    const frozenOnes = trainSuperNetwork({ ...options, branches: tinySupernet(), mlps: false });
    await expect(frozenOnes).rejects.toThrow(/mlps: true -> none/);
    rmSync(folder, { recursive: true });
  });

  test('the loss falls, on two batches a step', async () => {
    const branches = tinySupernet();
    const losses: number[] = [];
    await trainSuperNetwork({
      ...settings,
      branches,
      accumulate: 2,
      sampling: { rule: 'fixed', path: [1, 1, 1] },
      schedule: { peak: 0.02, warmup: 2, steps: 30, decay: 'cosine', final: 0.1 },
      onProgress: ({ values, done }) => {
        if (!values) return;
        losses.push(values.loss!);
        expect(done).toBe(losses.length * 2 * shape.batch * shape.length);
      },
    });
    const mean = (list: number[]) => list.reduce((a, b) => a + b, 0) / list.length;
    expect(mean(losses.slice(-5))).toBeLessThan(0.97 * mean(losses.slice(0, 5)));
  });
});

describe('blocks beside a window', () => {
  const beside: MixerSpec = { kind: 'window_linear', window: 2, linear: tinyGla };
  const sampling: PathSampling = { rule: 'fixed', path: [1, 1, 1] };
  /** The loss of one step, on the first batch of seed 3. */
  const lossOf = async (branches: BranchWeights, windowDropout: number) => {
    const options = {
      ...gradientStep,
      branches,
      batches: tinyBatches(),
      shape,
      sampling,
      windowDropout,
      seed: 3,
    };
    return (await trainSuperNetwork(options)).loss;
  };

  test('with all windows left out and gates shut, layers without a mixer', async () => {
    const shut = tinySupernet(tinyParent(), beside);
    const silent = tinySupernet(tinyParent(), tinyGla);
    for (const layer of [0, 1, 2]) silent.vector.view(`${layer}.o_proj.weight`).fill(0);
    const without = await lossOf(silent, 0);
    expect(await lossOf(tinySupernet(tinyParent(), beside), 0)).toBeLessThan(0.9 * without);
    expect(await lossOf(shut, 1)).toBeCloseTo(without, 5);
  });

  test('the window stays as the parent has it, with MLPs that are trained, too', async () => {
    const branches = tinySupernet(tinyParent(), beside);
    const { network } = branches;
    const before = network.branches.map(([own]) => own!.weights['q_proj.weight']!.data.slice());
    const options = {
      branches,
      batches: tinyBatches(),
      shape,
      sampling,
      mlps: true,
      windowDropout: 0.5,
      seed: 3,
    };
    await trainSuperNetwork({
      ...options,
      schedule: { peak: 0.01, warmup: 0, steps: 3, decay: 'constant', final: 1 },
    });
    for (const [layer, list] of network.branches.entries()) {
      for (const { weights } of list) expect(weights['q_proj.weight']!.data).toEqual(before[layer]);
      const gate = list[1]!.weights.linear_gate!.data as Float32Array;
      expect(gate.some((value) => value !== 0)).toBe(true);
    }
  });
});
