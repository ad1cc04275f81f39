import { existsSync, statfsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { hasLinear, mixerOf } from '../../../mixers/registry.ts';
import { type Checkpoint, hasWeights, openCheckpoint } from '../../../model/checkpoint.ts';
import { refuseInputs } from '../../../model/output-place.ts';
import { InputError } from '../../../util/errors.ts';
import { bounds, checkBound, checkTraining } from '../../bounds.ts';
import { DEFAULTS } from '../../defaults.ts';
import { tokensOf } from '../../train/settings.ts';
import { type DistillSettings, modelFolder, type Stage, stagesOf } from './settings.ts';
import { cachedBytes } from './teacher-cache.ts';

/** What a distillation needs of its settings and models, before any work. */

/** Tokens of alignment beyond which predictions teach more (../shared/spec: alignment is a start, never the end). */
const ENOUGH_ALIGNMENT = 500_000;

/** @throws InputError for what could only fail later, after hours of training; nothing is written */
export function checkDistillation(settings: DistillSettings): {
  from: Checkpoint;
  to: Checkpoint;
  stages: readonly Stage[];
} {
  const teacher = openCheckpoint(settings.teacher);
  const given = settings.student;
  const student = typeof given === 'string' ? openCheckpoint(given) : given;
  const name = typeof given === 'string' ? given : 'the student';
  const [from, to] = [teacher.config, student.config];
  const stages = stagesOf(settings, to.layers);
  const { temperature, all } = settings;
  if (stages.length === 0) throw new InputError('nothing to do: no stage of the distillation has any steps');
  checkBound('temperature', temperature, bounds.temperature);
  checkBound('rate of the body', all.bodyRate, bounds.weight);
  checkBound('weight of the cross-entropy', all.crossEntropy, bounds.weight);
  checkBound('weight of the divergence', all.divergence ?? 1, bounds.weight);
  checkBound('seed', settings.seed, bounds.seed);
  if (settings.patience !== undefined) checkBound('patience', settings.patience, bounds.patience);
  if (settings.rateLeft !== undefined)
    checkBound('what is left of the rate', settings.rateLeft, bounds.dropout);
  if (all.seconds !== undefined) checkBound('seconds', all.seconds, bounds.seconds);
  if (all.crossEntropy === 0 && all.divergence === 0) {
    throw new InputError(
      'both weights of the last stage are 0, of divergence and cross-entropy: there is nothing to learn',
    );
  }
  if (from.vocabSize !== to.vocabSize) {
    throw new InputError(
      `the teacher has a vocabulary of ${from.vocabSize} tokens, the hybrid of ${to.vocabSize}: expected the same`,
    );
  }
  if (settings.windowDropout !== undefined) {
    checkBound('window dropout', settings.windowDropout, bounds.dropout);
    if (settings.windowDropout > 0 && !to.layers.some((spec) => mixerOf(spec).beside)) {
      throw new InputError(
        `window dropout is for layers of a window and a linear mixer, of which ${name} has none`,
      );
    }
  }
  const linear = to.layers.some(hasLinear);
  for (const stage of stages) {
    const { length } = stage.training;
    const context = Math.min(from.maxPositionEmbeddings, to.maxPositionEmbeddings);
    if (length < 2 || length > context) {
      throw new InputError(
        `stage ${stage.name} has rows of ${length} tokens, expected 2 to ${context}, the models' context`,
      );
    }
    const steps = stage.seconds === undefined ? stage.training.steps : 1;
    checkTraining(`stage ${stage.name}`, { ...stage.training, steps }, to, { held: to.layers.length });
    if (stage.name !== 'all' && !linear) {
      throw new InputError(
        `stage ${stage.name} trains linear mixers, of which ${name} has none: 0 steps for it`,
      );
    }
    if (
      stage.name === 'features' &&
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

/** What a person should know of settings that are allowed. */
export function adviceOn(stages: readonly Stage[]): string[] {
  const aligned = stages.find(({ name }) => name === 'features');
  const tokens = aligned ? tokensOf(aligned.training) : 0;
  if (tokens <= ENOUGH_ALIGNMENT) return [];
  return [
    `stage features has ${tokens.toLocaleString('en')} tokens: beyond ${ENOUGH_ALIGNMENT.toLocaleString('en')} the stages after it, which compare ` +
      'predictions, make more of them',
  ];
}

/** The place of the result: neither an input, nor a model that another run has left. */
function claimHybrid(settings: DistillSettings, stages: readonly Stage[]): void {
  const { out, teacher, student } = settings;
  const hybrid = modelFolder(settings);
  refuseInputs(hybrid, [teacher, ...(typeof student === 'string' ? [student] : [])]);
  if (hasWeights(hybrid) && !stages.some(({ name }) => existsSync(join(out, name)))) {
    throw new InputError(`${hybrid} holds a model that this run has not made: choose another folder`);
  }
}

export const inGigabytes = (n: number) => `${(n / 1e9).toPrecision(3)} GB`;

/** Bytes of the cache of the teacher's predictions; 0 without one. */
export function cacheSize(
  { cacheLogits }: DistillSettings,
  stages: readonly Stage[],
  vocabulary: number,
): number {
  if (cacheLogits === undefined) return 0;
  const cached = stages.filter(({ losses }) => losses.vocabulary);
  if (cached.some(({ seconds }) => seconds !== undefined)) {
    throw new InputError(
      `a cache of the teacher's predictions in ${cacheLogits}, of a training that ends by its time: how much it would take is not known; expected steps, or no cache`,
    );
  }
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
