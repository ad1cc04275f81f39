import { float32, gradients, input, type Value, zeros } from '../graph/index.ts';
import { mixerOf } from '../mixers/registry.ts';
import { decoderLayer, weightInputs } from '../model/decoder.ts';
import { type BatchShape, LayerPrograms, layerParameters } from '../model/layer-programs.ts';
import type { TokenBatches } from '../train/batches.ts';
import type { ParameterVector } from '../train/parameters.ts';
import { type Objective, type TrainOptions, type TrainResult, train } from '../train/trainer.ts';
import type { Random } from '../util/random.ts';
import { type BranchWeights, relativeError } from './align.ts';
import type { Path } from './scorer.ts';

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

export interface SupernetOptions
  extends Pick<TrainOptions, 'folder' | 'onProgress' | 'signal' | 'optimizer' | 'schedule' | 'accumulate'> {
  /** Attached to the network as branch 1 of every layer. */
  branches: BranchWeights;
  batches: TokenBatches;
  shape: BatchShape;
  sampling: PathSampling;
  /** Weight of the last layer's features against the mean of all layers'; the head sees only the last. */
  lastWeight?: number;
  seed: number;
  stage?: string;
  threads?: number;
  fingerprint?: unknown;
}

/** Trains the branches; the loss is relative squared error of features, averaged over layers. */
export async function trainSupernet(options: SupernetOptions): Promise<TrainResult> {
  const { branches, batches, shape, sampling, lastWeight = 1, signal } = options;
  const { network } = branches;
  const programs = new LayerPrograms(network.config, shape, 'cpu', options.threads);
  const count = network.branches.length;
  const ids = new Int32Array(shape.batch * shape.length);
  const objective: Objective = {
    async gradient(random, gradient) {
      const path = samplePath(sampling, count, random);
      batches.fill(ids, shape.length, random);
      gradient.data.fill(0);
      const first = path.indexOf(1);
      if (first < 0) return { loss: 0 };

      const teacher = [await programs.embed(ids, network.embedding)];
      for (let layer = 0; layer < count; layer++) {
        signal?.throwIfAborted();
        const { spec } = network.branches[layer]![0]!;
        teacher.push((await programs.layer(spec, teacher[layer]!, network.layerValues(layer, 0))).y);
      }
      // Up to the first linear layer the student is the teacher.
      const student = teacher.slice(0, first + 1);
      for (let layer = first; layer < count - 1; layer++) {
        const branch = path[layer]!;
        const { spec } = network.branches[layer]![branch]!;
        student.push((await programs.layer(spec, student[layer]!, network.layerValues(layer, branch))).y);
      }
      let loss = 0;
      let above = zeros(teacher[count]!.dims);
      for (let layer = count - 1; layer >= first; layer--) {
        signal?.throwIfAborted();
        const weight = 1 / (count - first) + (layer === count - 1 ? lastWeight : 0);
        const step = await backward(programs, branches, layer, path[layer]!, {
          x: student[layer]!,
          target: teacher[layer + 1]!,
          above,
          weight,
          gradient,
        });
        loss += weight * step.loss;
        above = step.below;
      }
      return { loss };
    },
  };
  try {
    return await train({
      ...options,
      stage: options.stage ?? 'supernet',
      parameters: branches.vector,
      objective,
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
      },
    });
  } finally {
    await programs.dispose();
  }
}

/**
 * One layer backwards, its forward pass recomputed: from the gradient above and the layer's own feature loss to
 * the gradient below, and to the branch's weights if the layer's mixer is being trained.
 */
async function backward(
  programs: LayerPrograms,
  branches: BranchWeights,
  layer: number,
  branch: number,
  given: { x: Value; target: Value; above: Value; weight: number; gradient: ParameterVector },
): Promise<{ loss: number; below: Value }> {
  const { network } = branches;
  const { config } = network;
  const { spec } = network.branches[layer]![branch]!;
  const trained = branch === 1;
  const names = trained
    ? mixerOf(spec)
        .parameters(spec, config)
        .map(({ name }) => name)
    : [];
  const program = await programs.compiled(`backward ${trained} ${JSON.stringify(spec)}`, () => {
    const x = programs.hidden('x');
    const weights = weightInputs(layerParameters(config, spec));
    const { y } = decoderLayer(config, spec, x, weights, { form: 'chunk' });
    const loss = relativeError(y, programs.hidden('target'));
    const [below, ...found] = gradients(
      [
        { output: y, seed: programs.hidden('above') },
        { output: loss, seed: input('weight', 'float32', []) },
      ],
      [x, ...names.map((name) => weights[`self_attn.${name}`]!)],
    );
    const named = names.map((name, i) => [`grad.${name}`, found[i]!]);
    return { loss, below: below!, ...Object.fromEntries(named) };
  });
  const { x, target, above, weight, gradient } = given;
  const { loss, below } = await program.run(
    { x, target, above, weight: float32(Float32Array.of(weight), []), ...network.layerValues(layer, branch) },
    trained ? branches.gradients(layer, gradient) : {},
  );
  return { loss: (loss!.data as Float32Array)[0]!, below: below! };
}
