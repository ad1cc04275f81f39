import { Command, Option } from 'commander';
import { stagesOf } from '../../report/stages.ts';
import { DEFAULTS } from '../../search/defaults.ts';
import { type SearchSettings, searchRecipe } from '../../search/one-stage.ts';
import { settingsOf, sharedOptions } from '../command-line.ts';
import { type DataOptions, withData } from '../data-options.ts';
import {
  mixerOption,
  modelArgument,
  oneOf,
  outFolder,
  seedsOption,
  startOption,
  windowDropoutOption,
} from '../options.ts';
import { natural, wholeNumber } from '../parsers.ts';
import { type RunOptions, recipeCommand } from '../recipe-command.ts';
import { LEFTOVERS } from '../restart.ts';
import { searchSummary } from '../search-summary.ts';

type Options = RunOptions & DataOptions & Omit<SearchSettings, keyof DataOptions>;

const byDefault = DEFAULTS.placement;

/** `postnas search`: where full attention must stay. */
export function search(): Command {
  const command = new Command('search')
    .description(
      'Find the layers that must keep full attention, and write the hybrid that has linear blocks in all others.',
    )
    .addArgument(modelArgument())
    .addOption(outFolder('runs/search'))
    .addOption(mixerOption())
    .addOption(startOption())
    .addOption(windowDropoutOption())
    .option('--budget <n>', 'layers that keep full attention', wholeNumber, byDefault.budget)
    .addOption(seedsOption())
    .option(
      '--align-steps <n>',
      'steps that train each linear block beside its attention',
      wholeNumber,
      byDefault.alignSteps,
    )
    .option(
      '--supernet-steps <n>',
      'steps that train all blocks together, in changing placements',
      wholeNumber,
      byDefault.supernetSteps,
    )
    .option(
      '--finish-steps <n>',
      'steps that train the hybrid that was found',
      natural,
      byDefault.finishSteps,
    )
    .addOption(
      oneOf(new Option('--sampling <rule>', 'how placements are drawn while all blocks are trained'), [
        'budget',
        'uniform',
        'coin',
      ]).default(byDefault.sampling),
    )
    .option('--beam <n>', 'placements that the search follows at once', wholeNumber, byDefault.beam)
    .option('--random <n>', 'placements drawn at random to compare with', natural, byDefault.random)
    .option('--exhaustive', 'also judge every placement of the budget, for models with few layers');
  withData(command, { rate: byDefault.rate }).addHelpText(
    'after',
    '\nThe folder of --out gets the training states, result.json, report.html and the hybrid. ' +
      'While all blocks are trained, a placement is drawn for each step. --sampling says how many layers have full ' +
      'attention in it: budget, none to twice the budget; uniform, none to all but one; coin, each layer by the toss of a ' +
      'coin.\n' +
      '\nExamples:\n  postnas search models/base --seeds 3 --exhaustive\n  postnas search models/base --estimate\n' +
      '  postnas search ./SmolLM2-135M --budget 4 --data novels.txt --held-out more-novels.txt \\\n' +
      '    --task held-out-loss:loss:8 vocabulary-recall:accuracy:64\n' +
      "  postnas search ./SmolLM2-135M --budget 4 --data 'web/*.jsonl' chats.parquet --held-out-share 0.02",
  );
  return recipeCommand<Options>(command, {
    name: 'search',
    leftovers: LEFTOVERS.search,
    recipe: (options, [model]) => searchRecipe({ ...settingsOf(options), model: model! }),
    summary: (result, options) =>
      searchSummary(stagesOf(result).search!, options.out, sharedOptions(options)),
  });
}
