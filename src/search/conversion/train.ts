import { join } from 'node:path';
import type { Checkpoint } from '../../model/checkpoint.ts';
import type { ModelConfig } from '../../model/config.ts';
import type { TrainingData } from '../../train/batches.ts';
import { defined } from '../../util/defined.ts';
import { InputError } from '../../util/errors.ts';
import { noticeBy, type OnProgress } from '../../util/progress.ts';
import { hashOf } from '../../util/store/identity.ts';
import { remember } from '../../util/store/kept.ts';
import { dataOf } from '../data.ts';
import { holdsModel } from '../network/hybrid.ts';
import { finalDefaults } from '../stages/final/defaults.ts';
import { type DistillResult, distill } from '../stages/final/distill.ts';
import { distillationBytes, measureDistillation } from '../stages/final/estimate.ts';
import type { DistillSettings } from '../stages/final/settings.ts';
import type { StepSeconds } from '../train/rates.ts';
import { dataHash } from '../train/settings.ts';
import type { controlsOf } from './controls.ts';
import { type ConvertOptions, TRAINED } from './options.ts';
import type { TrainedControl, TrainedConversion } from './result.ts';

/** Training of a hybrid that a conversion has found, by KL to its parent for a time, and of controls for as many steps. */

export interface TrainSettings {
  /** Folder of the parent. */
  teacher: string;
  /** A hash of its weights. */
  weights: string;
  /** The conversion's folder. */
  out: string;
  hours: number;
  /** Rows of a step, and tokens of each. */
  rows: number;
  length: number;
  /** Weight of the loss on the text itself beside the divergence. */
  crossEntropy: number;
  answersOnly: boolean;
  batches: TrainingData;
  heldOut: TrainingData;
  threads?: number;
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

/** What a hybrid is trained on, and how. @throws InputError for numbers that are none, and for too few documents */
export async function trainingOf(
  options: ConvertOptions,
  folder: string,
  weights: string,
  context: number,
  { maxPositionEmbeddings }: ModelConfig,
): Promise<TrainSettings> {
  const { data, field, out, hours = 0, rows = TRAINED.rows, crossEntropy = 0, answersOnly = false } = options;
  const { length = Math.min(TRAINED.length, context, maxPositionEmbeddings), heldOutShare } = options;
  const { threads, onProgress, signal } = options;
  const { batches, heldOut } = await dataOf(
    folder,
    { ...{ data, field, heldOutShare, rows, length, validated: true, answersOnly, task: [], examples: 1 } },
    { onProgress, signal },
  );
  if (!heldOut) {
    throw new InputError(
      `${[data].flat().join(' ')} has too few documents to hold some out of the training: expected more text, or a larger --held-out-share`,
    );
  }
  return {
    ...{ teacher: folder, weights, out, hours, rows, length, crossEntropy, answersOnly, batches, heldOut },
    ...defined({ threads, onProgress, signal }),
  };
}

/** No other training begins with it. */
const SEED = 17;

/** What the last stage alone is of a student without linear mixers: other students are for `distill`. */
function settingsFor(
  settings: TrainSettings,
  name: string,
  student: Checkpoint,
  more: { steps?: number; parent?: boolean } = {},
): DistillSettings {
  const { teacher, out, hours, rows, length, crossEntropy, answersOnly, batches, heldOut } = settings;
  const { threads, onProgress, signal } = settings;
  const { config } = student;
  const defaults = finalDefaults(config, config.layers, rows * length);
  if (defaults.featureSteps > 0) {
    throw new InputError(
      `${name} has linear mixers, which are aligned before they are trained with all else: expected windows and heads; postnas distill trains others`,
    );
  }
  const { steps, parent = false } = more;
  const shape = { batch: rows, length };
  const none = { ...shape, steps: 0, rate: 1 };
  return {
    ...{ teacher, student, batches, heldOut, answersOnly, seed: SEED, temperature: 1 },
    ...{ features: none, logits: none, rateLeft: defaults.rateLeft },
    out: join(out, 'training', name),
    model: name === MODEL ? join(out, MODEL) : join(out, 'controls', name),
    all: {
      ...shape,
      ...{ rate: defaults.allRate, bodyRate: defaults.bodyRate, embeddings: defaults.embeddings },
      crossEntropy,
      ...(parent && { divergence: 0 }),
      ...(steps === undefined ? { steps: 0, seconds: 3600 * hours } : { steps }),
    },
    ...(threads !== undefined && { threads }),
    ...(onProgress && { onProgress: (event) => onProgress({ ...event, stage: `${name}: ${event.stage}` }) }),
    onNotice: noticeBy(onProgress, name),
    ...(signal && { signal }),
  };
}

/** What the trained hybrid is called in a conversion's folder. */
const MODEL = 'model';

export interface TrainingPlan {
  step: StepSeconds;
  /** That the time is expected to be enough for. */
  tokens: number;
  /** Held at most, near enough. */
  bytes: number;
}

/** What training will take: steps timed on the first layers. */
export async function planTraining(settings: TrainSettings, student: Checkpoint): Promise<TrainingPlan> {
  const { hours, rows, length } = settings;
  const all = settingsFor(settings, MODEL, student);
  const step = await measureDistillation(all);
  const tokens = Math.floor((3600 * hours) / step.median) * rows * length;
  return { step, tokens, bytes: distillationBytes(all) };
}

/** Trains the hybrid, then the controls for as many steps; what was done before is read. */
export async function trainConversion(
  settings: TrainSettings,
  student: Checkpoint,
  { controls, skipped: without }: ReturnType<typeof controlsOf>,
): Promise<TrainedConversion> {
  const { hours, rows, length, crossEntropy, answersOnly } = settings;
  const main = await trained(settings, settingsFor(settings, MODEL, student), `${hours} hours`);
  const [stage] = main.stages as [DistillResult['stages'][0]];
  const found: TrainedControl[] = [];
  const skipped: TrainedConversion['skipped'] = [...without];
  for (const { name, student, parent = false } of controls) {
    if (parent && crossEntropy === 0) {
      skipped.push({
        name,
        why: 'its divergence from itself is 0: there is nothing to learn without a weight of the loss on the text (--cross-entropy)',
      });
      continue;
    }
    const own = settingsFor(settings, name, student, { steps: stage.steps, parent });
    const { stages } = await trained(settings, own, `${stage.steps} steps`);
    const [{ tokens, seconds, steps, curve, more }] = stages as [DistillResult['stages'][0]];
    found.push({ name, model: own.model!, tokens, seconds, steps, curve, more });
  }
  const { tokens, seconds, steps, curve, more, ended } = stage;
  return {
    ...{ hours, rows, length, crossEntropy, answersOnly, model: join(settings.out, MODEL) },
    ...{ tokens, seconds, steps, curve, more, ended, controls: found, skipped },
  };
}

/** One training, whose result is kept with what it depends on. */
function trained(
  { weights, batches, heldOut, length }: TrainSettings,
  own: DistillSettings,
  howLong: string,
): Promise<DistillResult> {
  const { all, seed, answersOnly, rateLeft, student } = own;
  const identity = {
    ...{ weights, all, seed, answersOnly, rateLeft, layers: hashOf((student as Checkpoint).config.layers) },
    data: [dataHash(batches, length), dataHash(heldOut, length)],
  };
  const path = join(own.out, `trained for ${howLong}.json`);
  return remember(path, identity, () => distill(own), {
    onNotice: own.onNotice,
    isWhole: () => holdsModel(own.model!),
  });
}
