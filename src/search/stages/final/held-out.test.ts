import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { tinyBatches, tinyParent } from '../../../../test/support/tiny-network.ts';
import { evaluate, input, logSoftmax, memoryOf, ndarray } from '../../../graph/index.ts';
import type { MixerSpec } from '../../../mixers/spec.ts';
import { openCheckpoint, saveCheckpoint } from '../../../model/checkpoint.ts';
import { decoder, head, weightInputs } from '../../../model/decoder.ts';
import type { TensorSource } from '../../../model/tensor-source.ts';
import type { ProgressEvent } from '../../../util/progress.ts';
import { Random } from '../../../util/random.ts';
import { hybridOf } from '../../network/hybrid.ts';
import { Network } from '../../network/network.ts';
import { PathGradient } from '../../network/path-gradient.ts';
import { gatherWeights } from '../../network/trained-weights.ts';
import { finalDefaults } from './defaults.ts';
import { distill } from './distill.ts';
import { HeldOutDivergence } from './held-out-divergence.ts';
import type { DistillSettings } from './settings.ts';

const WINDOW: MixerSpec = { kind: 'sliding_window', window: 2, sinks: 1 };
const layersOf = (spec: MixerSpec): MixerSpec[] => [spec, { kind: 'attention' }, spec];

let dir: string;
let teacher: string;
let student: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'postnas-held-out-'));
  [teacher, student] = [join(dir, 'teacher'), join(dir, 'student')];
  const more = { tieWordEmbeddings: true, maxPositionEmbeddings: 16 };
  const parent = tinyParent(undefined, more);
  for (const [folder, layers] of [
    [teacher, parent.config.layers],
    [student, layersOf(WINDOW)],
  ] as const) {
    const { config, weights } = hybridOf(parent, [0, 0, 0]);
    await saveCheckpoint(folder, { ...config, layers }, weights, { dtype: 'F32' });
  }
});
afterAll(() => rmSync(dir, { recursive: true }));

const shape = { batch: 2, length: 8 };
const none = { ...shape, steps: 0, rate: 1 };
const heldOut = { ...tinyBatches(), identity: 'held out' };
const settings = (out: string, more: Partial<DistillSettings> = {}): DistillSettings => ({
  ...{ teacher, student, out: join(dir, out), seed: 1, batches: tinyBatches(), heldOut },
  ...{ features: none, logits: none, temperature: 1, threads: 1 },
  all: { ...shape, steps: 40, rate: 2e-3, bodyRate: 1, crossEntropy: 0 },
  ...more,
});

const networkOf = (folder: string) => {
  const { config, weights } = openCheckpoint(folder);
  return new Network(config, weights);
};
const changed = (a: TensorSource, b: TensorSource) =>
  a.names().filter((name) => !bytes(a.read(name)).equals(bytes(b.read(name))));
const bytes = ({ buffer, byteOffset, byteLength }: Float32Array<ArrayBuffer>) =>
  Buffer.from(buffer, byteOffset, byteLength);

describe('the divergence on held-out text', () => {
  /** Log-probabilities of all places of rows, in float64. */
  function said(network: Network, ids: Int32Array): number[][] {
    const { config } = network;
    const all = Object.fromEntries([
      ...Object.entries(network.outer),
      ...network.branches.flatMap((_, layer) =>
        Object.entries(network.layerValues(layer, 0)).map(
          ([name, value]) => [`model.layers.${layer}.${name}`, value] as const,
        ),
      ),
    ]);
    const weights = weightInputs(Object.entries(all).map(([name, { dims }]) => ({ name, shape: [...dims] })));
    const tokens = input('ids', 'int64', [shape.batch, shape.length]);
    const logits = head(config, decoder(config, tokens, weights, { form: 'chunk' }), weights);
    const feeds = new Map([
      [tokens, ndarray([shape.batch, shape.length], [...ids])],
      ...Object.entries(weights).map(
        ([name, tensor]) =>
          [tensor, ndarray(all[name]!.dims, [...(all[name]!.data as Float32Array)])] as const,
      ),
    ]);
    const [found] = evaluate([logSoftmax(logits)], feeds);
    const width = config.vocabSize;
    return Array.from(ids, (_, i) => [...found!.data.slice(i * width, (i + 1) * width)]);
  }

  test.each([false, true])(
    'is that of all tokens of the vocabulary; of answers alone: %s',
    async (answersOnly) => {
      const random = new Random(5);
      const rows: { ids: Int32Array; answers: Uint8Array }[] = [];
      const batches: DistillSettings['batches'] = {
        identity: 'noted',
        fill(out, width, from, answers) {
          heldOut.fill(out, width, from);
          answers?.forEach((_, i) => {
            answers[i] = random.below(2);
          });
          rows.push({ ids: out.slice(), answers: answers?.slice() ?? new Uint8Array(out.length).fill(1) });
        },
      };
      const [one, other] = [networkOf(teacher), networkOf(student)];
      const judge = new HeldOutDivergence({
        ...{ teacher: one, student: other, batches, shape, answersOnly },
        ...{ memory: memoryOf('cpu'), threads: 1, tokens: 20 },
      });
      expect(judge.tokens).toBe(32);
      const found = await judge.measure();
      // The same again, as the student has not moved.
      expect(await judge.measure()).toEqual(found);
      await judge.dispose();
      const sums = { divergence: 0, counted: 0, crossEntropy: 0, asked: 0 };
      for (const { ids, answers } of rows) {
        const [p, q] = [said(one, ids), said(other, ids)];
        for (const i of ids.keys()) {
          const isLast = i % shape.length === shape.length - 1;
          const asked = !isLast && answers[i + 1] ? 1 : 0;
          const counted = answersOnly ? asked : 1;
          sums.counted += counted;
          sums.asked += asked;
          sums.divergence += counted * p[i]!.reduce((sum, x, k) => sum + Math.exp(x) * (x - q[i]![k]!), 0);
          if (asked) sums.crossEntropy -= q[i]![ids[i + 1]!]!;
        }
      }
      expect(found.divergence).toBeGreaterThan(1e-3);
      expect(found.divergence).toBeCloseTo(sums.divergence / sums.counted, 5);
      expect(found.crossEntropy).toBeCloseTo(sums.crossEntropy / sums.asked, 4);
    },
  );
});

describe('a student of windows, without linear mixers', () => {
  test('is trained by the last stage alone, as the defaults have it', () => {
    const { layers } = openCheckpoint(student).config;
    const small = finalDefaults({ hiddenSize: 64 }, layers, 2048);
    expect(small).toMatchObject({
      featureSteps: 0,
      logitSteps: 0,
      allSteps: 400,
      allRate: 1e-3,
      embeddings: true,
    });
    const large = finalDefaults({ hiddenSize: 576 }, layers, 1024);
    expect(large).toMatchObject({
      featureSteps: 0,
      logitSteps: 0,
      allSteps: 489,
      crossEntropy: 0,
      embeddings: false,
    });
    expect(large.allRate * large.bodyRate).toBeCloseTo(2.5e-5, 12);
  });

  test('with linear mixers alignment stays below its limit', () => {
    const linear = finalDefaults({ hiddenSize: 576 }, undefined, 1024);
    expect(linear.featureSteps).toBe(195);
    expect(linear.logitSteps).toBe(196);
    expect(finalDefaults({ hiddenSize: 64 }, undefined, 2048)).toMatchObject({
      featureSteps: 200,
      logitSteps: 400,
    });
  });

  test('the curve falls, is told of while it trains, and forecasts', async () => {
    const events: ProgressEvent[] = [];
    const { all } = settings('');
    const { stages } = await distill(
      settings('curve', {
        all: { ...all, batch: 32, steps: 60 },
        onProgress: (event) => events.push(event),
      }),
    );
    const [{ curve, ended, more }] = stages as [(typeof stages)[0]];
    // A measurement reads 2,048 tokens and may take 15 of 100 that are trained on: of these few there is one.
    expect(curve.map(({ tokens }) => tokens)).toEqual([0, 15_360]);
    expect(curve[1]!.divergence).toBeLessThan(0.9 * curve[0]!.divergence);
    expect(curve[1]!.seconds).toBeGreaterThan(0);
    expect([ended, more]).toEqual(['steps', null]);
    expect(events.at(-1)!.values!['held-out KL']).toBe(curve[1]!.divergence);
    expect(events.at(-1)!.note).toBe('what more training would bring cannot be told yet');
  });

  test('embeddings that are not trained stay as they are, and tied', async () => {
    const { all } = settings('');
    await distill(settings('frozen', { all: { ...all, embeddings: false } }));
    const after = openCheckpoint(join(dir, 'frozen', 'hybrid'));
    const before = openCheckpoint(student).weights;
    expect(changed(after.weights, before).sort()).toEqual(
      before
        .names()
        .filter((name) => name !== 'model.embed_tokens.weight')
        .sort(),
    );
    expect(after.config.tieWordEmbeddings).toBe(true);
  });

  test('a student in memory gets the same weights as one in a folder', async () => {
    await distill(settings('folder'));
    await distill(settings('memory', { student: openCheckpoint(student) }));
    const [one, other] = ['folder', 'memory'].map(
      (name) => openCheckpoint(join(dir, name, 'hybrid')).weights,
    );
    expect(changed(one!, other!)).toEqual([]);
  });

  test('with patience a rate that is too high ends the stage, and the best weights are written', async () => {
    const { all } = settings('');
    const wild = { all: { ...all, batch: 32, rate: 0.5, steps: 400 }, patience: 2 };
    const { stages } = await distill(settings('wild', wild));
    const [{ ended, steps, curve }] = stages as [(typeof stages)[0]];
    expect(ended).toBe('patience');
    expect(steps).toBeLessThan(400);
    const best = Math.min(...curve.map(({ divergence }) => divergence));
    const judge = new HeldOutDivergence({
      ...{
        teacher: networkOf(teacher),
        student: networkOf(join(dir, 'wild', 'hybrid')),
        batches: heldOut,
        shape,
      },
      ...{ memory: memoryOf('cpu'), threads: 1 },
    });
    expect((await judge.measure()).divergence).toBeCloseTo(best, 5);
    await judge.dispose();
  });

  test('by time: as many steps as fit, and the same command does nothing more', async () => {
    const { all } = settings('');
    const timed = { all: { ...all, steps: 0, seconds: 1.5 } };
    const { stages } = await distill(settings('timed', timed));
    const [{ ended, steps, tokens }] = stages as [(typeof stages)[0]];
    expect([ended, tokens]).toEqual(['time', steps * 16]);
    expect(steps).toBeGreaterThan(1);
    expect((await distill(settings('timed', timed))).stages[0]).toMatchObject({ steps });
  });
});

test('alignment beyond its limit is done, with a notice', async () => {
  const { adviceOn } = await import('./check.ts');
  const stage = (steps: number) => ({
    name: 'features' as const,
    training: { ...shape, steps, rate: 1 },
    ...{ losses: {}, rateOf: () => 1 },
  });
  expect(adviceOn([stage(31_250)])).toEqual([]);
  expect(adviceOn([stage(31_251)])[0]).toMatch(/^stage features has 500,016 tokens: beyond 500,000/);
});

test('nothing to learn is refused', async () => {
  const { all } = settings('');
  await expect(distill(settings('nothing', { all: { ...all, divergence: 0 } }))).rejects.toThrow(
    /both weights of the last stage are 0/,
  );
  expect(existsSync(join(dir, 'nothing'))).toBe(false);
});

describe('answers alone', () => {
  test('the gradient is that of the weighed places: whole at equal weights, and additive', async () => {
    const [one, other] = [networkOf(teacher), networkOf(student)];
    const trained = gatherWeights(other, () => 1);
    const ids = new Int32Array(16);
    tinyBatches().fill(ids, 8, new Random(3));
    const losses = { vocabulary: { divergence: 1, temperature: 2, crossEntropy: 0 } };
    const path = new PathGradient({ teacher: one, student: other, trained, shape, losses, threads: 1 });
    const of = async (counted?: Float32Array) => {
      const gradient = trained.vector.like();
      const { loss } = await path.compute([0, 0, 0], ids, gradient, undefined, undefined, counted);
      return [loss, ...gradient.data];
    };
    const some = Float32Array.from(ids, (_, i) => (i % 3 === 0 ? 1 / 16 : 0));
    const rest = some.map((weight) => 1 / 16 - weight);
    const [whole, equal, first, second] = [
      await of(),
      await of(some.map(() => 1 / 16)),
      await of(some),
      await of(rest),
    ];
    for (const [i, value] of whole.entries()) {
      expect(equal[i]).toBeCloseTo(value, 5);
      expect(first[i]! + second[i]!).toBeCloseTo(value, 5);
    }
    expect(first[0]).toBeGreaterThan(0);
    expect(await of(new Float32Array(16))).toEqual(whole.map(() => 0));
    await path.dispose();
  });

  test('are what a training counts, in the text as in the divergence, and another training', async () => {
    const { all } = settings('');
    const answered = (marks: number): DistillSettings['batches'] => ({
      identity: `answers ${marks}`,
      fill(out, width, random, answers) {
        tinyBatches().fill(out, width, random);
        answers?.forEach((_, i) => {
          answers[i] = i % width < marks ? 1 : 0;
        });
      },
    });
    const run = async (out: string, batches: DistillSettings['batches'], answersOnly: boolean) => {
      const more = { batches, answersOnly, all: { ...all, steps: 5, crossEntropy: 0.5 } };
      await distill(settings(out, more));
      return openCheckpoint(join(dir, out, 'hybrid')).weights;
    };
    const [ignored, some, fewer] = [
      await run('answers ignored', answered(4), false),
      await run('answers', answered(4), true),
      await run('fewer answers', answered(2), true),
    ];
    expect(changed(ignored, some).length).toBeGreaterThan(0);
    expect(changed(some, fewer).length).toBeGreaterThan(0);
    expect(changed(ignored, await run('answers ignored again', answered(2), false))).toEqual([]);
  });
});
