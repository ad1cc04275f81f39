import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { type Device, memoryOf, Program } from '../../../src/graph/index.ts';
import type { MixerSpec } from '../../../src/mixers/spec.ts';
import { LayerPrograms } from '../../../src/model/layer-programs.ts';
import { PathScorer } from '../../../src/search/judge/scorer.ts';
import { hybridOf } from '../../../src/search/network/hybrid.ts';
import { linearKinds, linearMixer } from '../../../src/search/network/linear-mixer.ts';
import { Network } from '../../../src/search/network/network.ts';
import { PathGradient, type PathLosses } from '../../../src/search/network/path-gradient.ts';
import { gatherWeights } from '../../../src/search/network/trained-weights.ts';
import { TeacherCache } from '../../../src/search/stages/final/teacher-cache.ts';
import { align } from '../../../src/search/train/align.ts';
import { trainSuperNetwork } from '../../../src/search/train/super-network.ts';
import { freshMoments } from '../../../src/train/adamw.ts';
import { optimizerFor } from '../../../src/train/device-adamw.ts';
import type { ParameterVector } from '../../../src/train/parameters.ts';
import { train } from '../../../src/train/trainer.ts';
import { Random } from '../../../src/util/random.ts';
import {
  gradientStep,
  taken,
  tinyBatches,
  tinyGla,
  tinyParent,
  tinySupernet,
} from '../../support/tiny-network.ts';
import { nodesOn } from './profile.ts';

/** Training on WebGPU is training on the CPU: losses, gradients and weights within 1e-4. */
const TOLERANCE = 1e-4;

// More than one chunk of the recurrences, the last one not full.
const shape = { batch: 1, length: 40 };
const ids = new Int32Array(shape.batch * shape.length);
tinyBatches().fill(ids, shape.length, new Random(3));

type Found = Record<string, ArrayLike<number>>;

/** Every tensor, relative to the largest of its elements, or of the whole if that is far larger. */
function expectAlike(actual: Found, expected: Found): void {
  expect(Object.keys(actual)).toEqual(Object.keys(expected));
  const largest = (list: ArrayLike<number>) => Array.from(list).reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  const whole = Math.max(...Object.values(expected).map(largest));
  for (const [name, list] of Object.entries(expected)) {
    const off = largest(Array.from(list, (x, i) => x - actual[name]![i]!));
    expect(off, name).toBeLessThanOrEqual(TOLERANCE * Math.max(largest(list), 1e-3 * whole));
  }
}

async function onBoth(run: (device: Device) => Promise<Found>): Promise<void> {
  const expected = await run('cpu');
  expectAlike(await run('webgpu'), expected);
}

function tensors(prefix: string, vector: ParameterVector): Found {
  return Object.fromEntries(
    vector.parameters.map(({ name }) => [prefix + name, vector.view(name).slice()] as const),
  );
}

function specOf(kind: string): MixerSpec {
  return kind === 'sliding_window' ? { kind, window: 9 } : linearMixer(kind, tinyParent().config);
}

const twoLayers = () => tinyParent([{ kind: 'attention' }, { kind: 'attention' }]);

/** A teacher, and a student with this mixer in its first layer and all weights trained. */
function pair(spec: MixerSpec, tied = true) {
  const parent = () =>
    tinyParent([{ kind: 'attention' }, { kind: 'attention' }], { tieWordEmbeddings: tied, qkvBias: true });
  const { network } = tinySupernet(parent(), spec);
  const { config, weights } = hybridOf(network, [1, 0]);
  const student = new Network(config, weights);
  return { teacher: parent(), student, trained: gatherWeights(student, () => 1) };
}

const everything: PathLosses = {
  features: { lastWeight: 0.5 },
  vocabulary: { divergence: 1, temperature: 2, crossEntropy: 0.3 },
};

describe.each(linearKinds())('one step with %s', (kind) => {
  const spec = specOf(kind);
  test('of alignment', () =>
    onBoth(async (device) => {
      const branches = tinySupernet(twoLayers(), spec);
      let losses: number[] = [];
      const found = await taken(branches, async () => {
        ({ losses } = await align({
          ...gradientStep,
          branches,
          batches: tinyBatches(),
          shape,
          seed: 3,
          threads: 1,
          device,
        }));
      });
      return { losses, ...Object.fromEntries(found) };
    }));

  test('of features, logits and cross-entropy, all weights, and of AdamW', () =>
    onBoth((device) => oneStep(device, pair(spec), everything)));
});

/** Losses, gradients and weights after a step of AdamW. */
async function oneStep(
  device: Device,
  { teacher, student, trained }: ReturnType<typeof pair>,
  losses: PathLosses,
): Promise<Found> {
  const memory = memoryOf(device);
  const { vector } = trained;
  const options = { teacher, student, trained, shape, losses, memory, threads: 1, logits: 1000 };
  const path = new PathGradient(options);
  // An eps that does not make much of gradients that are all rounding.
  const optimizer = await optimizerFor(memory, { eps: 1e-3 }, 1);
  const gradient = vector.like();
  const moments = freshMoments(vector);
  const parts = await path.compute([0, 0], ids, gradient);
  const norm = await optimizer.step(vector, gradient, moments, 0.01);
  for (const { data } of [vector, gradient, moments.m]) await memory.fetch(data);
  await optimizer.dispose();
  await path.dispose();
  await memory.dispose();
  expect(memory.held).toBe(0);
  return {
    losses: [...Object.values(parts), norm],
    ...tensors('gradient ', gradient),
    ...tensors('moment ', moments.m),
    ...tensors('weight ', vector),
  };
}

test('no work on floats is left to the CPU, whatever the mixer', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'postnas-profile-'));
  const compile = Program.compile.bind(Program);
  const spy = vi
    .spyOn(Program, 'compile')
    .mockImplementation((outputs, options) =>
      compile(outputs, { ...options, profile: join(folder, `of-${spy.mock.calls.length}`) }),
    );
  try {
    for (const kind of [...linearKinds(), 'sliding_window']) {
      await oneStep('webgpu', pair(specOf(kind)), everything);
    }
  } finally {
    spy.mockRestore();
  }
  const ran = readdirSync(folder).flatMap((file) => nodesOn(join(folder, file)));
  rmSync(folder, { recursive: true });
  expect(new Set(ran.map(({ provider }) => provider))).toContain('WebGpuExecutionProvider');
  const left = ran.filter(({ provider, floats }) => floats && provider === 'CPUExecutionProvider');
  expect([...new Set(left.map(({ op }) => op))]).toEqual([]);
});

describe('one step', () => {
  test('of the super network', () =>
    onBoth(async (device) => {
      const branches = tinySupernet();
      const sampling = { rule: 'fixed', path: [1, 0, 1] } as const;
      const found = await taken(branches, () =>
        trainSuperNetwork({
          ...gradientStep,
          branches,
          sampling,
          batches: tinyBatches(),
          shape,
          seed: 3,
          threads: 1,
          device,
        }),
      );
      return Object.fromEntries(found);
    }));

  test('of sliding windows', () =>
    onBoth(async (device) => {
      const given = pair(specOf('sliding_window'), false);
      return oneStep(device, given, { vocabulary: everything.vocabulary! });
    }));

  test("with the teacher's most probable tokens", () =>
    onBoth(async (device) => {
      const folder = mkdtempSync(join(tmpdir(), 'postnas-webgpu-'));
      const { teacher, student, trained } = pair(tinyGla);
      const memory = memoryOf(device);
      const programs = new LayerPrograms(teacher.config, shape, memory, 1);
      const cache = new TeacherCache({ folder, teacher, programs, temperature: 1, logits: 1000 });
      const losses = { vocabulary: { divergence: 1, temperature: 1, crossEntropy: 0 } };
      const topTokens: NonNullable<ConstructorParameters<typeof PathGradient>[0]['topTokens']> = (
        of,
        teach,
      ) => cache.top(of, teach);
      const path = new PathGradient({
        teacher,
        student,
        trained,
        shape,
        losses,
        memory,
        threads: 1,
        topTokens,
      });
      const gradient = trained.vector.like();
      const { loss } = await path.compute([0, 0], ids, gradient);
      await memory.fetch(gradient.data);
      for (const each of [path, programs, memory]) await each.dispose();
      rmSync(folder, { recursive: true });
      return { loss: [loss], ...tensors('', gradient) };
    }));
});

const schedule = { peak: 0.01, warmup: 2, steps: 8, decay: 'cosine', final: 0.1 } as const;

/** Steps of sampled paths, MLPs trained too, by AdamW and Muon. */
function severalSteps(
  device: Device,
  more: { folder?: string; signal?: AbortSignal; onProgress?: () => void },
) {
  const branches = tinySupernet();
  const losses: number[] = [];
  return {
    branches,
    losses,
    trained: trainSuperNetwork({
      branches,
      batches: tinyBatches(),
      shape,
      schedule,
      sampling: { rule: 'coin' },
      accumulate: 2,
      optimizer: { muon: 2, eps: 1e-3, weightDecay: 0.1 },
      seed: 5,
      threads: 1,
      device,
      ...more,
    }),
  };
}

describe('steps in a row', () => {
  test('of sampled paths, gradients accumulated, AdamW and Muon', () =>
    onBoth(async (device) => {
      const { branches, trained } = severalSteps(device, {});
      const { loss } = await trained;
      return { loss: [loss], ...tensors('', branches.vector) };
    }));

  test.each<[Device, Device]>([
    ['cpu', 'webgpu'],
    ['webgpu', 'cpu'],
  ])('begun on %s, resumed on %s', async (first, second) => {
    const folder = mkdtempSync(join(tmpdir(), 'postnas-webgpu-'));
    const controller = new AbortController();
    let steps = 0;
    const onProgress = () => {
      if (++steps === 3) controller.abort();
    };
    const begun = severalSteps(first, { folder, signal: controller.signal, onProgress });
    await expect(begun.trained).rejects.toThrow(/abort/i);
    const resumed = severalSteps(second, { folder });
    expect((await resumed.trained).step).toBe(schedule.steps);
    const whole = severalSteps('cpu', {});
    await whole.trained;
    rmSync(folder, { recursive: true });
    expectAlike(tensors('', resumed.branches.vector), tensors('', whole.branches.vector));
  });

  test('leave nothing behind', async () => {
    const trained = tinySupernet(tinyParent([{ kind: 'attention' }]));
    const { network, vector } = trained;
    const memory = memoryOf('webgpu');
    const losses = { features: { lastWeight: 0 } };
    const options = { teacher: network, student: network, trained, losses, memory, threads: 1 };
    const path = new PathGradient({ ...options, shape: { batch: 1, length: 8 } });
    const held: number[] = [];
    await train({
      stage: 'leak',
      parameters: vector,
      objective: {
        gradient: (_, gradient) => {
          held.push(memory.held);
          return path.compute([1], ids.subarray(0, 8), gradient);
        },
      },
      memory,
      schedule: { ...schedule, steps: 100 },
      seed: 1,
      tokensPerStep: 8,
    });
    // All copies are made in the first step; values of gradients are given back when the next ones come.
    expect(new Set(held.slice(1)).size).toBe(1);
    await path.dispose();
    await memory.dispose();
    expect(memory.held).toBe(0);
  });
});

test('scores of paths', async () => {
  const { network } = tinySupernet();
  const random = new Random(9);
  const rows = Array.from({ length: 5 }, (_, i) => ({
    ids: Array.from({ length: 20 + 7 * i }, () => random.below(64)),
    spans: [
      { from: 4, to: 9 },
      { from: 12, to: 13, candidates: [3, 5, 9] },
    ],
  }));
  const paths = [
    [0, 0, 0],
    [1, 0, 1],
    [1, 1, 1],
  ];
  await onBoth(async (device) => {
    const scorer = new PathScorer(network, { device, threads: 1, logits: 200 });
    const scores = await scorer.score(paths, rows);
    await scorer.dispose();
    const spans = scores.flat(2);
    return {
      logProbs: spans.map(({ logProb }) => logProb),
      greedy: spans.map(({ greedy }) => Number(greedy)),
      candidates: spans.flatMap(({ candidates = [] }) => candidates),
    };
  });
});
