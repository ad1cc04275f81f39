import { memoryOf } from '../../../graph/index.ts';
import type { Checkpoint } from '../../../model/checkpoint.ts';
import type { BatchShape } from '../../../model/layer-programs.ts';
import { countParameters, modelParameters } from '../../../model/parameters.ts';
import { freshMoments } from '../../../train/adamw.ts';
import { optimizerFor } from '../../../train/device-adamw.ts';
import { Random } from '../../../util/random.ts';
import { median } from '../../../util/statistics.ts';
import { Network } from '../../network/network.ts';
import { PathGradient } from '../../network/path-gradient.ts';
import { gatherWeights } from '../../network/trained-weights.ts';
import type { StepSeconds } from '../../train/rates.ts';
import { checkDistillation } from './check.ts';
import type { DistillSettings, Stage } from './settings.ts';
import { shareWeights } from './share-weights.ts';

/** What a distillation will take on this machine: seconds of a step by a few of them on the first layers, memory by what is held. */

/** Layers that are timed: of them all where a model has no more. */
const FEW = 1;
const MORE = 3;

/** Steps that are timed after a first one, which compiles. */
const STEPS = 3;

/** Seconds after which no further step is timed. */
const PATIENCE = 20;

/**
 * @param settings of which the last stage is timed
 * @throws InputError as `distill` does
 */
export async function measureDistillation(settings: DistillSettings): Promise<StepSeconds> {
  const { from, to, stages } = checkDistillation(settings);
  const stage = stages.at(-1)!;
  const layers = to.config.layers.length;
  const sizes = layers <= MORE ? [layers] : [FEW, MORE];
  const timed: number[][] = [];
  for (const [done, size] of sizes.entries()) {
    settings.onProgress?.({ stage: 'time a few steps', done, total: sizes.length, unit: 'trainings' });
    timed.push(await timeSteps(settings, stage, first(from, size), first(to, size)));
  }
  const { length: total } = sizes;
  settings.onProgress?.({ stage: 'time a few steps', done: total, total, unit: 'trainings' });
  const ofAll = (pick: (seconds: readonly number[]) => number): number => {
    const [few, more] = timed.map(pick) as [number, number?];
    if (more === undefined) return few;
    // Noise can make one layer slower than three: a layer takes at least half of its share of these.
    const perLayer = Math.max((more - few) / (MORE - FEW), more / MORE / 2);
    return more + perLayer * (layers - MORE);
  };
  const middle = ofAll(median);
  const [low, high] = [ofAll((all) => Math.min(...all)), ofAll((all) => Math.max(...all))];
  return { median: middle, low: Math.min(low, middle), high: Math.max(high, middle) };
}

function first({ config, weights }: Checkpoint, size: number): Network {
  return new Network({ ...config, layers: config.layers.slice(0, size) }, weights);
}

async function timeSteps(
  { batches, threads, signal, device }: DistillSettings,
  { training: shape, losses, rateOf }: Stage,
  teacher: Network,
  student: Network,
): Promise<number[]> {
  shareWeights(student, teacher);
  const trained = gatherWeights(student, rateOf);
  const memory = memoryOf(device);
  const path = new PathGradient({ ...{ memory, teacher, student, trained, shape, losses, threads, signal } });
  const optimizer = await optimizerFor(memory, { weightDecay: 0 }, threads);
  const [gradient, moments] = [trained.vector.like(), freshMoments(trained.vector)];
  const ownPath = student.branches.map(() => 0);
  const random = new Random(0);
  const ids = new Int32Array(shape.batch * shape.length);
  const seconds: number[] = [];
  try {
    const begun = performance.now();
    for (let step = 0; step <= STEPS; step++) {
      signal?.throwIfAborted();
      const start = performance.now();
      batches.fill(ids, shape.length, random);
      await path.compute(ownPath, ids, gradient);
      await optimizer.step(trained.vector, gradient, moments, 1e-6);
      if (step > 0) seconds.push((performance.now() - start) / 1000);
      if (step > 0 && performance.now() - begun > 1000 * PATIENCE) break;
    }
    return seconds;
  } finally {
    await optimizer.dispose();
    await path.dispose();
    await memory.dispose();
  }
}

/** Of logits and what is made of them, and of programs; found beside the resident set of trainings. */
const WORKSPACE = 6e8;

/** Bytes that the last stage holds at most, near enough: weights, masters with gradient and moments, hidden states. */
export function distillationBytes(settings: DistillSettings): number {
  const { from, to, stages } = checkDistillation(settings);
  const { training, rateOf } = stages.at(-1)!;
  const { layers } = to.config;
  const all = countParameters(modelParameters(to.config));
  const trained = modelParameters(to.config).reduce((sum, { name, shape }) => {
    const [, layer, rest] = /^model\.layers\.(\d+)\.(.*)$/.exec(name) ?? [];
    const own = rest?.startsWith('self_attn.')
      ? { branch: 0, name: rest.slice('self_attn.'.length) }
      : { name: rest };
    const weight = layer === undefined ? { name } : { layer: Number(layer), ...own, name: own.name! };
    return rateOf(weight) === undefined ? sum : sum + shape.reduce((a, b) => a * b, 1);
  }, 0);
  const shared = countParameters(modelParameters(from.config));
  return (
    4 * (Math.max(all, shared) + 4 * trained) + hiddenBytes(training, layers.length, to.config) + WORKSPACE
  );
}

/** Of the hidden states of teacher and student after all layers. */
function hiddenBytes(
  { batch, length }: BatchShape,
  layers: number,
  { hiddenSize }: { hiddenSize: number },
): number {
  return 2 * (layers + 1) * batch * length * hiddenSize * 4;
}
