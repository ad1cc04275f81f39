import { Argument, Command, Option } from 'commander';
import { WEIGHT_DTYPES } from '../../model/quantized-tensors.ts';
import { DEFAULTS } from '../../search/defaults.ts';
import { EVALUATED, type EvaluateOptions, type Evaluation, evaluate } from '../../search/evaluate.ts';
import { exampleText } from '../../search/evaluation/show.ts';
import { allTasks, HELD_OUT_TASK } from '../../tasks/named-task.ts';
import { InputError } from '../../util/errors.ts';
import { action, type Common } from '../command.ts';
import { settingsOf } from '../command-line.ts';
import { withTasks } from '../data-options.ts';
import {
  addWithAliases,
  dtypeOption,
  kvDtypeOption,
  lengthOption,
  otherwise,
  outFolder,
  placementOption,
  seedOption,
  threadsOption,
} from '../options.ts';
import { tokenCount, wholeNumber } from '../parsers.ts';
import { table } from '../table.ts';

type Options = Omit<EvaluateOptions, 'model' | 'tasks'> & {
  task?: string[];
  seeds?: never;
  listTasks?: boolean;
  showExample?: string;
};

/** `postnas eval`: perplexity on a text and accuracy on tasks, by the engine that generates. */
export function evalCommand(): Command {
  const command = new Command('eval')
    .description(
      'Measure the perplexity of a model on a text and its accuracy on tasks, also with weights of few bits.',
    )
    .addArgument(new Argument('[model]', 'model folder, or a name on the Hugging Face Hub: org/model'));
  addWithAliases(
    command,
    new Option('--held-out-rows <n>', 'rows of the held-out text, spread over it')
      .argParser(wholeNumber)
      .default(EVALUATED.heldOutRows),
    '--rows',
  );
  withTasks(command, `${HELD_OUT_TASK} where there is a text`, DEFAULTS.examples, { allOfPublic: true })
    .addOption(lengthOption().default(EVALUATED.length))
    .option(
      '--limit <n>',
      'documents of each public set, the first ones; of mmlu, of each subject',
      wholeNumber,
    )
    .addOption(otherwise(seedOption(), '1234 for shots, 7 for examples'))
    .option('--max-length <n>', 'the longest row of a public set in tokens', tokenCount)
    .addOption(otherwise(outFolder(), 'nothing is kept'))
    .option('--log-samples', 'write the log-likelihoods of every document into the folder of --out')
    .option('--list-tasks', 'show all tasks, and end')
    .option('--show-example <task>', 'show the first example of a task, and end')
    .addOption(placementOption())
    .addOption(otherwise(dtypeOption(WEIGHT_DTYPES), 'as they are stored'))
    .addOption(kvDtypeOption())
    .addOption(threadsOption())
    .addHelpText(
      'after',
      '\nThe same options take the same places of the text and the same examples: run it with and without --dtype q4 to see ' +
        'what 4 bits cost. Public tasks have the names, prompts and measures of lm-evaluation-harness; --json has its fields, too.\n' +
        '\nExamples:\n  postnas eval models/hybrid --held-out novel.txt --dtype q4\n' +
        '  postnas eval models/base --task recall choice arithmetic --examples 256\n' +
        '  postnas eval HuggingFaceTB/SmolLM2-135M --task arc_easy hellaswag needle@4096 --limit 200 --out results\n' +
        '  postnas eval models/base --show-example passkey@512',
    );
  const run = async ({ progress, signal, result }: Common, options: Options, [model]: string[]) => {
    const { report: onProgress, log: onNotice } = progress;
    const { listTasks, showExample, ...settings } = options;
    if (listTasks) {
      const tasks = allTasks();
      result(
        tasks,
        table(
          ['task', 'what it asks'],
          tasks.map(({ name, about }) => [name, about]),
        ),
      );
      return;
    }
    if (model === undefined) throw new InputError('eval needs a model: a folder, or a name on the Hub');
    const { threads, out, dataDir: folder, shots, seed } = settings;
    if (showExample !== undefined) {
      const text = await exampleText(showExample, model, { folder, shots, seed, onProgress, signal });
      result({ task: showExample, example: text }, text);
      return;
    }
    const how = { threads, onProgress, onNotice, signal, ...(out !== undefined && { out }) };
    const found = await evaluate({ ...settingsOf(settings), ...how, model });
    result(found, `${found.table}\n\n${pace(found)}`);
  };
  return action<Options>(command, run, STOPPING);
}

/** '200 examples in 12.3 s: 16.3 a second' */
function pace({ scores, speed }: Evaluation): string {
  const seconds = Object.values(speed).reduce((sum, each) => sum + each.seconds, 0);
  const examples = scores.reduce((sum, each) => sum + each.examples, 0);
  return `${examples.toLocaleString('en')} examples in ${seconds.toFixed(1)} s: ${(examples / seconds).toFixed(1)} a second`;
}

const STOPPING = { end: 'stopped; what a folder of --out keeps is not computed again by the same command' };
