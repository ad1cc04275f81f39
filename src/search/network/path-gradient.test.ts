import { describe, expect, test } from 'vitest';
import { tinyBatches, tinyGla, tinyParent, tinySupernet } from '../../../test/support/tiny-network.ts';
import {
  add,
  div,
  evaluate,
  float32,
  grad,
  input,
  logSoftmax,
  mean,
  mul,
  type NdArray,
  ndarray,
  pick,
  reshape,
  slice,
  sub,
  type Tensor,
  unsqueeze,
  type Value,
  type Values,
} from '../../graph/index.ts';
import type { MixerSpec } from '../../mixers/spec.ts';
import { decoderLayer, embed, head } from '../../model/decoder.ts';
import { headValues } from '../../model/layer-programs.ts';
import { divergence } from '../../train/losses.ts';
import { Random } from '../../util/random.ts';
import type { Path } from '../judge/scorer.ts';
import { hybridOf } from './hybrid.ts';
import { Network } from './network.ts';
import { PathGradient, type PathLosses } from './path-gradient.ts';
import { gatherWeights, type TrainedWeights } from './trained-weights.ts';

const shape = { batch: 2, length: 6 };
const ids = new Int32Array(shape.batch * shape.length);
tinyBatches().fill(ids, shape.length, new Random(3));

interface Given {
  teacher: Network;
  student: Network;
  trained: TrainedWeights;
  path: Path;
  losses: PathLosses;
  /** Of which rows windows count, by layer of the student. */
  kept?: ReadonlyMap<number, number[]>;
}

/** Loss and gradient of a path as one float64 graph, all of it differentiated at once. */
function atOnce({ teacher, student, trained: { vector }, path, losses, kept }: Given) {
  const feeds = new Map<Tensor, NdArray>();
  const known = new Map<Value['data'], Tensor>();
  const views = new Map<Tensor, Float32Array>();
  const weight = (value: Value): Tensor => {
    const data = value.data as Float32Array;
    const before = known.get(data);
    if (before) return before;
    const x = input(`w${known.size}`, 'float32', value.dims);
    feeds.set(x, ndarray(value.dims, data));
    known.set(data, x);
    if (data.buffer === vector.data.buffer) views.set(x, data);
    return x;
  };
  const weights = (values: Values) =>
    Object.fromEntries(Object.entries(values).map(([name, value]) => [name, weight(value)]));
  const tokens = input('ids', 'int64', [shape.batch, shape.length]);
  feeds.set(tokens, ndarray([shape.batch, shape.length], ids));
  const states = (network: Network, along: Path) => {
    const list = [embed(tokens, { 'model.embed_tokens.weight': weight(network.embedding) })];
    for (const [layer, branch] of along.entries()) {
      const { spec } = network.branches[layer]![branch]!;
      const own = weights(network.layerValues(layer, branch));
      const rows = network === student ? kept?.get(layer) : undefined;
      const windowKept = rows && input(`kept ${layer}`, 'float32', [shape.batch]);
      if (windowKept) feeds.set(windowKept, ndarray([shape.batch], rows));
      const options = { form: 'recurrent', ...(windowKept && { windowKept }) } as const;
      list.push(decoderLayer(network.config, spec, list.at(-1)!, own, options).y);
    }
    return list;
  };
  const taught = states(
    teacher,
    teacher.branches.map(() => 0),
  );
  const students = states(student, path);
  const count = path.length;
  const isTrained = (value: Value) => (value.data as Float32Array).buffer === vector.data.buffer;
  const first = isTrained(student.embedding)
    ? 0
    : path.findIndex((branch, layer) => Object.values(student.layerValues(layer, branch)).some(isTrained));
  const terms: Tensor[] = [];
  if (losses.features) {
    for (let layer = first; layer < count; layer++) {
      const error = sub(students[layer + 1]!, taught[layer + 1]!);
      const target = taught[layer + 1]!;
      const relative = div(mean(mul(error, error)), add(mean(mul(target, target)), 1e-8));
      terms.push(mul(relative, 1 / (count - first) + (layer === count - 1 ? losses.features.lastWeight : 0)));
    }
  }
  if (losses.vocabulary) {
    const { divergence: share, temperature, crossEntropy } = losses.vocabulary;
    const logits = (network: Network, x: Tensor) =>
      head(network.config, x, weights(headValues(network.config, network.outer)));
    const [right, said] = [logits(teacher, taught[count]!), logits(student, students[count]!)];
    const tempered = (z: Tensor) => logSoftmax(div(z, temperature));
    if (share > 0) {
      const kl = mean(divergence(tempered(right), tempered(said)));
      terms.push(mul(kl, share * temperature ** 2));
    }
    if (crossEntropy > 0) {
      const all = logSoftmax(slice(said, 1, 0, shape.length - 1));
      const next = unsqueeze(slice(tokens, 1, 1, shape.length), -1);
      terms.push(mul(mean(pick(all, next)), -crossEntropy));
    }
  }
  const loss = terms.reduce((a, b) => add(a, b));
  const wanted = [...views.keys()];
  const [value, ...slopes] = evaluate([loss, ...grad(loss, wanted)], feeds);
  const gradient = new Float64Array(vector.size);
  for (const [i, x] of wanted.entries()) gradient.set(slopes[i]!.data, views.get(x)!.byteOffset / 4);
  return { loss: value!.data[0]!, gradient };
}

/** The parent on its own, and a network with two branches beside each of its layers: linear, and a window. */
function networks(more: Parameters<typeof tinyParent>[1] = {}) {
  const parent = () => tinyParent(undefined, more);
  const branches = tinySupernet(parent());
  const student = branches.network;
  for (let layer = 0; layer < 3; layer++) {
    const { weights } = student.branches[layer]![0]!;
    student.addBranch(layer, { spec: { kind: 'sliding_window', window: 2 }, weights });
  }
  return { teacher: parent(), student };
}

/** A student with one mixer per layer. */
function hybrid(path: Path, more: Parameters<typeof tinyParent>[1] = {}) {
  const { teacher, student } = networks(more);
  const { config, weights } = hybridOf(student, path);
  return { teacher, student: new Network(config, weights) };
}

const kl = { divergence: 0.7, temperature: 2, crossEntropy: 0 };
const both = { divergence: 1, temperature: 1, crossEntropy: 0.3 };
const features = { lastWeight: 0.5 };
const everything = () => 1;
const mixers = ({ branch, layer }: { branch?: number; layer?: number }) =>
  branch !== undefined && layer! < 2 ? 1 : undefined;
const linear = ({ branch }: { branch?: number }) => (branch === 1 ? 1 : undefined);
const aroundMixers = ({ layer, branch, name }: { layer?: number; branch?: number; name: string }) =>
  branch === 1 || (layer !== undefined && /mlp|post/.test(name)) ? 1 : undefined;

describe('layer by layer it is the gradient of the whole path', () => {
  test.each<[string, () => Given, number?]>([
    [
      'linear branches, past a window that is not trained',
      () => {
        const { teacher, student } = networks();
        const trained = gatherWeights(student, linear);
        return { teacher, student, trained, path: [2, 1, 2], losses: { features } };
      },
    ],
    [
      'branches and MLPs',
      () => {
        const { teacher, student } = networks();
        return {
          teacher,
          student,
          trained: gatherWeights(student, aroundMixers),
          path: [1, 0, 2],
          losses: { features },
        };
      },
    ],
    [
      'mixers by the logits, tied',
      () => {
        const { teacher, student } = hybrid([1, 1, 0], { tieWordEmbeddings: true });
        return {
          teacher,
          student,
          trained: gatherWeights(student, mixers),
          path: [0, 0, 0],
          losses: { vocabulary: kl },
        };
      },
      200,
    ],
    [
      'all weights by everything',
      () => {
        const { teacher, student } = hybrid([0, 1, 2], { qkvBias: true, mlpBias: true });
        const losses = { features, vocabulary: both };
        return { teacher, student, trained: gatherWeights(student, everything), path: [0, 0, 0], losses };
      },
      300,
    ],
    [
      'all weights, head and embedding tied, by cross-entropy',
      () => {
        const { teacher, student } = hybrid([1, 0, 1], { tieWordEmbeddings: true });
        const losses = { vocabulary: { divergence: 0, temperature: 1, crossEntropy: 1 } };
        return { teacher, student, trained: gatherWeights(student, everything), path: [0, 0, 0], losses };
      },
    ],
    [
      'linear mixers beside windows that are left out of some rows, a frozen layer of both between them',
      () => {
        const [teacher, student] = [tinyParent(), tinyParent()];
        const spec: MixerSpec = { kind: 'window_linear', window: 2, sinks: 1, linear: tinyGla };
        const { vector } = tinySupernet(student, spec);
        for (const layer of [0, 1, 2]) vector.view(`${layer}.linear_gate`).fill(0.5);
        const ofBranch = ({ branch, layer }: { branch?: number; layer?: number }) =>
          branch === 1 && layer !== 1 ? 1 : undefined;
        const trained = gatherWeights(student, ofBranch);
        const kept = new Map([
          [0, [1, 0]],
          [1, [0, 1]],
          [2, [0, 0]],
        ]);
        return { teacher, student, trained, path: [1, 1, 1], losses: { features, vocabulary: both }, kept };
      },
    ],
    [
      'norms after mixers and MLPs, and over all heads; GELU',
      () => {
        const form = { norms: 'after', qkNorm: true, qkNormOfAll: true, activation: 'gelu_tanh' } as const;
        const { teacher, student } = hybrid([1, 0, 1], form);
        const losses = { features, vocabulary: both };
        return { teacher, student, trained: gatherWeights(student, everything), path: [0, 0, 0], losses };
      },
      300,
    ],
    [
      'norms around both',
      () => {
        const { teacher, student } = hybrid([0, 1, 2], { norms: 'around', tieWordEmbeddings: true });
        const losses = { features, vocabulary: both };
        return { teacher, student, trained: gatherWeights(student, everything), path: [0, 0, 0], losses };
      },
    ],
    [
      'the head alone',
      () => {
        const { teacher, student } = hybrid([1, 0, 1]);
        const trained = gatherWeights(student, ({ name }) => (name === 'lm_head.weight' ? 1 : undefined));
        return { teacher, student, trained, path: [0, 0, 0], losses: { vocabulary: both } };
      },
    ],
  ])('%s', async (_, given, logits) => {
    const { path, kept, ...rest } = given();
    const expected = atOnce({ path, ...rest, ...(kept && { kept }) });
    const { vector } = rest.trained;
    const before = vector.data.slice();
    const rows = new Map(
      [...(kept ?? [])].map(([layer, each]) => [layer, float32(Float32Array.from(each), [shape.batch])]),
    );
    const found: Float32Array[] = [];
    // Everything computed again, everything handed over, and what there is room for: the top layer or two.
    for (const activations of [0, Number.POSITIVE_INFINITY, 6000]) {
      const step = new PathGradient({ ...rest, shape, threads: 1, logits, activations, largeProducts: 1 });
      const gradient = vector.like();
      // It holds every element, whatever was there.
      gradient.data.fill(7);
      const { loss, ...parts } = await step.compute(path, ids, gradient, () => {}, rows);
      await step.dispose();
      expect(loss).toBeCloseTo(expected.loss, 4);
      for (const part of Object.values(parts)) expect(part).toBeGreaterThan(0);
      expect(vector.data).toEqual(before);
      for (const { name } of vector.parameters) {
        const start = vector.start(name);
        const slopes = [...gradient.view(name).keys()].map((i) => expected.gradient[start + i]!);
        const off = slopes.map((slope, i) => Math.abs(slope - gradient.view(name)[i]!));
        const largest = Math.max(...slopes.map(Math.abs));
        expect(Math.max(...off), name).toBeLessThanOrEqual(1e-3 * largest + 1e-7);
      }
      found.push(gradient.data);
    }
    expect(Math.max(...expected.gradient)).toBeGreaterThan(1e-3);
    const largest = Math.max(...found[0]!.map(Math.abs));
    for (const other of found.slice(1)) {
      const off = Math.max(...other.map((slope, i) => Math.abs(slope - found[0]![i]!)));
      expect(off).toBeLessThanOrEqual(1e-5 * largest);
    }
  });
});

test('what the teacher is known to say takes the place of its hidden states', async () => {
  const { teacher, student } = hybrid([1, 0, 1]);
  const trained = gatherWeights(student, everything);
  const { vector } = trained;
  const options = { teacher, student, trained, shape, losses: { vocabulary: kl }, threads: 1, logits: 300 };
  const [asked, told] = [vector.like(), vector.like()];
  const first = new PathGradient(options);
  const { loss } = await first.compute([0, 0, 0], ids, asked);
  await first.dispose();
  // All tokens, in the order of the vocabulary.
  const k = teacher.config.vocabSize;
  const logProbs = new Float32Array(ids.length * k);
  {
    const x = states(teacher);
    for (let row = 0; row < ids.length; row++) logProbs.set(x.subarray(row * k, (row + 1) * k), row * k);
  }
  const second = new PathGradient({
    ...options,
    topTokens: async () => ({ ids: Int32Array.from(logProbs, (_, i) => i % k), logProbs, k }),
  });
  const known = await second.compute([0, 0, 0], ids, told);
  await second.dispose();
  expect(known.loss).toBeCloseTo(loss, 4);
  const off = Math.max(...told.data.map((g, i) => Math.abs(g - asked.data[i]!)));
  expect(off).toBeLessThan(1e-4);
});

/** Log-probabilities of a network at the temperature of `kl`, [N, V]. */
function states(network: Network): Float32Array {
  const { config } = network;
  const feeds = new Map<Tensor, NdArray>();
  const given = (values: Values) =>
    Object.fromEntries(
      Object.entries(values).map(([name, { data, dims }]) => {
        const x = input(`${feeds.size}`, 'float32', dims);
        feeds.set(x, ndarray(dims, data as Float32Array));
        return [name, x];
      }),
    );
  const tokens = input('ids', 'int64', [shape.batch, shape.length]);
  feeds.set(tokens, ndarray([shape.batch, shape.length], ids));
  const outer = given(network.outer);
  let x = embed(tokens, outer);
  for (const [layer, [own]] of network.branches.entries()) {
    x = decoderLayer(config, own!.spec as MixerSpec, x, given(network.layerValues(layer, 0)), {
      form: 'recurrent',
    }).y;
  }
  const [result] = evaluate([reshape(logSoftmax(div(head(config, x, outer), kl.temperature)), [-1])], feeds);
  return Float32Array.from(result!.data);
}

test('nothing trained on the path: no loss, no gradient', async () => {
  const { teacher, student } = networks();
  const trained = gatherWeights(student, linear);
  const gradient = trained.vector.like();
  gradient.data.fill(7);
  const step = new PathGradient({ teacher, student, trained, shape, losses: { features }, threads: 1 });
  expect(await step.compute([0, 2, 0], ids, gradient)).toEqual({ loss: 0 });
  expect(new Set(gradient.data)).toEqual(new Set([0]));
});
