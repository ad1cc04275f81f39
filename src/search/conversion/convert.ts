import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { ModelConfig } from '../../model/config.ts';
import { writePlacement } from '../../model/placed-folder.ts';
import { type Placement, placementOf } from '../../model/placement.ts';
import { defined } from '../../util/defined.ts';
import { writeFileAtomic } from '../../util/files.ts';
import { noticeBy } from '../../util/progress.ts';
import { hashOf } from '../../util/store/identity.ts';
import { remember } from '../../util/store/kept.ts';
import { compare } from '../compare/compare.ts';
import { thisMachine } from '../machine.ts';
import { measureTimes } from '../reach/measure-times.ts';
import { placementSpecs } from '../reach/placement.ts';
import type { PlacedReach, ReachResult } from '../reach/result.ts';
import { searchReach } from '../reach/search-reach.ts';
import { placementUse, trainedUse, writeCard } from './card.ts';
import { choosePlacement, keptOf, parentOf } from './choose.ts';
import { controlsOf } from './controls.ts';
import type { ConvertOptions } from './options.ts';
import { prepareConversion } from './prepare.ts';
import { CONVERSION_FORMAT, type ConversionResult, conversionSchema } from './result.ts';
import { type TrainingPlan, trainConversion } from './train.ts';

export interface Converted {
  result: ConversionResult;
  placement: Placement;
  /** What `--placement` takes: its name where the model is a folder here, else its path. */
  use: string;
  /** Files that were written. */
  written: string[];
}

/**
 * Makes a model cheap: measures what full heads and windows cost here, searches which KV heads must see everything, takes the
 * placement that does what is wanted, trains it to predict what the parent does where there is time for that, and compares it
 * with its parent and the trivial baselines. Writes `placements/NAME.json` into the model's folder where that is one here, and
 * into `out`; `result.json` there, and what was trained in `model` and `controls`.
 *
 * @throws InputError for a model that has other mixers already, for budgets in which nothing fits, for texts that are too short
 */
export async function convert(options: ConvertOptions): Promise<Converted> {
  const prepared = await prepareConversion(options, true);
  const { folder, checkpoint, weights, wanted, windows, sinks, cache, budgets, training } = prepared;
  const { model, data, out, onProgress, signal, dtype, threads, command } = options;
  const { config } = checkpoint;
  const { context } = wanted;
  for (const line of prepared.lines) noticeBy(onProgress, 'convert')(line);
  const common = defined({ threads, onProgress, signal });
  const measured = { weights, context, windows, sinks, cache };
  const conditions = { ...measured, dtype: dtype ?? null, threads: threads ?? null };
  const times = prepared.timed
    ? await remember(join(out, 'times', `${hashOf(conditions)}.json`), conditions, () =>
        measureTimes(config, checkpoint.weights, { ...measured, dtype, ...common }),
      )
    : undefined;
  const reach = await searchReach({
    ...{ model: folder, data, work: join(out, 'search'), context, budgets, windows, sinks, cache },
    ...defined({ field: options.field, times }),
    ...common,
  });
  const { chosen, reason } = choosePlacement(reach, wanted);
  const placed = reach.placements[chosen]!;
  const name = options.name ?? nameOf(context, placed);
  const student = { ...checkpoint, config: configOf(config, placed) };
  const placement = placementOf(config, student.config, { name, weights, made: madeOf(reach, chosen) });
  const written = [writePlacement(out, placement)];
  // A model that is a folder here finds it by its name.
  const isFolder = existsSync(join(model, 'config.json'));
  if (isFolder) written.push(writePlacement(model, placement));
  const controls = options.controls ? controlsOf(checkpoint, reach, placed) : { controls: [], skipped: [] };
  const trained = training && (await trainConversion(training, student, controls));
  const trainings = trained ? [trained, ...trained.controls] : [];
  const hybrids = trainings.map((each) => each.model);
  const compared =
    prepared.compared && (await compare({ ...prepared.compared, hybrids, placements: [written[0]!] }));
  const seconds = [reach, ...trainings, ...(compared ? [compared] : [])];
  const result = conversionSchema.parse({
    format: CONVERSION_FORMAT,
    ...(command !== undefined && { command }),
    created: new Date().toISOString(),
    machine: thisMachine(),
    ...{ name, wanted, reach, chosen, reason, kept: keptOf(reach), comparison: compared ?? null },
    training: trained ?? null,
    seconds: seconds.reduce((sum, each) => sum + each.seconds, 0),
  } satisfies ConversionResult);
  if (compared) {
    const of = { model, folder, name };
    const card = join(out, 'README.md');
    written.push(writeCard(card, compared, 1 + hybrids.length, placementUse(of), of));
    if (trained) writeCard(join(trained.model, 'README.md'), compared, 1, trainedUse(trained, of), of);
  }
  const path = join(out, 'result.json');
  writeFileAtomic(path, `${JSON.stringify(result, null, 1)}\n`);
  return {
    ...{ result, placement, use: isFolder ? name : written[0]! },
    written: [...written, ...hybrids, path],
  };
}

/** What a conversion is going to do and to take, without any of it. */
export async function estimateConversion(
  options: ConvertOptions,
): Promise<{ lines: string[]; training: TrainingPlan | null }> {
  const { lines, planned = null } = await prepareConversion(options, false);
  return { lines, training: planned };
}

function configOf(config: ModelConfig, { layers }: Pick<PlacedReach, 'layers'>): ModelConfig {
  return { ...config, layers: placementSpecs(layers, config) };
}

/** '32K-6-heads' */
function nameOf(context: number, { heads }: PlacedReach): string {
  const tokens = context % 1024 === 0 ? `${context / 1024}K` : String(context);
  return `${tokens}-${heads}-head${heads === 1 ? '' : 's'}`;
}

/** What a stranger to the file wants to know. */
function madeOf(reach: ReachResult, chosen: number) {
  const placed = reach.placements[chosen]!;
  const { text, recall } = keptOf(reach)[chosen]!;
  const round = (value: number) => Number(value.toFixed(4));
  return {
    by: 'postnas convert',
    context: reach.context,
    heads: placed.heads,
    bytes: Math.round(placed.cost.bytes),
    parent_bytes: Math.round(parentOf(reach).cost.bytes),
    ...(text !== null && { text_nats: round(text) }),
    recall_kept: recall.map((share) => (share === null ? null : round(share))),
  };
}
