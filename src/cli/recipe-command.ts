import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { Device } from '../graph/index.ts';
import { countParameters, modelParameters } from '../model/parameters.ts';
import { recipeIn, recipeOf } from '../search/read-recipe.ts';
import type { Recipe, RecipeInput } from '../search/recipe.ts';
import type { Result } from '../search/result.ts';
import { checkKept } from '../search/run/check-kept.ts';
import type { RunContext } from '../search/run/context.ts';
import { type Estimate, estimateRun } from '../search/run/estimate.ts';
import { planOf } from '../search/run/plan.ts';
import { prepareRun } from '../search/run/prepare.ts';
import { performHere, RunProgress } from '../search/run/progress.ts';
import { checkLayout, type StageName, stagesOf, type Unit, withDependents } from '../search/run/stage.ts';
import { type Perform, runRecipe } from '../search/run.ts';
import { isPiped } from '../tasks/corpus/names.ts';
import { InputError } from '../util/errors.ts';
import { writeFileAtomic } from '../util/files.ts';
import type { OnProgress } from '../util/progress.ts';
import { type Common, resumingAction } from './command.ts';
import { commandLine } from './command-line.ts';
import { shownEstimate, shownPlan } from './estimates.ts';
import { estimateOption, jobsOption } from './options.ts';
import type { Leftovers } from './restart.ts';
import { type WatchOptions, watched, watchOptions } from './watch.ts';
import { performInWorkers } from './workers.ts';

/** Every command that searches or distils runs a recipe: this is how, with its estimate, its page and its workers. */

export interface RunOptions extends Partial<WatchOptions> {
  out: string;
  jobs?: number;
  threads?: number;
  device?: Device;
  estimate?: boolean;
  restart?: boolean;
  restartFrom?: readonly StageName[];
}

/** Adds the options of a command that runs a recipe. */
export function withRunning(command: Command): Command {
  for (const option of [jobsOption(), estimateOption(), ...watchOptions()]) command.addOption(option);
  return command;
}

/** A command that is a recipe of one stage: what the recipe is, and how its result is shown. */
export interface OneStage<Options> {
  name: string;
  leftovers: Leftovers;
  recipe(options: Options, models: readonly string[]): RecipeInput;
  /** @param options as they were given, for the commands that follow */
  summary(result: Result, options: Options): string;
}

/** Gives a command its action. */
export function recipeCommand<Options extends RunOptions>(
  command: Command,
  { name, leftovers, recipe, summary }: OneStage<Options>,
): Command {
  return resumingAction<Options>(
    withRunning(command),
    leftovers,
    ({ out }) => out,
    async (common, options, models, begin) => {
      const file = join(options.out, 'recipe.json');
      const what = recipeOf(recipe(options, models));
      const result = await runFromRecipe(
        common,
        { recipe: what, file, command: commandLine(name, models, options) },
        options,
        begin,
        // For workers, and for whoever wants to run it with more stages.
        () => writeFileAtomic(file, `${JSON.stringify(recipeIn(file, what), null, 2)}\n`),
      );
      if (result) common.result(result, summary(result, options));
    },
    { writes: ({ estimate }) => !estimate },
  );
}

/**
 * The stages whose work goes where a run begins anew from some of them.
 *
 * @throws InputError for a stage that the recipe does not have
 */
export function removedFrom(recipe: Recipe, names: readonly StageName[] = []): StageName[] {
  const stages = stagesOf(recipe);
  const unknown = names.find((name) => !stages.includes(name));
  if (unknown) {
    throw new InputError(
      `--restart-from ${unknown}: the recipe has no such stage; expected some of ${stages.join(', ')}`,
    );
  }
  return withDependents(names);
}

interface Source {
  recipe: Recipe;
  /** Where a worker reads it. */
  file: string;
  command: string;
}

/**
 * Runs a recipe and writes its report, or says only what it will take.
 *
 * @param begin is called when nothing is wrong with it
 * @param taken is called when the folder is this run's alone
 * @returns the result; undefined for an estimate, which is printed
 */
export async function runFromRecipe(
  common: Common,
  { recipe, file, command }: Source,
  options: RunOptions,
  begin: () => void,
  taken?: () => void,
): Promise<Result | undefined> {
  const { out } = options;
  const { signal, progress: shown } = common;
  const { context, jobs } = await prepare(common, recipe, command, options);
  if (!options.estimate) shown.log(shownPlan(context));
  // What is there must fit, before seconds go into the estimate.
  if (!options.estimate && !options.restart) {
    checkLayout(context);
    checkKept(context, removedFrom(recipe, options.restartFrom));
  }
  const estimate = await estimateRun(context, jobs);
  if (options.estimate) {
    common.result(
      { recipe: context.recipe, jobs, ...estimate },
      `${shownPlan(context)}\n${tableOf(estimate, jobs)}`,
    );
    return undefined;
  }
  shown.log(tableOf(estimate, jobs));
  begin();
  const { threads, device } = context;
  const report = join(out, 'report.html');
  const { tokens, seconds } = estimate;
  const plan = { recipe: file, model: recipe.model, report, stages: stagesOf(recipe), tokens, seconds };
  const workerArgs = (units: number) => {
    const shares = Math.min(jobs, units);
    const each = options.threads ?? Math.max(1, Math.floor(availableParallelism() / shares));
    const shared = ['--threads', String(each), '--device', device!, '--quiet'];
    return ({ id }: Unit) => ['run', file, '--out', out, '--unit', id, ...shared];
  };
  return watched(common, { port: 0, ...options }, out, plan, async (watcher) => {
    const onProgress: OnProgress = (event) => {
      shown.report(event);
      watcher?.onProgress(event);
    };
    const progress = new RunProgress(tokens, onProgress, (unit) => watcher?.unitDone(unit));
    const perform: Perform = (units) => {
      if (jobs === 1) return performHere(units, progress, { signal, threads, device });
      return performInWorkers(units, { args: workerArgs(units.length), jobs, progress, signal });
    };
    const result = await runRecipe({ ...context, onProgress }, perform, {
      ...(taken && { taken }),
      begin: (stage, units) => watcher?.begin(stage, units),
      skip: (stage, units) => {
        progress.skip(units);
        watcher?.skip(stage);
      },
      found: (result) => watcher?.found(result),
    });
    // Charting is loaded when it is needed: that takes a second.
    const { writeReport } = await import('../report/report.ts');
    writeReport(report, result);
    return result;
  });
}

/** Parameters up to which a training fills one core at most. */
const SMALL = 20e6;

async function prepare(
  { progress, signal }: Common,
  recipe: Recipe,
  command: string,
  options: RunOptions,
): Promise<{ context: RunContext; jobs: number }> {
  const { out, device } = options;
  const context = await prepareRun(recipe, { out, device, command, onProgress: progress.report, signal });
  const cores = availableParallelism();
  const small = countParameters(modelParameters(context.config)) <= SMALL;
  // A GPU is one for all.
  const wanted = options.jobs ?? (small && context.device === 'cpu' ? cores : 1);
  const most = Math.max(1, ...planOf(context.recipe, context.config).map(({ trials }) => trials));
  // Workers cannot read what this process has read from a pipe.
  const isAlone = [recipe.data ?? [], recipe.heldOut ?? []].flat().some(isPiped);
  const jobs = isAlone ? 1 : Math.min(wanted, most);
  return { context: { ...context, threads: options.threads ?? Math.max(1, Math.floor(cores / jobs)) }, jobs };
}

function tableOf({ stages }: Estimate, jobs: number): string {
  const rows = stages.map((stage) => ({ ...stage, tokens: stage.aligned + stage.trained }));
  return shownEstimate(rows, jobs);
}
