import { type Device, memoryOf } from '../../graph/index.ts';
import { isLinearWeight } from '../../mixers/registry.ts';
import type { BatchShape } from '../../model/layer-programs.ts';
import { mlpParameters } from '../../model/parameters.ts';
import type { TokenBatches } from '../../train/batches.ts';
import { type Objective, type TrainOptions, type TrainResult, train } from '../../train/trainer.ts';
import type { Random } from '../../util/random.ts';
import type { Path } from '../judge/scorer.ts';
import type { BranchWeights } from '../network/branches.ts';
import { hybridOf } from '../network/hybrid.ts';
import { Network } from '../network/network.ts';
import { PathGradient } from '../network/path-gradient.ts';
import { gatherWeights, type TrainedWeights } from '../network/trained-weights.ts';
import { keptWindows, shareAt } from './window-dropout.ts';

/**
 * The once-for-all super network (spec §3.1): every step samples a path, full attention or the linear branch per
 * layer, and trains the linear branches on it by feature distillation: the hidden states after every layer are to
 * be the teacher's. The paper does not say how paths are sampled nor which features count; both are options.
 */

/**
 * How many layers of a sampled path are full attention; which ones is uniform.
 * - budget: between 0 and twice the budget, uniformly: the paths that the search will compare, and around them.
 * - uniform: between 0 and all but one, uniformly.
 * - coin: each layer by a fair coin.
 * - fixed: always the given path; trains one architecture.
 */
export type PathSampling =
  | { rule: 'budget'; budget: number }
  | { rule: 'uniform' }
  | { rule: 'coin' }
  | { rule: 'fixed'; path: Path };

/** Draws a path: 0 for the parent's own mixer, 1 for the branch beside it, per layer. */
export function samplePath(sampling: PathSampling, layers: number, random: Random): number[] {
  switch (sampling.rule) {
    case 'fixed':
      return [...sampling.path];
    case 'coin':
      return Array.from({ length: layers }, () => random.below(2));
    default: {
      const most = sampling.rule === 'budget' ? Math.min(2 * sampling.budget, layers - 1) : layers - 1;
      const full = random.below(most + 1);
      const order = random.shuffled(Array.from({ length: layers }, (_, i) => i));
      const path = new Array<number>(layers).fill(1);
      for (const layer of order.slice(0, full)) path[layer] = 0;
      return path;
    }
  }
}

export interface SuperNetworkOptions
  extends Pick<
    TrainOptions,
    'folder' | 'onProgress' | 'signal' | 'optimizer' | 'schedule' | 'accumulate' | 'fingerprint'
  > {
  /** Attached to the network as branch 1 of every layer. */
  branches: BranchWeights;
  batches: TokenBatches;
  shape: BatchShape;
  sampling: PathSampling;
  /** Weight of the last layer's features against the mean of all layers'; the head sees only the last. */
  lastWeight?: number;
  /**
   * Train the MLPs and the norms before them too, one for all paths; the teacher keeps its own. Afterwards the
   * trained weights stand in the network: `branches.vector` is left as it was.
   */
  mlps?: boolean;
  /**
   * Share of the rows in which windows that have a linear mixer beside them are left out, falling to 0 over the steps; none unless
   * told.
   */
  windowDropout?: number | undefined;
  seed: number;
  stage?: string;
  threads?: number;
  /** Where it is computed; the CPU unless told. */
  device?: Device;
}

/** Trains the branches; the loss is relative squared error of features, averaged over layers. */
export async function trainSuperNetwork(options: SuperNetworkOptions): Promise<TrainResult> {
  const { branches, batches, shape, sampling, lastWeight = 1, mlps = false, windowDropout = 0 } = options;
  const { network } = branches;
  const count = network.branches.length;
  // Trained MLPs take the teacher's away from the network.
  const teacher = mlps ? parentOf(network) : network;
  const trained = mlps ? gatherBranchesAndMlps(network) : branches;
  const memory = memoryOf(options.device);
  const path = new PathGradient({
    memory,
    teacher,
    student: network,
    trained,
    shape,
    losses: { features: { lastWeight } },
    threads: options.threads,
    signal: options.signal,
  });
  const ids = new Int32Array(shape.batch * shape.length);
  const objective: Objective = {
    gradient(random, gradient, _step, onPart, over = 0) {
      const sampled = samplePath(sampling, count, random);
      batches.fill(ids, shape.length, random);
      const share = shareAt(windowDropout, over);
      const kept = keptWindows(network.architecture(sampled), shape.batch, share, random);
      return path.compute(sampled, ids, gradient, onPart, kept);
    },
  };
  try {
    return await train({
      ...options,
      stage: options.stage ?? 'supernet',
      parameters: trained.vector,
      objective,
      memory,
      tokensPerStep: shape.batch * shape.length * (options.accumulate ?? 1),
      optimizer: { weightDecay: 0, ...options.optimizer },
      fingerprint: {
        ...(options.fingerprint ?? {}),
        spec: branches.spec,
        layers: branches.layers,
        shape,
        sampling,
        lastWeight,
        optimizer: options.optimizer,
        ...(mlps ? { mlps } : {}),
        ...(windowDropout > 0 ? { windowDropout } : {}),
      },
    });
  } finally {
    await path.dispose();
    await memory.dispose();
  }
}

/** The parent alone, its weights not copied. */
function parentOf(network: Network): Network {
  const { config, weights } = hybridOf(
    network,
    network.branches.map(() => 0),
  );
  return new Network(config, weights);
}

/** The branches beside the parent's own mixers, and the MLPs with the norm before each. */
function gatherBranchesAndMlps(network: Network): TrainedWeights {
  const mlp = new Set(mlpParameters(network.config).map(({ name }) => name));
  return gatherWeights(network, ({ layer, branch, name }) => {
    // The window of a block beside one is the parent's.
    const own = (branch ?? 0) > 0 && isLinearWeight(network.branches[layer!]![branch!]!.spec, name);
    const wanted = branch === undefined ? layer !== undefined && mlp.has(name) : own;
    return wanted ? 1 : undefined;
  });
}
