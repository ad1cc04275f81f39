import {
  type Device,
  matmul,
  memoryOf,
  reshape,
  sum,
  swapLast,
  type Value,
  type Values,
} from '../../graph/index.ts';
import type { Calibration } from '../../mixers/calibration.ts';
import { hasLinear, mixerOf } from '../../mixers/registry.ts';
import { sizedPart } from '../../mixers/sized-part.ts';
import type { LinearSpec, MixerSpec } from '../../mixers/spec.ts';
import { LINEAR } from '../../mixers/window-linear.ts';
import { weightInputs } from '../../model/decoder.ts';
import { type BatchShape, LayerPrograms } from '../../model/layer-programs.ts';
import { layerParameters } from '../../model/parameters.ts';
import type { TokenBatches } from '../../train/batches.ts';
import { InputError } from '../../util/errors.ts';
import type { OnProgress } from '../../util/progress.ts';
import { Random } from '../../util/random.ts';
import type { BranchWeights } from '../network/branches.ts';
import type { BlockSpec } from '../network/linear-mixer.ts';
import { type Near, readAttention } from './attention-reading.ts';
import { ridgeRegression } from './ridge.ts';
import type { Start } from './start.ts';
import { floats, placed, type Seen, startBranch } from './start-branch.ts';

/** Rows that are read. */
export const CALIBRATION: BatchShape = { batch: 4, length: 256 };

/** Ridge of what stands for a bias, as a share of what inputs' channels square to. */
const ONE_RIDGE = 0.01;

export interface CalibrateOptions {
  /** Started from weights already. */
  branches: BranchWeights;
  batches: TokenBatches;
  seed: number;
  shape?: BatchShape;
  threads?: number;
  /** Where it is computed; the CPU unless told. */
  device?: Device;
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

/**
 * How a block begins where nothing is said: from what attention does, if it takes that.
 *
 * @throws InputError where it is to begin so and takes nothing of it
 */
export function startOf(spec: MixerSpec, wanted?: Start): Start {
  const can = calibrationOf(spec) !== undefined;
  if (wanted === 'calibrated' && !can) {
    throw new InputError(
      `a ${sizedPart(spec as BlockSpec).kind} block can't start 'calibrated', as it has no calibration: expected 'copied'`,
    );
  }
  return wanted ?? (can ? 'calibrated' : 'copied');
}

function calibrationOf(spec: MixerSpec): Calibration<LinearSpec> | undefined {
  return mixerOf(sizedPart(spec as BlockSpec)).calibration;
}

/**
 * Starts branches from what the attention of their layers does with a few rows of text, beside its weights:
 *
 * 1. what the mixer takes of how far heads look and at how much: decay, write strength, an open output gate (its `calibration`);
 * 2. the output projection's columns of each head scaled by <attention's, own> / <own, own> of what the heads give;
 * 3. the output projection moved to what gives the layer's outputs best, by ridge regression from there.
 *
 * What is drawn depends on the seed alone. Layers that have a linear mixer in the parent are left as they are: the branch
 * started from that. Beside a window the mixer is fitted to what the window leaves out, and its gate stays shut.
 */
export async function calibrate(options: CalibrateOptions): Promise<void> {
  const { branches, batches, seed, shape = CALIBRATION, threads, signal, onProgress } = options;
  const { network, spec } = branches;
  const { config } = network;
  const own = calibrationOf(spec);
  const attentive = branches.layers.filter((layer) => !hasLinear(network.branches[layer]![0]!.spec));
  if (!own || attentive.length === 0) return;
  const length = Math.min(shape.length, config.maxPositionEmbeddings);
  const memory = memoryOf(options.device);
  const programs = new LayerPrograms(config, { ...shape, length }, memory, threads);
  const near = spec.kind === 'window_linear' ? spec : undefined;
  const ids = new Int32Array(shape.batch * length);
  batches.fill(ids, length, new Random(seed + 7000));
  const last = Math.max(...attentive);
  const tell = (done: number) =>
    onProgress?.({ stage: 'calibrate', done, total: attentive.length, unit: 'layers' });
  let done = 0;
  tell(done);
  try {
    let x = await programs.embed(ids, network.embedding);
    for (let layer = 0; layer <= last; layer++) {
      signal?.throwIfAborted();
      const mixer = network.branches[layer]![0]!.spec;
      const values = network.layerValues(layer, 0);
      if (attentive.includes(layer)) {
        const seen = await read(programs, mixer, { x, ...values }, near, threads);
        const weights = branches.partOf(layer, near ? LINEAR : '');
        await startBranch(programs, sizedPart(spec as BlockSpec), own, seen, weights, threads);
        tell(++done);
      }
      if (layer === last) break;
      const { mixed, y } = await programs.layer(mixer, x, values);
      memory.free(x, mixed);
      x = y;
    }
  } finally {
    await programs.dispose();
    await memory.dispose();
  }
}

async function read(
  programs: LayerPrograms,
  mixer: MixerSpec,
  given: Values,
  near: Near | undefined,
  threads = 0,
): Promise<Seen> {
  const { config } = programs;
  const program = await programs.compiled(
    `read ${JSON.stringify([mixer, near])}`,
    () => {
      const weights = weightInputs(layerParameters(config, mixer));
      const { x, ...seen } = readAttention(config, mixer, programs.hidden('x'), weights, near);
      const rows = reshape(x, [-1, config.hiddenSize]);
      return { ...seen, x, gram: matmul(swapLast(rows), rows), sums: sum(rows, 0) };
    },
    { read: true },
  );
  const found = await program.run(await placed(programs, program.inputNames, given));
  const { distance, entropy, gram, sums, heads, y, x } = found as Record<string, Value>;
  return {
    distance: [...floats(distance!)].map((each) => Math.max(1, Math.expm1(each))),
    entropy: [...floats(entropy!)],
    one: await ridgeRegression(floats(gram!), floats(sums!), ONE_RIDGE, threads),
    heads: heads!,
    y: y!,
    x: x!,
  };
}
