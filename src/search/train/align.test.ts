import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { gradientStep, taken, tinyBatches, tinyGla, tinyParent } from '../../../test/support/tiny-network.ts';
import { evaluate, gradients, input, mean, mul, ndarray, sub } from '../../graph/index.ts';
import type { MixerSpec } from '../../mixers/spec.ts';
import { decoderLayer, embed, mixerBlock, weightInputs } from '../../model/decoder.ts';
import { layerParameters } from '../../model/parameters.ts';
import type { TrainOptions } from '../../train/trainer.ts';
import { Random } from '../../util/random.ts';
import { BranchWeights } from '../network/branches.ts';
import type { Network } from '../network/network.ts';
import { align } from './align.ts';
import { keptWindows } from './window-dropout.ts';

const shape = { batch: 2, length: 10 };
const schedule = { peak: 0.03, warmup: 2, steps: 40, decay: 'cosine', final: 0.1 } as const;

function run(layers: number[], more: Partial<TrainOptions> = {}, network = tinyParent(), spec = tinyGla) {
  const branches = new BranchWeights(network, layers, spec);
  branches.initialise(1);
  return {
    branches,
    aligned: align({ branches, batches: tinyBatches(), shape, seed: 3, schedule, threads: 1, ...more }),
  };
}

/** Every weight of the parent, by value. */
function frozen({ outer, layers, branches }: Network): number[] {
  return [outer, ...layers, ...branches.map(([own]) => own!.weights)].flatMap((values) =>
    Object.values(values).flatMap(({ data }) => [...(data as Float32Array)]),
  );
}

describe('align', () => {
  const network = tinyParent();
  const before = frozen(network);
  let whole: ReturnType<typeof run>;
  let errors: number[];
  let untrained: number[];
  beforeAll(async () => {
    whole = run([0, 1, 2], {}, network);
    errors = (await whole.aligned).losses;
    untrained = (await run([0, 1, 2], { schedule: { ...schedule, steps: 0 } }).aligned).losses;
  });

  test('brings every layer nearer to its attention', () => {
    expect(errors).toHaveLength(3);
    for (const [i, error] of errors.entries()) expect(error).toBeLessThan(0.95 * untrained[i]!);
  });

  test('its errors are those of a batch that it was not trained on', async () => {
    const drawn: number[][] = [];
    const { fill } = tinyBatches();
    const batches = {
      fill: (...[out, width, random]: Parameters<typeof fill>) => {
        fill(out, width, random);
        drawn.push([...out]);
      },
    };
    const branches = new BranchWeights(tinyParent(), [0], tinyGla);
    await align({ branches, batches, shape, seed: 3, schedule: { ...schedule, steps: 4 }, threads: 1 });
    expect(drawn).toHaveLength(5);
    expect(new Set(drawn.map((row) => row.join())).size).toBe(5);
  });

  test('leaves the parent as it was', () => {
    expect(frozen(network)).toEqual(before);
  });

  test('what is drawn for a layer is drawn for no other layer, and by no other seed', () => {
    const start = (seed: number) => {
      const branches = new BranchWeights(network, [0, 1, 2], tinyGla);
      branches.initialise(seed);
      return branches;
    };
    const [one, two] = [start(1), start(2)];
    const values = (branches: BranchWeights, layer: number) =>
      Object.entries(branches.values(layer)).map(
        ([name, { data }]) => [name, [...(data as Float32Array)]] as const,
      );
    const drawn = values(one, 0).filter(([name, data], i) => {
      const [same, other] = values(two, 0)[i]!;
      expect(same).toBe(name);
      return data.join() !== other.join();
    });
    expect(drawn.length).toBeGreaterThan(0);
    for (const [name, data] of drawn) {
      for (const layer of [1, 2]) {
        const [, other] = values(one, layer).find(([each]) => each === name)!;
        expect(other, name).not.toEqual(data);
      }
    }
  });

  test('layers do not depend on each other, to the last bit', async () => {
    const { branches, aligned } = run([2, 0]);
    const { losses } = await aligned;
    for (const layer of [0, 2]) {
      for (const [name, { data }] of Object.entries(branches.values(layer))) {
        expect(data, `${layer} ${name}`).toEqual(whole.branches.values(layer)[name]!.data);
      }
    }
    // In the order in which layers were given.
    expect(losses).toEqual([errors[2], errors[0]]);
  });

  test('the errors of a run that was resumed when it had ended are the same', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'postnas-align-'));
    try {
      const first = await run([0, 1], { folder }).aligned;
      const again = await run([0, 1], { folder }).aligned;
      expect(again).toEqual({ ...first, seconds: again.seconds });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('a signal ends it within a step', async () => {
    const controller = new AbortController();
    const { aligned } = run([0, 1], { signal: controller.signal, onProgress: () => controller.abort() });
    await expect(aligned).rejects.toThrow(/abort/i);
  });

  test('loss and gradient are those of float64, each layer clipped by itself', async () => {
    const parent = tinyParent();
    const branches = new BranchWeights(parent, [0, 2], tinyGla);
    branches.initialise(1);
    // A large error in layer 2, whose gradient then has to be clipped.
    branches.vector.view('2.o_proj.weight').forEach((x, i, all) => {
      all[i] = 8 * x;
    });
    const start = branches.vector.data.slice();
    let logged = 0;
    const found = await taken(branches, () =>
      align({
        ...gradientStep,
        branches,
        batches: tinyBatches(),
        shape,
        seed: 3,
        onProgress: ({ values }) => {
          if (values) logged = values.loss!;
        },
      }),
    );
    branches.vector.data.set(start);
    const [error0, error2] = [plainError(branches, 0), plainError(branches, 2)];
    expect(logged).toBeCloseTo((error0.loss + error2.loss) / 2, 4);
    const norms = [error0, error2].map(({ gradient }) => Math.hypot(...[...gradient.values()].flat()));
    expect(norms[0]).toBeLessThan(1);
    expect(norms[1]).toBeGreaterThan(1.5);
    for (const [layer, { gradient }, norm] of [
      [0, error0, 1],
      [2, error2, norms[1]!],
    ] as const) {
      const largest = Math.max(...[...gradient.values()].flat().map(Math.abs)) / norm;
      for (const [name, slopes] of gradient) {
        const off = found.get(`${layer}.${name}`)!.map((g, i) => Math.abs(g - slopes[i]! / norm));
        expect(Math.max(...off) / largest, `${layer} ${name}`).toBeLessThan(2e-4);
      }
    }
  });

  test('beside a window, what stands beside it is trained, with rows in which the window is left out', async () => {
    const spec: MixerSpec = { kind: 'window_linear', window: 3, sinks: 1, linear: tinyGla };
    const parent = tinyParent();
    const before = frozen(parent);
    const branches = new BranchWeights(parent, [1], spec);
    branches.initialise(1);
    // At 0 nothing behind the gate has a gradient.
    branches.vector.view('1.linear_gate').fill(0.3);
    const own = branches.vector.parameters.map(({ name }) => name);
    expect(own.every((name) => /^1\.linear[._]/.test(name))).toBe(true);
    expect(branches.values(1)['q_proj.weight']).toBe(parent.branches[1]![0]!.weights['q_proj.weight']);
    const rows = keptWindows([spec], shape.batch, 0.3, new Random((3 + 600) * 1009 + 1)).get(0)!;
    expect(new Set(rows.data as Float32Array)).toEqual(new Set([0, 1]));
    const plain = plainError(branches, 1, rows.data as Float32Array);
    const norm = Math.max(1, Math.hypot(...[...plain.gradient.values()].flat()));
    let logged = 0;
    const found = await taken(branches, () =>
      align({
        ...{ ...gradientStep, branches, batches: tinyBatches(), shape, seed: 3, windowDropout: 0.3 },
        onProgress: ({ values }) => {
          if (values) logged = values.loss!;
        },
      }),
    );
    expect(logged).toBeCloseTo(plain.loss, 4);
    const largest = Math.max(...[...plain.gradient.values()].flat().map(Math.abs)) / norm;
    for (const [name, slopes] of plain.gradient) {
      const off = found.get(`1.${name}`)!.map((g, i) => Math.abs(g - slopes[i]! / norm));
      expect(Math.max(...off) / largest, name).toBeLessThan(2e-4);
    }
    expect(frozen(parent)).toEqual(before);
  });

  test('layers that the parent does not have', () => {
    for (const layers of [[], [3], [0, 0], [-1], [0.5]]) {
      expect(() => new BranchWeights(network, layers, tinyGla)).toThrow(
        expect.objectContaining({ name: 'InputError', message: expect.stringContaining('of 0 to 2') }),
      );
    }
  });
});

/**
 * Loss and gradient of one layer's branch on the first batch of seed 3, in one float64 graph of the parent.
 *
 * @param kept of which rows the window counts, where not of all [B]
 */
function plainError(branches: BranchWeights, layer: number, kept?: ArrayLike<number>) {
  const { network, spec, trained } = branches;
  const { config } = network;
  const ids = input('ids', 'int64', [shape.batch, shape.length]);
  const table = input('table', 'float32', [config.vocabSize, config.hiddenSize]);
  const tokens = new Int32Array(shape.batch * shape.length);
  tinyBatches().fill(tokens, shape.length, new Random(3));
  const feeds = new Map([
    [ids, ndarray([shape.batch, shape.length], tokens)],
    [table, ndarray([config.vocabSize, config.hiddenSize], network.embedding.data as Float32Array)],
  ]);
  const given = (own: MixerSpec, value: (name: string) => ArrayLike<number>) => {
    const weights = weightInputs(layerParameters(config, own));
    for (const [name, w] of Object.entries(weights)) {
      feeds.set(w, ndarray(w.shape as number[], value(name)));
    }
    return weights;
  };
  let x = embed(ids, { 'model.embed_tokens.weight': table });
  const parentOf = (l: number) => {
    const values = network.layerValues(l, 0);
    return given(config.layers[l]!, (name) => values[name]!.data as Float32Array);
  };
  for (let l = 0; l < layer; l++) {
    x = decoderLayer(config, config.layers[l]!, x, parentOf(l), { form: 'recurrent' }).y;
  }
  const target = mixerBlock(config, config.layers[layer]!, x, parentOf(layer), { form: 'recurrent' }).y;
  const shared = network.layers[layer]!;
  const weights = given(spec, (name) => {
    const value = shared[name];
    const own = branches.values(layer)[name.slice('self_attn.'.length)];
    return (value ?? own)!.data as Float32Array;
  });
  const rows = input('kept', 'float32', [shape.batch]);
  if (kept) feeds.set(rows, ndarray([shape.batch], kept));
  const { y } = mixerBlock(config, spec, x, weights, {
    form: 'recurrent',
    ...(kept && { windowKept: rows }),
  });
  const error = sub(y, target);
  const slopes = gradients(
    [{ output: mean(mul(error, error)) }],
    trained.map((name) => weights[`self_attn.${name}`]!),
  );
  const [squares, size, ...found] = evaluate(
    [mean(mul(error, error)), mean(mul(target, target)), ...slopes],
    feeds,
  );
  const scale = size!.data[0]! + 1e-8;
  return {
    loss: squares!.data[0]! / scale,
    gradient: new Map(trained.map((name, i) => [name, [...found[i]!.data].map((g) => g / scale)])),
  };
}

describe('parents of other kinds', () => {
  const gdn: MixerSpec = {
    kind: 'gated_deltanet',
    heads: 2,
    keyDim: 8,
    valueDim: 8,
    convSize: 3,
    rope: false,
  };

  test('windows teach as full attention does, and a branch starts from them', async () => {
    const layers: MixerSpec[] = [{ kind: 'attention' }, { kind: 'sliding_window', window: 4 }];
    const { branches, aligned } = run([1], { schedule: { ...schedule, steps: 0 } }, tinyParent(layers));
    const own = branches.network.branches[1]![0]!.weights['q_proj.weight']!;
    expect(branches.values(1)['q_proj.weight']!.data).toEqual(own.data);
    const [before] = (await aligned).losses;
    const [after] = (await run([1], {}, tinyParent(layers)).aligned).losses;
    expect(after).toBeLessThan(0.95 * before!);
  });

  test('a layer that is linear already: the same mixer starts as its copy, another with what fits', async () => {
    const parent = tinyParent([tinyGla, gdn, { kind: 'attention' }]);
    const branches = new BranchWeights(parent, [0, 1], tinyGla);
    branches.initialise(1);
    const own = parent.branches[1]![0]!.weights;
    expect(branches.values(1)['v_proj.weight']!.data).toEqual(own['v_proj.weight']!.data);
    const settings = { branches, batches: tinyBatches(), shape, seed: 3 };
    const { losses } = await align({ ...settings, schedule: { ...schedule, steps: 0 } });
    expect(losses[0]).toBeLessThan(1e-12);
    expect(losses[1]).toBeGreaterThan(0.1);
    const after = await align({ ...settings, schedule });
    expect(after.losses[1]).toBeLessThan(0.9 * losses[1]!);
  });
});
