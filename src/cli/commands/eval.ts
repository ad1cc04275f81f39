import { Command, Option } from 'commander';
import { WEIGHT_DTYPES } from '../../model/quantized-tensors.ts';
import { EVALUATED, type EvaluateOptions, evaluate } from '../../search/evaluate.ts';
import { HELD_OUT_TASK } from '../../tasks/objective.ts';
import { action } from '../command.ts';
import { settingsOf } from '../command-line.ts';
import { withTasks } from '../data-options.ts';
import {
  addWithAliases,
  dtypeOption,
  kvDtypeOption,
  lengthOption,
  modelArgument,
  otherwise,
  threadsOption,
} from '../options.ts';
import { natural, tokenCount, wholeNumber } from '../parsers.ts';
import { folderToRead, folderToWrite } from '../paths.ts';

type Options = Omit<EvaluateOptions, 'model' | 'tasks'> & { task?: string[]; seeds?: never };

/** `postnas eval`: perplexity on a text and accuracy on tasks, by the engine that generates. */
export function evalCommand(): Command {
  const command = new Command('eval')
    .description(
      'Measure the perplexity of a model on a text and its accuracy on tasks, also with weights of few bits.',
    )
    .addArgument(modelArgument());
  addWithAliases(
    command,
    new Option('--held-out-rows <n>', 'rows of the held-out text, spread over it')
      .argParser(wholeNumber)
      .default(EVALUATED.heldOutRows),
    '--rows',
  );
  withTasks(command, `${HELD_OUT_TASK} where there is a text`)
    .addOption(lengthOption().default(EVALUATED.length))
    .option(
      '--limit <n>',
      'documents of each public set, the first ones; of mmlu, of each subject',
      wholeNumber,
    )
    .option('--shots <n>', 'solved examples in front of each question of a public set', natural)
    .option('--seed <n>', 'shots and examples are drawn with', natural)
    .option(
      '--data-dir <folder>',
      'the files of public sets',
      folderToRead('--data-dir', 'a folder with data sets'),
    )
    .option('--max-length <n>', 'the longest row of a public set in tokens', tokenCount)
    .option('-o, --out <folder>', 'keep scores here', folderToWrite('--out', 'a folder'))
    .option('--log-samples', 'write the log-likelihoods of every document into the folder of --out')
    .addOption(otherwise(dtypeOption(WEIGHT_DTYPES), 'as they are stored'))
    .addOption(kvDtypeOption())
    .addOption(threadsOption())
    .addHelpText(
      'after',
      '\nThe same options take the same places of the text and the same examples: run it with and without --dtype q4 to see ' +
        'what 4 bits cost.\n' +
        '\nExamples:\n  postnas eval models/hybrid --held-out novel.txt --dtype q4\n' +
        '  postnas eval models/base --task recall choice arithmetic --examples 256',
    );
  return action<Options>(command, async ({ progress, signal, result }, options, [model]) => {
    const { report: onProgress, log: onNotice } = progress;
    const { threads, out } = options;
    const how = { threads, onProgress, onNotice, signal, ...(out !== undefined && { out }) };
    const found = await evaluate({ ...settingsOf(options), ...how, model: model! });
    result(found, found.table);
  });
}
