import { type Command, Option } from 'commander';
import type { DataSettings } from '../search/data.ts';
import { DEFAULTS } from '../search/defaults.ts';
import { HELD_OUT_TASK, taskNames } from '../tasks/objective.ts';
import { addWithAliases, deviceOption, lengthOption, otherwise, threadsOption } from './options.ts';
import { positive, wholeNumber } from './parsers.ts';
import { fileToRead } from './paths.ts';

/** What the commands that train and judge have in common: on what, and by what. */

export interface DataOptions extends DataSettings {
  rate: number;
  /** How many. */
  seeds: number;
}

/** Adds --task, --examples and --held-out to a command: what a model is judged by. */
export function withTasks(command: Command, byDefault: string, examples = DEFAULTS.examples): Command {
  const task = new Option(
    '--task <name...>',
    `what the model is judged by: name, name:metric or name:metric:examples, with accuracy or loss as the metric and a name of ${taskNames().join(', ')}`,
  );
  const heldOut = new Option('--held-out <file>', `text for the task ${HELD_OUT_TASK}`);
  heldOut.argParser(fileToRead('--held-out', 'a text file'));
  addWithAliases(command, heldOut, '--text');
  addWithAliases(command, otherwise(task, byDefault), '--objective');
  return command.option(
    '--examples <n>',
    'examples of a task that does not say how many',
    wholeNumber,
    examples,
  );
}

/** Adds these options to a command. */
export function withData(command: Command, { rate }: { rate: number }): Command {
  return withBatches(command).option('--rate <x>', 'highest learning rate', positive, rate);
}

/** The same for a command with learning rates of its own. */
export function withBatches(command: Command, { examples = DEFAULTS.examples } = {}): Command {
  const data = new Option(
    '--data <file>',
    "text to train on, or 'world' for the text that the package generates",
  );
  const file = fileToRead('--data', "a text file, or 'world'");
  data.argParser((text) => (text === 'world' ? text : file(text)));
  command.addOption(otherwise(data, 'world for the embedded model; other models need a text'));
  withTasks(
    command,
    `the tasks of the world for the embedded model, ${HELD_OUT_TASK}:loss for others`,
    examples,
  );
  return command
    .option('--rows <n>', 'rows of text in a training step', wholeNumber, DEFAULTS.rows)
    .addOption(lengthOption().default(DEFAULTS.length))
    .addOption(deviceOption().default(DEFAULTS.device))
    .addOption(threadsOption());
}
