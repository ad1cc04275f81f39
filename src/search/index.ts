/**
 * The search as functions of plain settings. Each writes what it finds into the folder `out`, and run again with the same
 * settings it goes on from what is there. A setting that is not given is that of `DEFAULTS`.
 */
import { availableParallelism } from 'node:os';
import { bounds, checkBound } from './bounds.ts';
import {
  type BlocksSettings,
  blocksRecipe,
  type DesignSettings,
  type DimensionsSettings,
  type DistillSettings,
  designRecipe,
  dimensionsRecipe,
  distillRecipe,
  type SearchSettings,
  searchRecipe,
} from './one-stage.ts';
import { readRecipe, recipeOf } from './read-recipe.ts';
import type { Recipe, RecipeInput } from './recipe.ts';
import type { Result } from './result.ts';
import { type Estimate, estimateRun } from './run/estimate.ts';
import { planOf } from './run/plan.ts';
import { prepareRun, type RunSettings } from './run/prepare.ts';
import { performHere, RunProgress } from './run/progress.ts';
import { checkRunSettings } from './run/settings.ts';
import type { StageName } from './run/stage.ts';
import { runRecipe } from './run.ts';

export type { OnProgress, ProgressEvent } from '../util/progress.ts';
export { compare } from './compare/compare.ts';
export type { CompareOptions } from './compare/options.ts';
export type { CompareResult } from './compare/result.ts';
export { type Converted, convert } from './conversion/convert.ts';
export type { ConvertOptions } from './conversion/options.ts';
export type { ConversionResult } from './conversion/result.ts';
export { DEFAULTS } from './defaults.ts';
export { type EvaluateOptions, type Evaluation, evaluate } from './evaluate.ts';
export type {
  BlocksSettings,
  DesignSettings,
  DimensionsSettings,
  DistillSettings,
  SearchSettings,
  SharedSettings,
} from './one-stage.ts';
export { type MeasureTimesOptions, measureTimes } from './reach/measure-times.ts';
export type { SearchReachOptions } from './reach/options.ts';
export type { ReachBudget, ReachResult } from './reach/result.ts';
export { searchReach } from './reach/search-reach.ts';
export { readResult } from './read-result.ts';
export type { Recipe, RecipeInput } from './recipe.ts';
export type { Result } from './result.ts';
export type { Estimate } from './run/estimate.ts';
export type { RunSettings } from './run/prepare.ts';
export type { BlocksResult } from './stages/blocks/result.ts';
export type { PlacementResult } from './stages/placement/result.ts';
export { type StartHybridOptions, startHybrid } from './start-hybrid.ts';

/** A result that has the part of a stage, and the folder of the hybrid that it left. */
export type Found<N extends StageName> = Result & Required<Pick<Result, N | 'hybrid' | 'recipe'>>;

type Where = Omit<RunSettings, 'device'>;

/**
 * Stage 1 of PostNAS: aligns linear blocks, trains a super network of them, and searches the layers that must keep full
 * attention.
 *
 * @throws InputError for settings that cannot be, and for a folder that holds another run
 */
export function search(settings: SearchSettings & Where): Promise<Found<'placement'>> {
  return one(searchRecipe, settings);
}

/** Stage 2: trains, judges and times each block at a given placement, and takes one. @throws InputError as `search` */
export function blocks(settings: BlocksSettings & Where): Promise<Found<'blocks'>> {
  return one(blocksRecipe, settings);
}

/** Stage 3: the same for designs of the JetBlock. @throws InputError as `search` */
export function design(settings: DesignSettings & Where): Promise<Found<'design'>> {
  return one(designRecipe, settings);
}

/** Stage 4: the same for heads and widths of one block. @throws InputError as `search` */
export function dimensions(settings: DimensionsSettings & Where): Promise<Found<'dimensions'>> {
  return one(dimensionsRecipe, settings);
}

/** The final training: a hybrid learns to do what the model does that it was made of. @throws InputError as `search` */
export function distill(settings: DistillSettings & Where): Promise<Found<'final'>> {
  return one(distillRecipe, settings);
}

/**
 * All stages that a recipe names, one after the other in this process.
 *
 * @param recipe a JSON file, or what would stand in it
 * @throws InputError as `search`
 */
export async function run(recipe: RecipeInput | string, settings: RunSettings): Promise<Result> {
  checkRunSettings(settings);
  const context = await prepareRun(read(recipe), settings);
  const { signal, threads, device, onProgress } = context;
  const tokens = planOf(context.recipe, context.config).reduce(
    (n, stage) => n + stage.aligned + stage.trained,
    0,
  );
  const progress = new RunProgress(tokens, onProgress);
  return runRecipe(context, (units) => performHere(units, progress, { signal, threads, device }));
}

/**
 * What a recipe will take on this machine, by a few steps on the model's first layers; nothing is trained nor written.
 *
 * @param jobs trainings that will be done at the same time
 * @throws InputError as `search`
 */
export async function estimate(
  recipe: RecipeInput | string,
  { jobs = 1, out = 'runs', ...others }: Partial<RunSettings> & { jobs?: number } = {},
): Promise<Estimate> {
  checkBound('jobs', jobs, bounds.jobs);
  // As the command line shares them out.
  const threads = jobs === 1 ? undefined : Math.max(1, Math.floor(availableParallelism() / jobs));
  const settings = { threads, ...others, out };
  checkRunSettings(settings);
  return estimateRun(await prepareRun(read(recipe), settings), jobs);
}

const read = (recipe: RecipeInput | string): Recipe =>
  typeof recipe === 'string' ? readRecipe(recipe) : recipeOf(recipe);

/** The result of a recipe of one stage has this one's part. */
async function one<S extends object, N extends StageName>(
  recipe: (settings: S) => RecipeInput,
  { out, threads, command, onProgress, signal, ...settings }: S & Where,
): Promise<Found<N>> {
  const result = await run(recipe(settings as unknown as S), { out, threads, command, onProgress, signal });
  return result as Found<N>;
}
