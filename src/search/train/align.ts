import {
  add,
  type Device,
  div,
  gradients,
  input,
  maximum,
  mean,
  memoryOf,
  mul,
  sqrt,
  sub,
  sum,
  type Tensor,
  type Value,
} from '../../graph/index.ts';
import { mixerOf } from '../../mixers/registry.ts';
import { mixerBlock, weightInputs } from '../../model/decoder.ts';
import { type BatchShape, LayerPrograms } from '../../model/layer-programs.ts';
import { layerNorms } from '../../model/parameters.ts';
import type { TokenBatches } from '../../train/batches.ts';
import type { ParameterVector } from '../../train/parameters.ts';
import { type Objective, type TrainOptions, type TrainResult, train } from '../../train/trainer.ts';
import { Random } from '../../util/random.ts';
import type { BranchWeights } from '../network/branches.ts';
import { CALIBRATION, calibrate } from './calibrate.ts';
import type { Start } from './start.ts';
import { keptWindows, shareAt } from './window-dropout.ts';

/**
 * Stage 0 of every search: beside each layer's attention a linear mixer is trained, on the inputs that the
 * teacher's layer gets, to give what its attention gives. All else is frozen and never touched, so that layers do
 * not depend on each other: any subset can be aligned alone.
 */

export interface AlignOptions
  extends Pick<TrainOptions, 'folder' | 'onProgress' | 'signal' | 'optimizer' | 'schedule' | 'fingerprint'> {
  /** Started from the weights of attention. */
  branches: BranchWeights;
  batches: TokenBatches;
  shape: BatchShape;
  seed: number;
  /** Whether they are first started from what attention does with the batches, too; not unless told. */
  start?: Start;
  /**
   * Share of the rows in which windows that have a linear mixer beside them are left out, falling to 0 over the steps; none unless
   * told.
   */
  windowDropout?: number | undefined;
  threads?: number;
  /** Where it is computed; the CPU unless told. */
  device?: Device;
}

/** mean((y - target)^2) / mean(target^2): 0 is perfect, 1 is as good as silence. */
export function relativeError(y: Tensor, target: Tensor): Tensor {
  const error = sub(y, target);
  return div(mean(mul(error, error)), add(mean(mul(target, target)), 1e-8));
}

/**
 * Trains the branches. The loss is the mean over layers of the relative squared error; each layer's gradient is
 * clipped by itself.
 *
 * @returns `losses`, too: the error of each of the branches' layers afterwards, on a batch that depends on the seed
 *   alone
 */
export async function align(options: AlignOptions): Promise<TrainResult & { losses: number[] }> {
  const { branches, batches, shape, seed, start = 'copied', windowDropout = 0, signal } = options;
  const { network, layers, spec } = branches;
  const memory = memoryOf(options.device);
  const programs = new LayerPrograms(network.config, shape, memory, options.threads);
  const ids = new Int32Array(shape.batch * shape.length);
  const wanted = new Set(layers);
  const last = Math.max(...layers);
  /** What `each` gives for the layers that have a branch, on a batch drawn by `random`. */
  const overLayers = async (
    random: Random,
    each: (given: Aligned) => Promise<Value>,
    onPart?: (part: number) => void,
  ): Promise<Map<number, number>> => {
    const losses = new Map<number, Value>();
    batches.fill(ids, shape.length, random);
    let x = await programs.embed(ids, network.embedding);
    for (let layer = 0; layer <= last; layer++) {
      signal?.throwIfAborted();
      onPart?.(layer / (last + 1));
      const teacher = network.branches[layer]![0]!.spec;
      const weights = network.layerValues(layer, 0);
      if (layer === last) {
        // Nothing needs the hidden states after it.
        const mixed = await programs.mixed(teacher, x, weights);
        losses.set(layer, await each({ layer, x, target: mixed }));
        memory.free(x, mixed);
        break;
      }
      const { mixed, y } = await programs.layer(teacher, x, weights);
      if (wanted.has(layer)) losses.set(layer, await each({ layer, x, target: mixed }));
      memory.free(x, mixed);
      x = y;
    }
    const numbers = await memory.numbers([...losses.values()]);
    return new Map([...losses.keys()].map((layer, i) => [layer, numbers[i]!]));
  };
  const objective: Objective = {
    async gradient(random, gradient, step, onPart, over = 0) {
      const share = shareAt(windowDropout, over);
      const losses = await overLayers(
        random,
        (given) => {
          // A layer's rows are the same whichever others are aligned with it.
          const kept = keptWindows(
            [spec],
            shape.batch,
            share,
            new Random((seed + 600 + step) * 1009 + given.layer),
          );
          return alignLayer(programs, branches, { ...given, kept: kept.get(0) }, gradient);
        },
        onPart,
      );
      return { loss: [...losses.values()].reduce((a, b) => a + b, 0) / losses.size };
    },
  };
  try {
    const result = await train({
      ...options,
      stage: 'align',
      parameters: branches.vector,
      objective,
      memory,
      tokensPerStep: shape.batch * shape.length,
      fingerprint: {
        ...(options.fingerprint ?? {}),
        spec,
        layers,
        shape,
        start,
        optimizer: options.optimizer,
        ...(windowDropout > 0 && { windowDropout }),
      },
      ...(start === 'calibrated' && { begin: () => calibrate({ ...options, shape: CALIBRATION }) }),
      seed,
      // Each layer clips its own gradient.
      optimizer: { weightDecay: 0, ...options.optimizer, clipNorm: Number.POSITIVE_INFINITY },
    });
    const errors = await overLayers(new Random(seed + 500), (given) => alignLayer(programs, branches, given));
    return { ...result, losses: layers.map((layer) => errors.get(layer)!) };
  } finally {
    await programs.dispose();
    await memory.dispose();
  }
}

/** A layer, its input and what its attention gave. */
interface Aligned {
  layer: number;
  x: Value;
  target: Value;
  /** Of which rows the window counts, where not of all [B]. */
  kept?: Value | undefined;
}

/**
 * The loss of one layer's branch against what the teacher's mixer gave, and, if there is a place for it, its
 * gradient, scaled down to a norm of at most 1.
 */
async function alignLayer(
  programs: LayerPrograms,
  branches: BranchWeights,
  { layer, x, target, kept }: Aligned,
  gradient?: ParameterVector,
): Promise<Value> {
  const { network, spec } = branches;
  const { beforeMixer } = layerNorms(network.config);
  const program = await programs.compiled(`align ${!!gradient} ${!!kept} ${JSON.stringify(spec)}`, () => {
    const { hiddenSize } = network.config;
    const weights = weightInputs(mixerOf(spec).parameters(spec, network.config));
    const layerWeights = {
      ...(beforeMixer && { [`${beforeMixer}.weight`]: input('norm', 'float32', [hiddenSize]) }),
      ...Object.fromEntries(Object.entries(weights).map(([name, w]) => [`self_attn.${name}`, w])),
    };
    const { y } = mixerBlock(network.config, spec, programs.hidden('x'), layerWeights, {
      form: 'chunk',
      ...(kept && { windowKept: programs.windowKept() }),
    });
    const loss = relativeError(y, programs.hidden('target'));
    if (!gradient) return { loss };
    const { trained } = branches;
    const wanted = trained.map((name) => weights[name]!);
    const found = clipped(gradients([{ output: loss }], wanted));
    return {
      loss,
      ...Object.fromEntries(trained.map((name, i) => [`grad.${name}`, found[i]!])),
    };
  });
  const norm = beforeMixer && { norm: network.layers[layer]![`${beforeMixer}.weight`]! };
  const { memory } = programs;
  const { loss } = await memory.run(
    program,
    {
      x,
      target,
      ...(await memory.place({ ...norm, ...branches.values(layer) })),
      ...(kept && { window_kept: kept }),
    },
    gradient && branches.gradients(layer, gradient),
  );
  return loss!;
}

/** Tensors scaled down together to a norm of at most 1. */
function clipped(tensors: readonly Tensor[]): Tensor[] {
  const squares = tensors.map((x) => sum(mul(x, x))).reduce((a, b) => add(a, b));
  const scale = div(1, maximum(sqrt(squares), 1));
  return tensors.map((x) => mul(x, scale));
}
