import { freemem } from 'node:os';
import { join } from 'node:path';
import { type Checkpoint, openCheckpoint } from '../../model/checkpoint.ts';
import type { ModelConfig } from '../../model/config.ts';
import { resolveModel } from '../../model/hub.ts';
import { weightsHash } from '../../model/weights-hash.ts';
import { formulaBytes } from '../../runtime/bench/subject.ts';
import { EngineWeights } from '../../runtime/engine-weights.ts';
import type { KvDtype } from '../../runtime/kv/blocks.ts';
import { defined } from '../../util/defined.ts';
import { InputError } from '../../util/errors.ts';
import { hashOf } from '../../util/store/identity.ts';
import { remember } from '../../util/store/kept.ts';
import { COMPARED, type CompareOptions } from '../compare/options.ts';
import { checkTexts } from '../compare/texts.ts';
import { DEFAULTS } from '../defaults.ts';
import { checkFullAttention } from '../reach/options.ts';
import { placementSpecs, windowed } from '../reach/placement.ts';
import type { ReachBudget } from '../reach/result.ts';
import { budgetsOf, type Wanted } from './budgets.ts';
import { CONVERTED, type ConvertOptions, checkOptions, wantedOf } from './options.ts';
import { planLines } from './plan.ts';
import { planTraining, type TrainingPlan, type TrainSettings, trainingOf } from './train.ts';

/** What a conversion is told, looked through before any work: what a later part would refuse costs the hours of those before it. */
export interface Prepared {
  /** Of the parent. */
  folder: string;
  checkpoint: Checkpoint;
  /** A hash of its weights. */
  weights: string;
  wanted: Wanted;
  windows: readonly number[];
  sinks: number;
  /** Of heads that see everything. */
  cache: KvDtype;
  budgets: readonly ReachBudget[];
  /** Whether full heads and windows are timed. */
  timed: boolean;
  training?: TrainSettings;
  planned?: TrainingPlan;
  compared: (CompareOptions & { context: number }) | undefined;
  /** What is going to be done, in sentences. */
  lines: string[];
}

/**
 * @param keep whether the steps that are timed are kept in the conversion's folder
 * @throws InputError as `convert` does
 */
export async function prepareConversion(options: ConvertOptions, keep: boolean): Promise<Prepared> {
  checkOptions(options);
  const { model, data, out, onProgress, signal, dtype, threads, comparison = {} } = options;
  const { sinks = CONVERTED.sinks, hours = 0, speedMeasured = true, controls = false } = options;
  const windows = [...new Set(options.windows ?? CONVERTED.windows)].sort((a, b) => a - b);
  const folder = await resolveModel(model, { onProgress, signal });
  const checkpoint = openCheckpoint(folder);
  const { config } = checkpoint;
  checkFullAttention(model, config);
  const wanted = wantedOf(options, config);
  const { context } = wanted;
  const longest = Math.max(...windows);
  if (Math.min(context, config.maxPositionEmbeddings) <= longest) {
    throw new InputError(
      `a context of ${context} tokens, of which the model knows ${config.maxPositionEmbeddings}: expected more than the longest window (${longest}), which would see everything`,
    );
  }
  const cache: KvDtype = new EngineWeights(config, checkpoint.weights, dtype, true).fewBits ? 'q8' : 'f32';
  const budgets = budgetsOf(wanted, config, { windows, sinks, cache });
  const timed = speedMeasured || wanted.speed !== undefined;
  if (timed) checkRoom(config, context, cache);
  const compared = comparison !== false && {
    ...{ parent: model, hybrids: [], out: join(out, 'comparison'), heldOut: data },
    context: Math.min(context, config.maxPositionEmbeddings),
    ...defined({ field: options.field, dtype }),
    ...(hours > 0 && { heldOutShare: options.heldOutShare ?? DEFAULTS.heldOutShare }),
    ...defined({ threads, onProgress, signal }),
    ...comparison,
  };
  if (compared) await checkTexts(folder, { examples: COMPARED.examples, ...compared });
  const weights = await weightsHash(checkpoint);
  const training = hours > 0 ? await trainingOf(options, folder, weights, context, config) : undefined;
  // Which heads will see everything makes no difference to the time.
  const layers = placementSpecs(windowed(config, longest, sinks), config);
  const planned =
    training && (await timedPlan(training, { ...checkpoint, config: { ...config, layers } }, keep));
  const lines = planLines(
    { model, config, wanted, budgets, windows, sinks, cache, out },
    {
      ...{ timed, compared: comparison !== false },
      ...(planned && { trained: { ...planned, hours, controls } }),
    },
  );
  return {
    ...{ folder, checkpoint, weights, wanted, windows, sinks, cache, budgets, timed, lines },
    ...(training && { training }),
    ...(planned && { planned }),
    compared: compared || undefined,
  };
}

/** The plan of a training; steps are timed once. */
function timedPlan(training: TrainSettings, student: Checkpoint, keep: boolean): Promise<TrainingPlan> {
  const make = () => planTraining(training, student);
  if (!keep) return make();
  const { weights, out, hours, rows, length, crossEntropy, threads } = training;
  const conditions = { weights, hours, rows, length, crossEntropy, threads: threads ?? null };
  return remember(join(out, 'training', `plan-${hashOf(conditions)}.json`), conditions, make);
}

/** A sequence may take so much of the memory that is free. */
const SHARE_OF_MEMORY = 0.5;

/** @throws InputError where a sequence of full attention does not fit into memory */
function checkRoom(config: ModelConfig, context: number, cache: KvDtype): void {
  const [bytes, free] = [formulaBytes(config, context, cache), freemem()];
  if (bytes <= SHARE_OF_MEMORY * free) return;
  const size = (value: number) => `${(value / 1e9).toFixed(1)} GB`;
  throw new InputError(
    `a sequence of ${context} tokens takes ${size(bytes)} with full attention, this machine has ${size(free)} free: expected a shorter --context, or --no-timing`,
  );
}
