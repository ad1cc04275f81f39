import { join } from 'node:path';
import { Command } from 'commander';
import { openCheckpoint } from '../../model/checkpoint.ts';
import { resolveModel } from '../../model/hub.ts';
import { linearKinds, linearMixer } from '../../search/linear-mixer.ts';
import { type SearchSettings, searchPlacement } from '../../search/pipeline.ts';
import type { SearchResult } from '../../search/result.ts';
import type { PathSampling } from '../../search/supernet.ts';
import { InputError } from '../../util/errors.ts';
import { action, type Common, wholeNumber } from '../command.ts';
import {
  commandLine,
  type DataOptions,
  dataOf,
  sharedOptions,
  unseenTasks,
  withData,
} from '../data-options.ts';
import { searchSummary } from '../search-summary.ts';

interface SearchOptions extends DataOptions {
  out: string;
  mixer: string;
  budget: number;
  seeds: number;
  alignSteps: number;
  supernetSteps: number;
  finishSteps: number;
  sampling: string;
  beam: number;
  random: number;
  exhaustive?: boolean;
}

/** `postnas search`: where full attention must stay. */
export function search(): Command {
  const command = new Command('search')
    .description('find the layers that must keep full attention, and write the hybrid')
    .argument('<model>', 'a Hugging Face folder, or the id of a model on the Hub')
    .option('--out <folder>', 'where states, result.json, report.html and the hybrid go', 'runs/search')
    .option('--mixer <kind>', `what takes the place of attention: ${linearKinds().join(', ')}`, 'gla')
    .option('--budget <n>', 'layers that keep full attention', wholeNumber, 2)
    .option('--seeds <n>', 'how often the whole search is repeated', wholeNumber, 1)
    .option('--align-steps <n>', 'steps of alignment', wholeNumber, 300)
    .option('--supernet-steps <n>', 'steps of the super network', wholeNumber, 600)
    .option('--finish-steps <n>', 'steps of the chosen hybrid after the search; 0 for none', Number, 0)
    .option('--sampling <rule>', 'how paths are drawn: budget, uniform or coin', 'budget')
    .option('--beam <n>', 'width of the beam', wholeNumber, 3)
    .option('--random <n>', 'random placements to compare with; 0 for none', Number, 8)
    .option('--exhaustive', 'judge every placement of the budget too (small models)')
    .addHelpText(
      'after',
      '\nExamples:\n  postnas search models/base --seeds 3 --exhaustive\n' +
        '  postnas search ./SmolLM2-135M --mixer gated_deltanet --budget 4 --data novels.txt \\\n' +
        '    --held-out more-novels.txt --objective held-out-loss:loss:8 vocabulary-recall:accuracy:64',
    );
  withData(command);
  return action<SearchOptions>(command, async (common, options, [model]) => {
    const result = await runSearch(common, await resolveModel(model!), options);
    common.result(result, searchSummary(result, options.out, sharedOptions(options)));
  });
}

/** Runs a search and writes its report. */
async function runSearch(
  { progress, signal }: Common,
  model: string,
  options: SearchOptions,
): Promise<SearchResult> {
  const { config } = openCheckpoint(model);
  const shape = { batch: options.rows, length: options.length };
  const rate = Number(options.rate);
  const settings: SearchSettings = {
    model,
    out: options.out,
    mixer: linearMixer(options.mixer, config),
    budget: options.budget,
    seeds: Array.from({ length: options.seeds }, (_, i) => i + 1),
    ...dataOf(model, options),
    unseenTasks: unseenTasks(model, options),
    align: { ...shape, steps: options.alignSteps, rate },
    supernet: {
      ...shape,
      steps: options.supernetSteps,
      rate,
      sampling: samplingRule(options.sampling, options.budget),
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
  const result = await searchPlacement(settings);
  // Charting is loaded when it is needed: that takes a second.
  const { writeSearchReport } = await import('../../report/search-report.ts');
  writeSearchReport(join(options.out, 'report.html'), result);
  return result;
}

function samplingRule(rule: string, budget: number): PathSampling {
  if (rule === 'budget') return { rule, budget };
  if (rule === 'uniform' || rule === 'coin') return { rule };
  throw new InputError(`--sampling ${rule}: expected budget, uniform or coin`);
}
