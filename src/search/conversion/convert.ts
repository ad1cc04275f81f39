import { existsSync } from 'node:fs';
import { freemem } from 'node:os';
import { join } from 'node:path';
import { openCheckpoint } from '../../model/checkpoint.ts';
import type { ModelConfig } from '../../model/config.ts';
import { resolveModel } from '../../model/hub.ts';
import { writePlacement } from '../../model/placed-folder.ts';
import { isPlacementName, type Placement, placementOf } from '../../model/placement.ts';
import type { WeightDtype } from '../../model/quantized-tensors.ts';
import { weightsHash } from '../../model/weights-hash.ts';
import { formulaBytes } from '../../runtime/bench/subject.ts';
import { EngineWeights } from '../../runtime/engine-weights.ts';
import type { KvDtype } from '../../runtime/kv/blocks.ts';
import { defined } from '../../util/defined.ts';
import { InputError } from '../../util/errors.ts';
import { writeFileAtomic } from '../../util/files.ts';
import { checkKnown } from '../../util/known-options.ts';
import { noticeBy, type OnProgress } from '../../util/progress.ts';
import { hashOf } from '../../util/store/identity.ts';
import { remember } from '../../util/store/kept.ts';
import { cardOf, licenseOf } from '../compare/card.ts';
import { compare } from '../compare/compare.ts';
import { COMPARED, type CompareOptions } from '../compare/options.ts';
import type { CompareResult } from '../compare/result.ts';
import { checkTexts } from '../compare/texts.ts';
import { thisMachine } from '../machine.ts';
import { measureTimes } from '../reach/measure-times.ts';
import { checkFullAttention, REACH } from '../reach/options.ts';
import { placementSpecs } from '../reach/placement.ts';
import type { PlacedReach, ReachResult } from '../reach/result.ts';
import { searchReach } from '../reach/search-reach.ts';
import { budgetsOf, type Wanted } from './budgets.ts';
import { choosePlacement, keptOf, parentOf } from './choose.ts';
import { planLines } from './plan.ts';
import { CONVERSION_FORMAT, type ConversionResult, conversionSchema } from './result.ts';

/** What holds where a conversion is not told. */
export const CONVERTED = { windows: [...REACH.windows] as number[], sinks: REACH.sinks as number };

export interface ConvertOptions extends Partial<Wanted> {
  /** A folder, or the name of a model on the Hub: full attention in all layers. */
  model: string;
  /** Files, folders and globs of text that the model was not trained on. */
  data: string | readonly string[];
  /** The field of records that has the text. */
  field?: string;
  /** Where everything is kept: the same conversion goes on from there. */
  out: string;
  /** Windows that a layer can have; 128 and 256 unless told. */
  windows?: readonly number[];
  /** First tokens of a text that windows see; 4 unless told. */
  sinks?: number;
  /** Name of the placement; made of the context and the number of heads unless told. */
  name?: string;
  /** Hours of training: 0, which is what there is so far. */
  hours?: number;
  /** Whether speed is measured; it is unless told otherwise. */
  speedMeasured?: boolean;
  /** How the result is compared with its parent: settings of `compare`; false leaves it out. */
  comparison?: Partial<Omit<CompareOptions, 'parent' | 'hybrids' | 'out' | 'heldOut'>> | false;
  /** Of the weights, for speed and comparison; as they are stored unless told. */
  dtype?: WeightDtype;
  threads?: number;
  /** The command line, for the result. */
  command?: string;
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

const KNOWN: Record<keyof ConvertOptions, true> = {
  ...{ model: true, data: true, field: true, out: true, windows: true, sinks: true, name: true, hours: true },
  ...{ context: true, memory: true, speed: true, heads: true, keep: true, textLoss: true },
  ...{ speedMeasured: true, comparison: true },
  ...{ dtype: true, threads: true, command: true, onProgress: true, signal: true },
};

export interface Converted {
  result: ConversionResult;
  placement: Placement;
  /** What `--placement` takes: its name where the model is a folder here, else its path. */
  use: string;
  /** Files that were written. */
  written: string[];
}

/**
 * Makes a model cheap without training: measures what full heads and windows cost here, searches which KV heads must see
 * everything, takes the placement that does what is wanted, and compares it with its parent and the trivial baselines.
 * Writes `placements/NAME.json` into the model's folder where that is one here, and into `out`; `result.json` there.
 *
 * @throws InputError for a model that has other mixers already, for budgets in which nothing fits, for texts that are too short
 */
export async function convert(options: ConvertOptions): Promise<Converted> {
  checkKnown(options, KNOWN);
  const { model, data, out, onProgress, signal, dtype, threads, command, comparison = {} } = options;
  const { sinks = CONVERTED.sinks, hours = 0, speedMeasured = true } = options;
  const windows = [...new Set(options.windows ?? CONVERTED.windows)].sort((a, b) => a - b);
  if (hours !== 0) {
    throw new InputError(
      `--hours ${hours}: expected 0, for training is not part of a conversion yet; postnas distill trains`,
    );
  }
  const { name: wish } = options;
  if (wish !== undefined && !isPlacementName(wish)) {
    throw new InputError(
      `the placement's name is ${JSON.stringify(wish)}, expected letters, digits and ._+-, and no .json at its end`,
    );
  }
  const folder = await resolveModel(model, { onProgress, signal });
  const checkpoint = openCheckpoint(folder);
  const { config, weights } = checkpoint;
  checkFullAttention(model, config);
  const wanted = wantedOf(options, config);
  const { context } = wanted;
  const longest = Math.max(...windows);
  if (Math.min(context, config.maxPositionEmbeddings) <= longest) {
    throw new InputError(
      `a context of ${context} tokens, of which the model knows ${config.maxPositionEmbeddings}: expected more than the longest window (${longest}), which would see everything`,
    );
  }
  const cache: KvDtype = new EngineWeights(config, weights, dtype, true).fewBits ? 'q8' : 'f32';
  const budgets = budgetsOf(wanted, config, { windows, sinks, cache });
  const timed = speedMeasured || wanted.speed !== undefined;
  if (timed) checkRoom(config, context, cache);
  const tell = noticeBy(onProgress, 'convert');
  for (const line of planLines(
    { model, config, wanted, budgets, windows, sinks, cache, out },
    { timed, compared: comparison !== false },
  ))
    tell(line);
  const common = defined({ threads, onProgress, signal });
  const compareOptions = comparison !== false && {
    ...{ parent: model, hybrids: [], out: join(out, 'comparison'), heldOut: data },
    context: Math.min(context, config.maxPositionEmbeddings),
    ...defined({ field: options.field, dtype }),
    ...common,
    ...comparison,
  };
  if (compareOptions) await checkTexts(folder, { examples: COMPARED.examples, ...compareOptions });
  const weightsOf = await weightsHash(checkpoint);
  const measured = { weights: weightsOf, context, windows, sinks, cache };
  const conditions = { ...measured, dtype: dtype ?? null, threads: threads ?? null };
  const times = timed
    ? await remember(join(out, 'times', `${hashOf(conditions)}.json`), conditions, () =>
        measureTimes(config, weights, { ...measured, dtype, ...common }),
      )
    : undefined;
  const reach = await searchReach({
    ...{ model: folder, data, work: join(out, 'search'), context, budgets, windows, sinks, cache },
    ...defined({ field: options.field, times }),
    ...common,
  });
  const { chosen, reason } = choosePlacement(reach, wanted);
  const placed = reach.placements[chosen]!;
  const name = wish ?? nameOf(context, placed);
  const placement = placementOf(config, configOf(config, placed), {
    ...{ name, weights: weightsOf },
    made: madeOf(reach, chosen),
  });
  const written = [writePlacement(out, placement)];
  // A model that is a folder here finds it by its name.
  const isFolder = existsSync(join(model, 'config.json'));
  if (isFolder) written.push(writePlacement(model, placement));
  const compared = compareOptions && (await compare({ ...compareOptions, placements: [written[0]!] }));
  const result = conversionSchema.parse({
    format: CONVERSION_FORMAT,
    ...(command !== undefined && { command }),
    created: new Date().toISOString(),
    machine: thisMachine(),
    ...{ name, wanted, reach, chosen, reason, kept: keptOf(reach), comparison: compared || null },
    seconds: reach.seconds + (compared ? compared.seconds : 0),
  } satisfies ConversionResult);
  if (compared) written.push(writeCard(out, compared, { model, folder, name }));
  const path = join(out, 'result.json');
  writeFileAtomic(path, `${JSON.stringify(result, null, 1)}\n`);
  return { result, placement, use: isFolder ? name : written[0]!, written: [...written, path] };
}

/** @throws InputError for numbers that are none */
function wantedOf(options: ConvertOptions, { maxPositionEmbeddings }: ModelConfig): Wanted {
  const { context = maxPositionEmbeddings, memory, speed, heads, keep, textLoss } = options;
  for (const [name, value, least] of [
    ['context', context, 64],
    ['heads', heads, 0],
  ] as const) {
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= least)) {
      throw new InputError(`${name} is ${value}, expected a whole number of at least ${least}`);
    }
  }
  for (const [name, value] of Object.entries({ memory, speed })) {
    if (value !== undefined && !(Number.isFinite(value) && value > 0)) {
      throw new InputError(`${name} is ${value}, expected a number above 0`);
    }
  }
  if (keep !== undefined && !(keep > 0 && keep <= 1)) {
    throw new InputError(`keep is ${keep}, expected a share of the parent's recall, above 0 and at most 1`);
  }
  if (textLoss !== undefined && !(Number.isFinite(textLoss) && textLoss >= 0)) {
    throw new InputError(`textLoss is ${textLoss}, expected nats a token, 0 or more`);
  }
  return { context, ...defined({ memory, speed, heads, keep, textLoss }) };
}

function configOf(config: ModelConfig, { layers }: PlacedReach): ModelConfig {
  return { ...config, layers: placementSpecs(layers, config) };
}

/** '32K-6-heads' */
function nameOf(context: number, { heads }: PlacedReach): string {
  const tokens = context % 1024 === 0 ? `${context / 1024}K` : String(context);
  return `${tokens}-${heads}-head${heads === 1 ? '' : 's'}`;
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

/** A README.md for the Hub: how the placement is used, the verdict, the figures. */
function writeCard(
  out: string,
  comparison: CompareResult,
  { model, folder, name }: { model: string; folder: string; name: string },
): string {
  const path = join(out, 'README.md');
  const title = comparison.models[1]!.name;
  const use = [
    `# ${title}`,
    '',
    `A placement of \`${model}\`: which of its KV heads see the whole text, and which a window. No weight was changed. With`,
    `\`placements/${name}.json\` in the model's folder:`,
    '',
    `    npx postnas generate ${model} --placement ${name} --prompt "..."`,
    '',
  ].join('\n');
  const license = licenseOf(join(folder, 'README.md'));
  writeFileAtomic(path, cardOf(use, comparison, 1, { parent: model, license }));
  return path;
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
