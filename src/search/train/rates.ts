import type { Device } from '../../graph/index.ts';
import type { MixerSpec } from '../../mixers/spec.ts';
import type { BatchShape } from '../../model/layer-programs.ts';
import type { Checkpoint } from '../../model/read-checkpoint.ts';
import type { TokenBatches } from '../../train/batches.ts';
import type { OnProgress, ProgressEvent } from '../../util/progress.ts';
import { median } from '../../util/statistics.ts';
import { BranchWeights } from '../network/branches.ts';
import { Network } from '../network/network.ts';
import { align } from './align.ts';
import { scheduleOf } from './settings.ts';
import { trainSuperNetwork } from './super-network.ts';

/** How fast a machine trains a model's blocks, found in seconds on its first layers alone. */

export interface RateSettings {
  /** The parent. */
  checkpoint: Pick<Checkpoint, 'config' | 'weights'>;
  /** What takes the place of attention in all layers. */
  mixer: MixerSpec;
  batches: TokenBatches;
  align: BatchShape;
  train: BatchShape;
  threads?: number;
  device?: Device;
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

/** Seconds of a step of the whole model. */
export interface StepSeconds {
  median: number;
  /** By the fastest and by the slowest step that was timed. */
  low: number;
  high: number;
}

/** Layers that are timed: of them all where a model has no more. The cost of another layer is their difference. */
const FEW = 1;
const MORE = 2;

/** Tokens of a timed step at most: a processor takes as long for each token of a larger one. A GPU gets whole steps. */
const TOKENS = 1024;

/** Steps that are timed after a first one, which compiles. */
const STEPS = 4;

/** Seconds after which no further step of a kind is timed, so that large models get an answer, too. */
const PATIENCE = 3;

/** Seconds after which each kind that is left is timed by one step: on a machine that has other work, too. */
const LIMIT = 15;

/**
 * Times a few steps of alignment and of training through the model, with fewer rows, on one layer and on two, and extends
 * the difference to all layers and rows. Layers of other kinds, of which hybrids have some, are taken to cost as much as the first ones.
 */
export async function measureSteps(
  settings: RateSettings,
): Promise<{ align: StepSeconds; train: StepSeconds }> {
  const { config } = settings.checkpoint;
  const layers = config.layers.length;
  const sizes = layers <= MORE ? [layers] : [FEW, MORE];
  const kinds = ['align', 'train'] as const;
  const timed = { align: [] as number[][], train: [] as number[][] };
  const deadline = performance.now() + 1000 * LIMIT;
  let done = 0;
  const tell = () => {
    const total = sizes.length * kinds.length;
    settings.onProgress?.({ stage: 'time a few steps', done, total, unit: 'trainings' });
  };
  tell();
  for (const size of sizes) {
    const { weights } = settings.checkpoint;
    const network = new Network({ ...config, layers: config.layers.slice(0, size) }, weights);
    for (const kind of kinds) {
      settings.signal?.throwIfAborted();
      timed[kind].push(await timeSteps(settings, network, kind, deadline));
      done++;
      tell();
    }
  }
  const ofAll = (kind: (typeof kinds)[number], pick: (seconds: readonly number[]) => number): number => {
    const [few, more] = timed[kind].map(pick) as [number, number?];
    if (more === undefined) return few;
    // Noise can make one layer slower than two: a layer takes at least half of its share of these.
    const perLayer = Math.max((more - few) / (MORE - FEW), more / MORE / 2);
    return more + perLayer * (layers - MORE);
  };
  const spread = (kind: (typeof kinds)[number]): StepSeconds => {
    const all = [Math.min, Math.max].map((extreme) => ofAll(kind, (seconds) => extreme(...seconds)));
    const middle = ofAll(kind, median);
    return { median: middle, low: Math.min(middle, ...all), high: Math.max(middle, ...all) };
  };
  return { align: spread('align'), train: spread('train') };
}

/** Seconds of each timed step on a network of few layers, which gets fresh branches. */
async function timeSteps(
  { mixer, batches, threads, device, signal, ...shapes }: RateSettings,
  network: Network,
  kind: 'align' | 'train',
  deadline: number,
): Promise<number[]> {
  const branches = new BranchWeights(
    network,
    network.branches.map((_, layer) => layer),
    mixer,
  );
  branches.initialise(0);
  const enough = new AbortController();
  const ends: number[] = [];
  const onProgress = ({ values }: ProgressEvent) => {
    // Only a whole step has a loss.
    if (values?.loss === undefined) return;
    const now = performance.now();
    ends.push(now);
    if (ends.length > 1 && (now - ends[0]! > 1000 * PATIENCE || now > deadline)) enough.abort();
  };
  const { batch: rows, length } = shapes[kind];
  const batch = device === 'webgpu' ? rows : Math.min(rows, Math.max(1, Math.floor(TOKENS / length)));
  const shape = { batch, length, steps: STEPS + 1, rate: 1e-4 };
  const training = {
    ...{ branches, batches, threads, device, shape, onProgress, seed: 0 },
    schedule: scheduleOf(shape),
    signal: AbortSignal.any([enough.signal, ...(signal ? [signal] : [])]),
  };
  try {
    if (kind === 'align') await align(training);
    else {
      branches.attach();
      const path = network.branches.map((branch) => branch.length - 1);
      await trainSuperNetwork({ ...training, sampling: { rule: 'fixed', path } });
    }
  } catch (error) {
    if (!enough.signal.aborted || signal?.aborted) throw error;
  }
  return ends.slice(1).map((end, i) => ((end - ends[i]!) / 1000) * (rows / batch));
}
