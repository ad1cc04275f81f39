import { join } from 'node:path';
import { Command, Option } from 'commander';
import { type Checkpoint, openCheckpoint } from '../../model/checkpoint.ts';
import { resolveModel } from '../../model/hub.ts';
import { dataOf, unseenTasks } from '../../search/data.ts';
import { linearMixer } from '../../search/network/linear-mixer.ts';
import type { SearchResult } from '../../search/stages/placement/result.ts';
import { checkSearch, type SearchSettings, searchPlacement } from '../../search/stages/placement/search.ts';
import { measureSteps } from '../../search/train/rates.ts';
import { tokensOf } from '../../search/train/settings.ts';
import type { PathSampling } from '../../search/train/super-network.ts';
import { type Common, resumingAction } from '../command.ts';
import { commandLine, sharedOptions } from '../command-line.ts';
import { type DataOptions, withData } from '../data-options.ts';
import { shownEstimate } from '../estimates.ts';
import { mixerOption, modelArgument, oneOf, outFolder, seedsOption } from '../options.ts';
import { natural, wholeNumber } from '../parsers.ts';
import { LEFTOVERS } from '../restart.ts';
import { searchSummary } from '../search-summary.ts';

interface SearchOptions extends DataOptions {
  out: string;
  mixer: string;
  budget: number;
  seeds: number;
  alignSteps: number;
  supernetSteps: number;
  finishSteps: number;
  sampling: Exclude<PathSampling['rule'], 'fixed'>;
  beam: number;
  random: number;
  exhaustive?: boolean;
}

/** `postnas search`: where full attention must stay. */
export function search(): Command {
  const command = new Command('search')
    .description(
      'Find the layers that must keep full attention, and write the hybrid that has linear blocks in all others.',
    )
    .addArgument(modelArgument())
    .addOption(outFolder('runs/search'))
    .addOption(mixerOption())
    .option('--budget <n>', 'layers that keep full attention', wholeNumber, 2)
    .addOption(seedsOption())
    .option('--align-steps <n>', 'steps that train each linear block beside its attention', wholeNumber, 300)
    .option(
      '--supernet-steps <n>',
      'steps that train all blocks together, in changing placements',
      wholeNumber,
      600,
    )
    .option('--finish-steps <n>', 'steps that train the hybrid that was found', natural, 0)
    .addOption(
      oneOf(new Option('--sampling <rule>', 'how placements are drawn while all blocks are trained'), [
        'budget',
        'uniform',
        'coin',
      ]).default('budget'),
    )
    .option('--beam <n>', 'placements that the search follows at once', wholeNumber, 3)
    .option('--random <n>', 'placements drawn at random to compare with', natural, 8)
    .option('--exhaustive', 'also judge every placement of the budget, for models with few layers');
  withData(command).addHelpText(
    'after',
    '\nThe folder of --out gets the training states, result.json, report.html and the hybrid. ' +
      'While all blocks are trained, a placement is drawn for each step. --sampling says how many layers have full ' +
      'attention in it: budget, none to twice the budget; uniform, none to all but one; coin, each layer by the toss of a ' +
      'coin.\n' +
      '\nExamples:\n  postnas search models/base --seeds 3 --exhaustive\n' +
      '  postnas search ./SmolLM2-135M --budget 4 --data novels.txt --held-out more-novels.txt \\\n' +
      '    --task held-out-loss:loss:8 vocabulary-recall:accuracy:64\n' +
      "  postnas search ./SmolLM2-135M --budget 4 --data 'web/*.jsonl' chats.parquet --held-out-share 0.02",
  );
  return resumingAction<SearchOptions>(
    command,
    LEFTOVERS.search,
    ({ out }) => out,
    async (common, options, [model], begin) => {
      const { progress, signal } = common;
      const folder = await resolveModel(model!, { onProgress: progress.report, signal });
      const result = await runSearch(common, folder, options, begin);
      common.result(result, searchSummary(result, options.out, sharedOptions(options)));
    },
  );
}

/** Runs a search and writes its report. */
async function runSearch(
  { progress, signal }: Common,
  model: string,
  options: SearchOptions,
  begin: () => void,
): Promise<SearchResult> {
  const checkpoint = openCheckpoint(model);
  const shape = { batch: options.rows, length: options.length };
  const { rate, budget } = options;
  const settings: SearchSettings = {
    model,
    out: options.out,
    mixer: linearMixer(options.mixer, checkpoint.config),
    budget,
    seeds: Array.from({ length: options.seeds }, (_, i) => i + 1),
    ...(await dataOf(model, options, { onProgress: progress.report, signal })),
    unseenTasks: await unseenTasks(model, options, {}, { onProgress: progress.report, signal }),
    align: { ...shape, steps: options.alignSteps, rate },
    supernet: {
      ...shape,
      steps: options.supernetSteps,
      rate,
      sampling: options.sampling === 'budget' ? { rule: 'budget', budget } : { rule: options.sampling },
    },
    finish: { ...shape, steps: options.finishSteps, rate: rate / 2 },
    beamWidth: options.beam,
    randomSamples: options.random,
    exhaustive: options.exhaustive ?? false,
    command: commandLine('search', model, options),
    threads: options.threads,
    device: options.device,
    onProgress: progress.report,
    signal,
  };
  checkSearch(settings, checkpoint.config);
  progress.log(planned(settings, checkpoint, options.mixer));
  progress.log(await estimated(settings, checkpoint));
  begin();
  const result = await searchPlacement(settings);
  // Charting is loaded when it is needed: that takes a second.
  const { writeSearchReport } = await import('../../report/search-report.ts');
  writeSearchReport(join(options.out, 'report.html'), result);
  return result;
}

/** What the search is about to do, before anything is measured. */
function planned({ model, budget, tasks }: SearchSettings, { config }: Checkpoint, mixer: string): string {
  const layers = config.layers.length;
  const judged = tasks.map(
    ({ plan, metric }) => `${plan.name} (${metric}, ${plan.examples.length} examples)`,
  );
  return [
    `${model}: ${layers} layers, of which ${budget} keep full attention and ${layers - budget} get ${mixer}`,
    `judged by ${judged.join(', ')}`,
  ].join('\n');
}

async function estimated(settings: SearchSettings, checkpoint: Checkpoint): Promise<string> {
  const { align, supernet, finish, seeds } = settings;
  const steps = await measureSteps({ ...settings, checkpoint, align, train: supernet });
  const stage = (name: string, training: typeof align, kind: keyof typeof steps) => {
    const count = training.steps * seeds.length;
    const { median, low, high } = steps[kind];
    const tokens = tokensOf(training) * seeds.length;
    return {
      name,
      trials: seeds.length,
      tokens,
      seconds: count * median,
      low: count * low,
      high: count * high,
    };
  };
  return shownEstimate(
    [
      stage('align', align, 'align'),
      stage('super network', supernet, 'train'),
      ...(finish.steps > 0 ? [stage('finish', finish, 'train')] : []),
    ],
    1,
  );
}
