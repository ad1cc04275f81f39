import { Command, Option } from 'commander';
import { WEIGHT_DTYPES } from '../../model/quantized-tensors.ts';
import { EVALUATED, type EvaluateOptions, evaluate, isText } from '../../search/evaluate.ts';
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
import { wholeNumber } from '../parsers.ts';
import { table } from '../table.ts';

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
    const { threads } = options;
    const how = { threads, onProgress, onNotice, signal };
    const found = await evaluate({ ...settingsOf(options), ...how, model: model! });
    const lines = found.scores.map((score) => {
      const ofText = isText(score.name);
      return [
        score.name,
        String(score.examples),
        ofText ? '' : (100 * score.accuracy).toFixed(1),
        score.goldLossPerToken.toFixed(4),
        ofText ? found.perplexity!.toFixed(3) : '',
      ];
    });
    result(found, table(['task', 'examples', 'accuracy %', 'nats a token', 'perplexity'], lines));
  });
}
