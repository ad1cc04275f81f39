import { type Command, Option } from 'commander';
import type { DataSettings } from '../search/data.ts';
import { DEFAULTS } from '../search/defaults.ts';
import { corpusFiles, namesSeveral } from '../tasks/corpus/names.ts';
import { HELD_OUT_TASK } from '../tasks/named-task.ts';
import { METRICS } from '../tasks/objective.ts';
import { InputError } from '../util/errors.ts';
import { addWithAliases, deviceOption, lengthOption, otherwise, threadsOption } from './options.ts';
import { decimal, natural, positive, wholeNumber } from './parsers.ts';
import { fileToRead, folderToRead } from './paths.ts';

/** What the commands that train and judge have in common: on what, and by what. */

export interface DataOptions extends DataSettings {
  rate: number;
  /** How many. */
  seeds: number;
}

const FORMATS = '.txt, .jsonl, .json, .parquet, .gz';

/** Texts that an option is given, one after the other. */
function severalTexts(name: string, expected: string, ...words: string[]) {
  const file = fileToRead(name, expected);
  const parsed = (text: string): string => {
    if (words.includes(text)) return text;
    if (text === '' || !namesSeveral(text)) file(text);
    else for (const { path } of filesOf(name, text)) file(path);
    return text;
  };
  return (text: string, before: string[] = []): string[] => [...before, parsed(text)];
}

function filesOf(name: string, text: string) {
  try {
    return corpusFiles(text);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw new InputError(`${name} ${error.message}`);
  }
}

/** Files of text that are read, but not trained on. */
export function textsOption(flags: `--${string} <text...>`, meaning: string): Option {
  const [name] = flags.split(' ') as [string];
  return new Option(flags, `${meaning} (${FORMATS})`).argParser(severalTexts(name, 'a text file'));
}

/**
 * Adds --task, --examples and --held-out to a command: what a model is judged by. With `allOfPublic` a public task that does not
 * say how many has all its documents, where --examples is not given.
 */
export function withTasks(
  command: Command,
  byDefault: string,
  examples = DEFAULTS.examples,
  { heldOut = true, allOfPublic = false } = {},
): Command {
  const task = new Option(
    '--task <name...>',
    `what the model is judged by: name, name:metric or name:metric:examples, with ${METRICS.join(', ')} as the metric; \`postnas eval --list-tasks\` shows the names, such as arc_easy, needle@4096, recall`,
  );
  if (heldOut) {
    const meaning = `files, folders and globs of text for the task ${HELD_OUT_TASK}`;
    addWithAliases(command, textsOption('--held-out <text...>', meaning), '--text');
  }
  const field = new Option('--field <name>', 'the field of records that has the text');
  command.addOption(otherwise(field, 'text, or a conversation in messages or conversations'));
  addWithAliases(command, otherwise(task, byDefault), '--objective');
  const folder = new Option('--data-dir <folder>', 'files of public tasks');
  const count = new Option('--examples <n>', 'examples of a task that does not say how many').argParser(
    wholeNumber,
  );
  const shots = new Option('--shots <n>', 'solved examples in front of each question of a public task');
  return command
    .addOption(otherwise(folder.argParser(folderToRead('--data-dir', 'a folder with data sets')), 'the Hub'))
    .addOption(otherwise(shots.argParser(natural), "lm-evaluation-harness' own, 4 of gsm8k"))
    .addOption(allOfPublic ? otherwise(count, `${examples}; of public tasks all`) : count.default(examples));
}

export function rowsOption(): Option {
  return new Option('--rows <n>', 'rows of text in a training step').argParser(wholeNumber);
}

export function heldOutShareOption(): Option {
  const meaning = 'share of the documents of --data that are not trained on, but judged by';
  return new Option('--held-out-share <x>', meaning).argParser(positive);
}

export function crossEntropyOption(): Option {
  const meaning = 'weight of the loss on the text itself where all weights are trained';
  return new Option('--cross-entropy <x>', meaning).argParser(decimal);
}

export function answersOnlyOption(): Option {
  return new Option(
    '--answers-only',
    'of conversations, and of records with prompt and completion, the tokens of answers alone count where predictions are learnt',
  );
}

/** Adds these options to a command. */
export function withData(command: Command, { rate }: { rate: number }): Command {
  return withBatches(command).option('--rate <x>', 'highest learning rate', positive, rate);
}

/** The same for a command with learning rates of its own. */
export function withBatches(command: Command, { examples = DEFAULTS.examples } = {}): Command {
  const data = new Option(
    '--data <text...>',
    `files, folders and globs of text to train on (${FORMATS}), or 'world' for the text that the package generates`,
  );
  data.argParser(severalTexts('--data', "a text file, or 'world'", 'world'));
  command.addOption(otherwise(data, 'world for the embedded model; other models need a text'));
  command.addOption(
    otherwise(
      heldOutShareOption(),
      `${DEFAULTS.heldOutShare} without --held-out, where the task is asked for`,
    ),
  );
  withTasks(
    command,
    `the tasks of the world for the embedded model, ${HELD_OUT_TASK}:loss for others`,
    examples,
  );
  return command
    .addOption(rowsOption().default(DEFAULTS.rows))
    .addOption(lengthOption().default(DEFAULTS.length))
    .addOption(deviceOption().default(DEFAULTS.device))
    .addOption(threadsOption());
}
