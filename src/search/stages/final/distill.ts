import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { memoryOf } from '../../../graph/index.ts';
import { saveCheckpoint } from '../../../model/checkpoint.ts';
import { LayerPrograms } from '../../../model/layer-programs.ts';
import { meanWeights, predictsAnswers } from '../../../train/counted.ts';
import { type More, moreText } from '../../../train/forecast.ts';
import type { Schedule } from '../../../train/schedule.ts';
import { type Objective, type TrainResult, train } from '../../../train/trainer.ts';
import type { OnProgress } from '../../../util/progress.ts';
import { hybridOf } from '../../network/hybrid.ts';
import { Network } from '../../network/network.ts';
import { PathGradient } from '../../network/path-gradient.ts';
import { retied, untied } from '../../network/tied-embeddings.ts';
import { gatherWeights } from '../../network/trained-weights.ts';
import { dataHash, scheduleOf, tokensOf } from '../../train/settings.ts';
import { keptWindows, shareAt } from '../../train/window-dropout.ts';
import { adviceOn, cacheSize, checkDistillation, inGigabytes } from './check.ts';
import { type CurvePoint, curveOf, moreOf } from './curve.ts';
import { HeldOutDivergence } from './held-out-divergence.ts';
import { type DistillSettings, modelFolder, type Stage, type StageName } from './settings.ts';
import { shareWeights } from './share-weights.ts';
import { TeacherCache } from './teacher-cache.ts';

interface DistilledStage {
  name: StageName;
  steps: number;
  tokens: number;
  seconds: number;
  loss: number;
  /** Why it ended. */
  ended: TrainResult['ended'];
  /** On held-out text, where there is one. */
  curve: CurvePoint[];
  /** Of the divergence, of as much training again; null where it cannot be told. */
  more: More | null;
}

export interface DistillResult {
  stages: DistilledStage[];
}

/**
 * Trains a hybrid to be its teacher, in stages that each resume where they were stopped; run again with the same
 * settings, the result is the same.
 *
 * @throws InputError before any work for models that do not fit each other and settings that cannot be met; for a
 *   folder that holds the states of a run with other settings
 */
export async function distill(settings: DistillSettings): Promise<DistillResult> {
  const { signal } = settings;
  const { from, to, stages } = checkDistillation(settings);
  const bytes = cacheSize(settings, stages, to.config.vocabSize);
  if (bytes > 0) {
    mkdirSync(settings.cacheLogits!, { recursive: true });
    settings.onNotice?.(
      `the teacher's predictions take up to ${inGigabytes(bytes)} in ${settings.cacheLogits}`,
    );
  }
  for (const line of adviceOn(stages)) settings.onNotice?.(line);
  const teacher = new Network(from.config, from.weights);
  let student = new Network(to.config, to.weights);
  const fingerprint: Record<string, unknown> = {
    teacher: teacher.fingerprint(),
    student: student.fingerprint(),
    data: dataHash(settings.batches, settings.features.length),
  };
  shareWeights(student, teacher);
  const ownPath = to.config.layers.map(() => 0);
  const { tieWordEmbeddings } = to.config;
  const result: DistillResult = { stages: [] };
  let hybrid = hybridOf(student, ownPath);
  for (const stage of stages) {
    const { name, training } = stage;
    const parts = tieWordEmbeddings && name === 'all' && settings.all.embeddings !== false;
    if (parts) {
      const apart = untied(hybrid);
      student = new Network(apart.config, apart.weights);
    }
    const { steps, seconds, loss, ended, heldOut } = await run(settings, stage, {
      teacher,
      student,
      fingerprint,
    });
    // Each stage begins with what the one before left: its state is good for that alone.
    fingerprint[name] = training;
    hybrid = hybridOf(student, ownPath);
    if (parts) hybrid = retied(hybrid);
    const curve = curveOf(heldOut, training.batch * training.length);
    const tokens = tokensOf({ ...training, steps });
    result.stages.push({ name, steps, tokens, seconds, loss, ended, curve, more: moreOf(curve) });
    await settings.afterStage?.(name, hybrid);
  }
  await saveCheckpoint(modelFolder(settings), hybrid.config, hybrid.weights, {
    dtype: settings.dtype ?? 'F32',
    tokenizerFrom: typeof settings.student === 'string' ? settings.student : settings.teacher,
    generation: to.generation,
    signal,
  });
  return result;
}

async function run(
  settings: DistillSettings,
  stage: Stage,
  { teacher, student, fingerprint }: { teacher: Network; student: Network; fingerprint: object },
): Promise<TrainResult> {
  const { name, training, losses, rateOf, seconds } = stage;
  const { out, batches, threads, signal, onNotice, cacheLogits: folder } = settings;
  const { windowDropout = 0, heldOut, patience } = settings;
  const { batch, length } = training;
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
  const answers = settings.answersOnly && losses.vocabulary ? new Uint8Array(batch * length) : undefined;
  const objective: Objective = {
    gradient(random, gradient, _step, onPart, over = 0) {
      batches.fill(ids, length, random, answers);
      const share = shareAt(windowDropout, over);
      const kept = keptWindows(student.config.layers, batch, share, random);
      const counted = answers && meanWeights(predictsAnswers(answers, length));
      return path.compute(ownPath, ids, gradient, onPart, kept, counted);
    },
  };
  const judge =
    heldOut &&
    new HeldOutDivergence({
      ...{ teacher, student, batches: heldOut, shape, memory, threads, signal },
      answersOnly: answers !== undefined,
    });
  const told = progressOf(settings, stage);
  try {
    return await train({
      stage: name,
      parameters: trained.vector,
      objective,
      memory,
      schedule: scheduleFor(settings, stage),
      seed: settings.seed + SEEDS[name],
      optimizer: { weightDecay: 0 },
      threads,
      tokensPerStep: batch * length,
      folder: join(out, name),
      fingerprint: {
        ...fingerprint,
        ...{ training, losses, cached: cache !== undefined },
        ...(windowDropout > 0 && { windowDropout }),
        ...(answers && { answersOnly: true }),
        ...(patience !== undefined && heldOut && { patience, heldOut: dataHash(heldOut, length) }),
      },
      ...(seconds !== undefined && { seconds }),
      ...(judge && {
        heldOut: {
          times: timesOf(stage, judge.tokens),
          measure: async () => {
            const found = await judge.measure();
            const { divergence = 1, crossEntropy = 0 } = losses.vocabulary ?? {};
            return {
              objective: divergence * found.divergence + crossEntropy * found.crossEntropy,
              ...found,
            };
          },
          // Hidden states become alike before and after predictions do.
          ...(patience !== undefined && losses.vocabulary && { patience }),
          onMeasured: told.onMeasured,
        },
      }),
      ...(told.onProgress && { onProgress: told.onProgress }),
      ...(signal && { signal }),
    });
  } finally {
    await judge?.dispose();
    await path.dispose();
    await programs.dispose();
    await memory.dispose();
  }
}

function scheduleFor({ rateLeft }: DistillSettings, { training, seconds }: Stage): Schedule {
  const schedule = { ...scheduleOf(training), ...(rateLeft !== undefined && { final: rateLeft }) };
  return seconds === undefined
    ? schedule
    : { ...schedule, steps: Number.POSITIVE_INFINITY, warmup: TIMED_WARMUP };
}

/** Steps of warming up of a stage that ends by its time, whose number of steps is not known. */
const TIMED_WARMUP = 20;

/** The most measurements of a stage, and the share of the tokens trained on that they may read. */
const MEASURED = 32;
const MEASURED_SHARE = 0.15;

/** How often a stage is measured on so many held-out tokens. */
function timesOf({ training, seconds }: Stage, tokens: number): number {
  // An hour is worth as many as any number of steps.
  if (seconds !== undefined) return seconds < 3600 ? MEASURED / 2 : MEASURED;
  const affordable = Math.floor((MEASURED_SHARE * tokensOf(training)) / tokens);
  return Math.min(MEASURED, Math.max(1, affordable), training.steps);
}

/** Progress that shows the last measurement, and what more training would bring. */
function progressOf({ onProgress }: DistillSettings, { name, training }: Stage) {
  let points: readonly CurvePoint[] = [];
  const shown: OnProgress | undefined =
    onProgress &&
    ((event) => {
      const last = points.at(-1);
      onProgress({
        ...event,
        stage: `distil ${name}`,
        ...(event.values && last && { values: { ...event.values, 'held-out KL': last.divergence } }),
        ...(last && { note: moreText(moreOf(points)) }),
      });
    });
  return {
    onProgress: shown,
    onMeasured: (measurements: Parameters<typeof curveOf>[0]) => {
      points = curveOf(measurements, training.batch * training.length);
    },
  };
}

/** Every stage draws other batches. */
const SEEDS: Record<StageName, number> = { features: 3000, logits: 4000, all: 5000 };
