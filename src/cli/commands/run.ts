import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import type { Device } from '../../graph/index.ts';
import { openCheckpoint } from '../../model/checkpoint.ts';
import { resolveModel } from '../../model/hub.ts';
import { countParameters, modelParameters } from '../../model/parameters.ts';
import { dataOf, unseenTasks } from '../../search/data.ts';
import { readRecipe } from '../../search/recipe.ts';
import type { Result } from '../../search/result.ts';
import { checkRun } from '../../search/run/check.ts';
import type { RunContext } from '../../search/run/context.ts';
import { type Estimate, estimateRun } from '../../search/run/estimate.ts';
import { performHere, RunProgress } from '../../search/run/progress.ts';
import type { Unit } from '../../search/run/stage.ts';
import { type Perform, runRecipe, runUnit, stagesOf } from '../../search/run.ts';
import type { OnProgress } from '../../util/progress.ts';
import { type Common, resumingAction } from '../command.ts';
import { shownEstimate } from '../estimates.ts';
import { deviceOption, jobsOption, otherwise, outFolder, threadsOption } from '../options.ts';
import { fileToRead } from '../paths.ts';
import { LEFTOVERS } from '../restart.ts';
import { runSummary } from '../run-summary.ts';
import { type WatchOptions, watched, watchOptions } from '../watch.ts';
import { asWorker, performInWorkers } from '../workers.ts';

interface Options extends Partial<WatchOptions> {
  out?: string;
  jobs?: number;
  threads?: number;
  device?: Device;
  estimate?: boolean;
  unit?: string;
}

/** `postnas run`: all stages of PostNAS and the final training, from one recipe. */
export function run(): Command {
  const command = new Command('run')
    .description('Do the stages of PostNAS that a recipe names, and write the hybrid and a report.')
    .argument(
      '<recipe>',
      'a JSON file, such as those in recipes/',
      fileToRead('<recipe>', 'a recipe in JSON'),
    )
    .addOption(otherwise(outFolder(), 'runs/ and the name of the recipe'))
    .addOption(jobsOption())
    .addOption(threadsOption())
    .addOption(otherwise(deviceOption(), "the recipe's"))
    .addOption(new Option('--estimate', 'only say how long it will take').conflicts('restart'))
    .addOption(
      new Option(
        '--unit <id>',
        'do one part of the run, such as blocks/seed-1/gla; the stages before it must be done',
      ).conflicts('restart'),
    )
    .addHelpText(
      'after',
      `${RESUMES}\nExamples:\n  postnas run recipes/quick.json\n  postnas run recipes/nano.json --jobs 2 --out runs/nano\n` +
        '  postnas run recipes/nano.json --watch\n' +
        '  postnas run recipes/nano.json --estimate',
    );
  for (const option of watchOptions()) command.addOption(option);
  const folderOf = ({ out }: Options, [recipe = '']: string[]) =>
    out ?? join('runs', recipe.replace(/^.*[\\/]|\.json$/g, ''));
  return resumingAction<Options>(
    command,
    LEFTOVERS.run,
    folderOf,
    async (common, options, args, begin) => {
      const [recipe = ''] = args;
      const out = folderOf(options, args);
      if (options.unit) {
        await asWorker(common, async (onProgress) => {
          const context = await contextOf(common, recipe, out, options);
          await runUnit({ ...context, onProgress }, options.unit!);
        });
        return;
      }
      if (options.estimate) {
        const { context, jobs } = await prepare(common, recipe, out, options);
        const estimate = await estimateRun(context, jobs);
        common.result(estimate, shown(estimate, jobs));
        return;
      }
      const result = await runFromRecipe(common, recipe, { ...options, out }, begin);
      common.result(result, runSummary(result, out));
    },
    // The folder of a unit is its parent's.
    ({ unit, estimate }) => unit === undefined && !estimate,
  );
}

/** How a run goes on, for the help. */
export const RESUMES =
  '\nA run that is stopped by Ctrl-C or killed goes on when the same command is run again, and ends with the same result.\n';

/** Runs a recipe and writes its report. */
export async function runFromRecipe(
  common: Common,
  recipe: string,
  options: Options & { out: string },
  begin: () => void,
): Promise<Result> {
  const { out } = options;
  const { context, jobs } = await prepare(common, recipe, out, options);
  const { threads, device, signal } = context;
  const estimate = await estimateRun(context, jobs);
  common.progress.log(shown(estimate, jobs));
  begin();
  const { recipe: what } = context;
  const report = join(out, 'report.html');
  const { tokens, seconds } = estimate;
  const plan = { recipe, model: what.model, report, stages: stagesOf(what), tokens, seconds };
  const workerArgs = (units: number) => {
    const shares = Math.min(jobs, units);
    const each = options.threads ?? Math.max(1, Math.floor(availableParallelism() / shares));
    const shared = ['--threads', String(each), '--device', device!, '--quiet'];
    return ({ id }: Unit) => ['run', recipe, '--out', out, '--unit', id, ...shared];
  };
  return watched(common, { port: 0, ...options }, out, plan, async (watcher) => {
    const onProgress: OnProgress = (event) => {
      common.progress.report(event);
      watcher?.onProgress(event);
    };
    const progress = new RunProgress(tokens, onProgress, (unit) => watcher?.unitDone(unit));
    const perform: Perform = (units) => {
      if (jobs === 1) return performHere(units, progress, { signal, threads, device });
      return performInWorkers(units, { args: workerArgs(units.length), jobs, progress, signal });
    };
    const result = await runRecipe({ ...context, onProgress }, perform, {
      begin: (stage, units) => watcher?.begin(stage, units),
      skip: (stage, units) => {
        progress.skip(units);
        watcher?.skip(stage);
      },
      found: (result) => watcher?.found(result),
    });
    // Charting is loaded when it is needed: that takes a second.
    const { writeReport } = await import('../../report/report.ts');
    writeReport(report, result);
    return result;
  });
}

/** Parameters up to which a training fills one core at most. */
const SMALL = 20e6;

async function prepare(common: Common, recipe: string, out: string, options: Options) {
  const context = await contextOf(common, recipe, out, options);
  checkRun(context);
  const cores = availableParallelism();
  const small = countParameters(modelParameters(context.config)) <= SMALL;
  // A GPU is one for all.
  const jobs = options.jobs ?? (small && context.device === 'cpu' ? cores : 1);
  const threads = options.threads ?? Math.max(1, Math.floor(cores / jobs));
  return { context: { ...context, threads }, jobs };
}

async function contextOf(
  common: Common,
  path: string,
  out: string,
  { threads = 0, device }: Options,
): Promise<RunContext> {
  const recipe = readRecipe(path);
  const { signal } = common;
  const model = await resolveModel(recipe.model, { signal, onProgress: common.progress.report });
  const options = { ...recipe, task: recipe.tasks };
  const { batches, tasks } = dataOf(model, options);
  const examples = recipe.final?.examples ?? recipe.examples;
  return {
    recipe,
    model,
    config: openCheckpoint(model).config,
    out,
    batches,
    tasks,
    freshTasks: unseenTasks(model, options, { examples }),
    threads,
    device: device ?? recipe.device,
    command: `postnas run ${path}`,
    onProgress: common.progress.report,
    signal,
  };
}

function shown({ stages }: Estimate, jobs: number): string {
  const rows = stages.map((stage) => ({ ...stage, tokens: stage.aligned + stage.trained }));
  return shownEstimate(rows, jobs);
}
