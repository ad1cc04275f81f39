import { existsSync, mkdirSync, statfsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { type Device, memoryOf, type Values } from '../../../graph/index.ts';
import { hasLinear, isLinearWeight, mixerOf } from '../../../mixers/registry.ts';
import type { MixerSpec } from '../../../mixers/spec.ts';
import { type Checkpoint, hasWeights, openCheckpoint, saveCheckpoint } from '../../../model/checkpoint.ts';
import { LayerPrograms } from '../../../model/layer-programs.ts';
import { refuseInputs } from '../../../model/output-place.ts';
import type { WrittenDtype } from '../../../model/safetensors.ts';
import type { TrainingData } from '../../../train/batches.ts';
import { type Objective, train } from '../../../train/trainer.ts';
import { InputError } from '../../../util/errors.ts';
import type { OnProgress } from '../../../util/progress.ts';
import { bounds, checkBound, checkTraining } from '../../bounds.ts';
import { DEFAULTS } from '../../defaults.ts';
import { type Hybrid, hybridOf } from '../../network/hybrid.ts';
import { Network } from '../../network/network.ts';
import { PathGradient, type PathLosses } from '../../network/path-gradient.ts';
import { retied, untied } from '../../network/tied-embeddings.ts';
import { gatherWeights, type NetworkWeight } from '../../network/trained-weights.ts';
import { dataHash, scheduleOf, type TrainingSettings, tokensOf } from '../../train/settings.ts';
import { keptWindows, shareAt } from '../../train/window-dropout.ts';
import { cachedBytes, TeacherCache } from './teacher-cache.ts';

/**
 * The final training: a hybrid learns from the model it came from. First its hidden states, then its predictions
 * with the MLPs frozen, then, all weights trained, its predictions and the text itself (spec §3.1, §4.2).
 */
export interface DistillSettings {
  /** Folders of the teacher and of the hybrid. */
  teacher: string;
  student: string;
  /** Folder of the run: states to resume from, and the finished model in `hybrid`. */
  out: string;
  seed: number;
  batches: TrainingData;
  /** Hidden states as the teacher's; the linear mixers are trained. No steps leave a stage out. */
  features: TrainingSettings;
  /** Predictions as the teacher's; the linear mixers are trained. */
  logits: TrainingSettings;
  /** Predictions as the teacher's and as the text; all weights are trained. */
  all: TrainingSettings & {
    /** Learning rate of all but the linear mixers, as a multiple of theirs. */
    bodyRate: number;
    /** Weight of the cross-entropy beside the divergence from the teacher. */
    crossEntropy: number;
  };
  /** Share of rows in which windows that have a linear mixer beside them are left out, falling to 0 over each stage. */
  windowDropout?: number;
  /** By which logits are divided where the student is compared with the teacher. */
  temperature: number;
  /** A folder for the teacher's most probable tokens; then only they are compared with. */
  cacheLogits?: string;
  /** The most that they may take, in bytes. */
  cacheLimit?: number;
  /** Of the written weights; F32 unless told. */
  dtype?: WrittenDtype;
  threads?: number;
  /** Where it is computed; the CPU unless told. */
  device?: Device;
  onProgress?: OnProgress;
  /** Lines for people: what the cache will take, a damaged file in it. */
  onNotice?: (line: string) => void;
  signal?: AbortSignal;
  /** Given the model after every stage, as it would be written. */
  afterStage?: (name: StageName, hybrid: Hybrid) => Promise<void>;
}

type StageName = 'features' | 'logits' | 'all';

export interface DistillResult {
  stages: { name: StageName; steps: number; tokens: number; seconds: number; loss: number }[];
}

interface Stage {
  name: StageName;
  training: TrainingSettings;
  losses: PathLosses;
  rateOf: (weight: NetworkWeight) => number | undefined;
}

/**
 * Trains a hybrid to be its teacher, in stages that each resume where they were stopped; run again with the same
 * settings, the result is the same.
 *
 * @throws InputError before any work for models that do not fit each other and settings that cannot be met; for a
 *   folder that holds the states of a run with other settings
 */
export async function distill(settings: DistillSettings): Promise<DistillResult> {
  const { out, signal } = settings;
  const { from, to, stages } = checkDistillation(settings);
  const bytes = cacheSize(settings, stages, to.config.vocabSize);
  if (bytes > 0) {
    mkdirSync(settings.cacheLogits!, { recursive: true });
    settings.onNotice?.(
      `the teacher's predictions take up to ${inGigabytes(bytes)} in ${settings.cacheLogits}`,
    );
  }
  const teacher = new Network(from.config, from.weights);
  let student = new Network(to.config, to.weights);
  const fingerprint: Record<string, unknown> = {
    teacher: teacher.fingerprint(),
    student: student.fingerprint(),
    data: dataHash(settings.batches, settings.features.length),
  };
  share(student, teacher);
  const ownPath = to.config.layers.map(() => 0);
  const { tieWordEmbeddings } = to.config;
  const result: DistillResult = { stages: [] };
  let hybrid = hybridOf(student, ownPath);
  for (const stage of stages) {
    const { name, training } = stage;
    const parts = tieWordEmbeddings && name === 'all';
    if (parts) {
      const apart = untied(hybrid);
      student = new Network(apart.config, apart.weights);
    }
    const { seconds, loss } = await run(settings, stage, { teacher, student, fingerprint });
    // Each stage begins with what the one before left: its state is good for that alone.
    fingerprint[name] = training;
    hybrid = hybridOf(student, ownPath);
    if (parts) hybrid = retied(hybrid);
    result.stages.push({ name, steps: training.steps, tokens: tokensOf(training), seconds, loss });
    await settings.afterStage?.(name, hybrid);
  }
  await saveCheckpoint(join(out, 'hybrid'), hybrid.config, hybrid.weights, {
    dtype: settings.dtype ?? 'F32',
    tokenizerFrom: settings.student,
    generation: to.generation,
    signal,
  });
  return result;
}

/** The place of the result: neither an input, nor a model that another run has left. */
function claimHybrid({ out, teacher, student }: DistillSettings, stages: readonly Stage[]): void {
  const hybrid = join(out, 'hybrid');
  refuseInputs(hybrid, [teacher, student]);
  if (hasWeights(hybrid) && !stages.some(({ name }) => existsSync(join(out, name)))) {
    throw new InputError(`${hybrid} holds a model that this run has not made: choose another folder`);
  }
}

/** The stages that have steps; `layers` are the student's. */
function stagesOf(
  { features, logits, all, temperature }: DistillSettings,
  layers: readonly MixerSpec[],
): Stage[] {
  const isLinear = ({ layer, branch, name }: NetworkWeight) =>
    branch !== undefined && isLinearWeight(layers[layer!]!, name);
  const mixers = (weight: NetworkWeight) => (isLinear(weight) ? 1 : undefined);
  const everything = (weight: NetworkWeight) => (isLinear(weight) ? 1 : all.bodyRate);
  const vocabulary = (crossEntropy: number) => ({ vocabulary: { divergence: 1, temperature, crossEntropy } });
  const stages: Stage[] = [
    { name: 'features', training: features, losses: { features: { lastWeight: 1 } }, rateOf: mixers },
    { name: 'logits', training: logits, losses: vocabulary(0), rateOf: mixers },
    { name: 'all', training: all, losses: vocabulary(all.crossEntropy), rateOf: everything },
  ];
  return stages.filter(({ training }) => training.steps > 0);
}

/** @throws InputError for what could only fail later, after hours of training; nothing is written */
export function checkDistillation(settings: DistillSettings): {
  from: Checkpoint;
  to: Checkpoint;
  stages: readonly Stage[];
} {
  const [teacher, student] = [openCheckpoint(settings.teacher), openCheckpoint(settings.student)];
  const [from, to] = [teacher.config, student.config];
  const stages = stagesOf(settings, to.layers);
  const { temperature, all } = settings;
  if (stages.length === 0) throw new InputError('nothing to do: no stage of the distillation has any steps');
  checkBound('temperature', temperature, bounds.temperature);
  checkBound('rate of the body', all.bodyRate, bounds.weight);
  checkBound('weight of the cross-entropy', all.crossEntropy, bounds.weight);
  checkBound('seed', settings.seed, bounds.seed);
  if (from.vocabSize !== to.vocabSize) {
    throw new InputError(
      `the teacher has a vocabulary of ${from.vocabSize} tokens, the hybrid of ${to.vocabSize}: expected the same`,
    );
  }
  if (settings.windowDropout !== undefined) {
    checkBound('window dropout', settings.windowDropout, bounds.dropout);
    if (settings.windowDropout > 0 && !to.layers.some((spec) => mixerOf(spec).beside)) {
      throw new InputError(
        `window dropout is for layers of a window and a linear mixer, of which ${settings.student} has none`,
      );
    }
  }
  const linear = to.layers.some(hasLinear);
  for (const { name, training } of stages) {
    const { length } = training;
    const context = Math.min(from.maxPositionEmbeddings, to.maxPositionEmbeddings);
    if (length < 2 || length > context) {
      throw new InputError(
        `stage ${name} has rows of ${length} tokens, expected 2 to ${context}, the models' context`,
      );
    }
    checkTraining(`stage ${name}`, training, to, { held: to.layers.length });
    if (name !== 'all' && !linear) {
      throw new InputError(
        `stage ${name} trains linear mixers, of which ${settings.student} has none: 0 steps for it`,
      );
    }
    if (
      name === 'features' &&
      (from.hiddenSize !== to.hiddenSize || from.layers.length !== to.layers.length)
    ) {
      throw new InputError(
        `stage features compares layer by layer: the teacher has ${from.layers.length} layers of width ` +
          `${from.hiddenSize}, the hybrid ${to.layers.length} of ${to.hiddenSize}; 0 steps for it`,
      );
    }
  }
  checkCache(settings, cacheSize(settings, stages, to.vocabSize));
  claimHybrid(settings, stages);
  return { from: teacher, to: student, stages };
}

const inGigabytes = (n: number) => `${(n / 1e9).toPrecision(3)} GB`;

/** Bytes of the cache of the teacher's predictions; 0 without one. */
function cacheSize({ cacheLogits }: DistillSettings, stages: readonly Stage[], vocabulary: number): number {
  if (cacheLogits === undefined) return 0;
  const cached = stages.filter(({ losses }) => losses.vocabulary);
  return cached.reduce(
    (sum, { training: { steps, batch, length } }) => sum + steps * cachedBytes(batch * length, vocabulary),
    0,
  );
}

/** @throws InputError for a cache that takes more than it may, or than the disk has */
function checkCache(
  { cacheLogits: folder, cacheLimit = DEFAULTS.final.cacheLimit }: DistillSettings,
  bytes: number,
): void {
  if (bytes === 0) return;
  if (bytes > cacheLimit) {
    throw new InputError(
      `the teacher's predictions would take ${inGigabytes(bytes)} in ${folder}, allowed are ` +
        `${inGigabytes(cacheLimit)}: fewer steps, a higher limit, or no cache`,
    );
  }
  let place = resolve(folder!);
  while (!existsSync(place)) place = dirname(place);
  const { bavail, bsize } = statfsSync(place);
  if (bytes > bavail * bsize) {
    throw new InputError(
      `the teacher's predictions would take ${inGigabytes(bytes)} in ${folder}, where ${inGigabytes(bavail * bsize)} are free`,
    );
  }
}

async function run(
  settings: DistillSettings,
  { name, training, losses, rateOf }: Stage,
  { teacher, student, fingerprint }: { teacher: Network; student: Network; fingerprint: object },
) {
  const { out, batches, threads, signal, onProgress, onNotice, cacheLogits: folder } = settings;
  const { windowDropout = 0 } = settings;
  const { batch, length, steps } = training;
  const shape = { batch, length };
  const trained = gatherWeights(student, rateOf);
  const memory = memoryOf(settings.device);
  const programs = new LayerPrograms(teacher.config, shape, memory, threads);
  const cache =
    folder !== undefined && losses.vocabulary
      ? new TeacherCache({ folder, teacher, programs, onNotice, temperature: losses.vocabulary.temperature })
      : undefined;
  const path = new PathGradient({
    memory,
    teacher,
    student,
    trained,
    shape,
    losses,
    threads,
    signal,
    topTokens: cache && ((ids, teach) => cache.top(ids, teach)),
  });
  const ownPath = student.branches.map(() => 0);
  const ids = new Int32Array(batch * length);
  const objective: Objective = {
    gradient(random, gradient, step, onPart) {
      batches.fill(ids, length, random);
      const share = shareAt(windowDropout, step, steps);
      const kept = keptWindows(student.config.layers, batch, share, random);
      return path.compute(ownPath, ids, gradient, onPart, kept);
    },
  };
  try {
    return await train({
      stage: name,
      parameters: trained.vector,
      objective,
      memory,
      schedule: scheduleOf(training),
      seed: settings.seed + SEEDS[name],
      optimizer: { weightDecay: 0 },
      threads,
      tokensPerStep: batch * length,
      folder: join(out, name),
      fingerprint: {
        ...fingerprint,
        ...{ training, losses, cached: cache !== undefined },
        ...(windowDropout > 0 && { windowDropout }),
      },
      onProgress: onProgress && ((event) => onProgress({ ...event, stage: `distil ${name}` })),
      signal,
    });
  } finally {
    await path.dispose();
    await programs.dispose();
    await memory.dispose();
  }
}

/** Every stage draws other batches. */
const SEEDS: Record<StageName, number> = { features: 3000, logits: 4000, all: 5000 };

/** Weights that the student has from the teacher are held once, by which it is seen where both are the same. */
function share(student: Network, teacher: Network): void {
  const same = (mine: Values, theirs: Values) => {
    for (const [name, { data, dims }] of Object.entries(mine)) {
      const other = theirs[name];
      if (other?.dims.join() === dims.join() && bytes(data).equals(bytes(other.data))) mine[name] = other;
    }
  };
  const bytes = (data: unknown) => {
    const { buffer, byteOffset, byteLength } = data as Float32Array<ArrayBuffer>;
    return Buffer.from(buffer, byteOffset, byteLength);
  };
  same(student.outer, teacher.outer);
  for (const [layer, [own]] of student.branches.entries()) {
    const branch = teacher.branches[layer]?.[0];
    if (!branch) break;
    same(student.layers[layer]!, teacher.layers[layer]!);
    same(own!.weights, branch.weights);
  }
}
