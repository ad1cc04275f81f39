import { type Command, Option } from 'commander';
import type { Device } from '../graph/index.ts';
import { loadTokenizer, tokenizerIdentity } from '../model/folder.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import type { Metric, ObjectiveTask } from '../search/judge.ts';
import { type Drawn, planTask } from '../tasks/harness.ts';
import { planText, type TextHalf } from '../tasks/held-out-text.ts';
import { fillRows, worldTasks } from '../tasks/mixture.ts';
import { vocabularyRecall } from '../tasks/vocabulary-recall.ts';
import { cachedEncode } from '../tasks/world-tokenizer.ts';
import { type TrainingData, textBatches } from '../train/batches.ts';
import { InputError } from '../util/errors.ts';
import { addWithAliases, deviceOption, lengthOption, otherwise, threadsOption } from './options.ts';
import { positive, wholeNumber } from './parsers.ts';
import { fileToRead } from './paths.ts';
import { checkApart, readText, speaksOfTheWorld } from './texts.ts';

/** What the commands that train and judge have in common: on what, by what, how their command line is repeated. */

export interface BatchOptions {
  /** A text file, or 'world'; without it the world for models of the world, and refused for others. */
  data?: string;
  heldOut?: string;
  /** 'name', 'name:metric' or 'name:metric:examples'; without it what fits the data. */
  task?: readonly string[];
  examples: number;
  rows: number;
  length: number;
  threads?: number;
  device?: Device;
  /** Seed that examples are drawn with. */
  examplesSeed?: number;
  /** Examples of another seed that must not be drawn again; their number is that of the objective that says one. */
  apart?: Drawn;
}

export interface DataOptions extends BatchOptions {
  rate: number;
}

const WORLD_TASKS = [
  'recall:accuracy',
  'choice:accuracy',
  'arithmetic:accuracy',
  'needle:accuracy',
  'tracking:accuracy',
];
export const HELD_OUT_TASK = 'held-out-loss';

/** All names that --task takes. */
function taskNames(): string[] {
  return [HELD_OUT_TASK, 'vocabulary-recall', ...worldTasks.map(({ name }) => name)];
}

/** Adds --task, --examples and --held-out to a command: what a model is judged by. */
export function withTasks(command: Command, byDefault: string): Command {
  const task = new Option(
    '--task <name...>',
    `what the model is judged by: name, name:metric or name:metric:examples, with accuracy or loss as the metric and a name of ${taskNames().join(', ')}`,
  );
  const heldOut = new Option('--held-out <file>', `text for the task ${HELD_OUT_TASK}`);
  heldOut.argParser(fileToRead('--held-out', 'a text file'));
  addWithAliases(command, heldOut, '--text');
  addWithAliases(command, otherwise(task, byDefault), '--objective');
  return command.option('--examples <n>', 'examples of a task that does not say how many', wholeNumber, 128);
}

/** Adds these options to a command. */
export function withData(command: Command): Command {
  return withBatches(command).option('--rate <x>', 'highest learning rate', positive, 1e-3);
}

/** The same for a command with learning rates of its own. */
export function withBatches(command: Command): Command {
  const data = new Option(
    '--data <file>',
    "text to train on, or 'world' for the text that the package generates",
  );
  const file = fileToRead('--data', "a text file, or 'world'");
  data.argParser((text) => (text === 'world' ? text : file(text)));
  command.addOption(otherwise(data, 'world for the embedded model; other models need a text'));
  withTasks(command, `the tasks of the world for the embedded model, ${HELD_OUT_TASK}:loss for others`);
  return command
    .option('--rows <n>', 'rows of text in a training step', wholeNumber, 8)
    .addOption(lengthOption().default(256))
    .addOption(deviceOption().default('cpu'))
    .addOption(threadsOption());
}

/** Seeds of the examples that choices are made on, and of those that no choice has seen. */
const SEARCHED = 7;
const UNSEEN = 11;

/**
 * The same tasks with other examples, of which none is among those of `dataOf`: rows of held-out text are from the second
 * half of the file, those of `dataOf` from the first.
 *
 * @param drawn how many of each task that does not say, and with which seed, if not as usual
 * @throws InputError where there are not so many
 */
export function unseenTasks(
  model: string,
  options: BatchOptions,
  { examples = options.examples, seed = UNSEEN }: Partial<Drawn> = {},
): ObjectiveTask[] {
  const apart = { examples: options.examples, seed: SEARCHED };
  return dataOf(model, { ...options, examples, examplesSeed: seed, apart }).tasks;
}

/**
 * @param model folder of the model that is trained, or taught by
 * @throws InputError for files and tasks that do not exist, for a model that needs a text where none is given, and for a
 *   held-out text that is trained on
 */
export function dataOf(
  model: string,
  options: BatchOptions,
): { batches: TrainingData; tasks: ObjectiveTask[] } {
  const tokenizer = loadTokenizer(model);
  const ofTheWorld = speaksOfTheWorld(tokenizer);
  const data = options.data ?? (ofTheWorld ? 'world' : undefined);
  if (data === undefined) throw new InputError(textNeeded(model, options));
  const task = options.task ?? [
    ...(ofTheWorld ? WORLD_TASKS : []),
    ...(options.heldOut !== undefined || !ofTheWorld ? [`${HELD_OUT_TASK}:loss`] : []),
  ];
  checkHeldOut({ ...options, task });
  return {
    batches:
      data === 'world'
        ? worldBatches(tokenizer, tokenizerIdentity(model))
        : trainingText(data, options.heldOut, tokenizer, tokenizerIdentity(model)),
    tasks: task.map((text) => objectiveTask(text, options, tokenizer)),
  };
}

function textNeeded(model: string, { heldOut, task }: BatchOptions): string {
  const judged = heldOut === undefined && task === undefined ? ', and other text to judge it by' : '';
  return (
    `${model} is not a model of the generated world: it needs text to train on${judged}, such as\n` +
    '  --data novels.txt --held-out more-novels.txt\n' +
    '(--data world trains it on the text that the package generates for its own model)'
  );
}

/** A text that nothing is judged by is a mistake, and so is a loss without its text. */
function checkHeldOut({ heldOut, task }: Pick<BatchOptions, 'heldOut' | 'task'>): void {
  const asked = task!.some((text) => text.split(':')[0] === HELD_OUT_TASK);
  if (heldOut !== undefined && !asked) {
    throw new InputError(
      `the held-out text ${heldOut} is for the task ${HELD_OUT_TASK}, which is none of the tasks: ${task!.join(' ')}`,
    );
  }
  if (heldOut === undefined && asked) {
    throw new InputError(`the task ${HELD_OUT_TASK} needs a text that is not trained on: --held-out FILE`);
  }
}

function trainingText(
  path: string,
  heldOut: string | undefined,
  tokenizer: Tokenizer,
  identity: string,
): TrainingData {
  const text = readText(path);
  if (heldOut !== undefined) checkApart({ path, text }, { path: heldOut, text: readText(heldOut) });
  return textBatches(text, encoder(tokenizer), path, identity);
}

/** A command with every option spelled out, for a shell. */
export function commandLine(command: string, models: string | readonly string[], options: object): string {
  const quoted = (text: string) =>
    /^[\w.,:/@+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
  const flags = Object.entries(options).flatMap(([name, value]: [string, unknown]) => {
    // How it is printed makes no difference to what is found, nor what was there before.
    if (value === undefined || value === false || ['json', 'quiet', 'restart'].includes(name)) return [];
    const flag = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    return value === true ? [flag] : [flag, ...[value].flat().map((each) => quoted(String(each)))];
  });
  return [`postnas ${command}`, ...[models].flat().map(quoted), ...flags].join(' ');
}

/** What a command that follows has to be told again, for a shell: '--data novels.txt --rows 2'. */
export function sharedOptions({ data, heldOut, task, rows, length, device }: BatchOptions): string {
  const given = { data, heldOut, task, rows, length, device: device === 'cpu' ? undefined : device };
  return commandLine('', [], given).replace(/^postnas +/, '');
}

const encoder = (tokenizer: Tokenizer) =>
  cachedEncode((text) => tokenizer.encode(text, { addSpecialTokens: false }));

function worldBatches(tokenizer: Tokenizer, identity: string): TrainingData {
  const encode = encoder(tokenizer);
  return {
    identity: `world ${tokenizer.eosIds[0]} ${identity}`,
    fill: (out, width, random) => fillRows(out, width, random, encode, tokenizer.eosIds[0]!),
  };
}

function objectiveTask(text: string, options: BatchOptions, tokenizer: Tokenizer): ObjectiveTask {
  const { name, metric, examples } = parseTask(text, options.examples);
  const saysHowMany = text.split(':').length > 2;
  const apart = options.apart && { ...options.apart, ...(saysHowMany && { examples }) };
  const half = apart ? 'second' : 'first';
  return { plan: planOf(name, { ...options, examples, apart, half }, tokenizer), metric };
}

/** @throws InputError for what is not name, name:metric or name:metric:examples */
export function parseTask(
  text: string,
  byDefault: number,
): { name: string; metric: Metric; examples: number } {
  const [name = '', given, count, ...more] = text.split(':');
  const metric = given ?? (name === HELD_OUT_TASK ? 'loss' : 'accuracy');
  if (metric !== 'accuracy' && metric !== 'loss') {
    throw new InputError(`--task ${text}: the metric is '${metric}', expected accuracy or loss`);
  }
  const examples = count === undefined ? byDefault : Number(count);
  if (!Number.isInteger(examples) || examples < 1 || more.length > 0) {
    throw new InputError(
      `--task ${text}: '${[count, ...more].join(':')}' examples, expected a whole number above 0`,
    );
  }
  return { name, metric, examples };
}

/** @throws InputError for a name that is no task's */
export function planOf(
  name: string,
  {
    examples,
    heldOut,
    length,
    examplesSeed: seed = SEARCHED,
    apart,
    half,
  }: Pick<BatchOptions, 'examples' | 'heldOut' | 'length' | 'examplesSeed' | 'apart'> & {
    half?: TextHalf;
  },
  tokenizer: Tokenizer,
): ObjectiveTask['plan'] {
  const encode = (text: string) => tokenizer.encode(text, { addSpecialTokens: false });
  if (name === HELD_OUT_TASK) {
    if (!heldOut) throw new InputError(`the task ${HELD_OUT_TASK} needs --held-out FILE`);
    return planText(name, readText(heldOut), encode, { rows: examples, length, seed, half });
  }
  if (name === 'vocabulary-recall') {
    return planTask(vocabularyRecall(tokenizer.vocabulary(), encode), examples, seed, encode, apart);
  }
  const task = worldTasks.find((each) => each.name === name);
  if (!task) throw new InputError(`unknown task '${name}'; expected one of ${taskNames().join(', ')}`);
  return planTask(task, examples, seed, cachedEncode(encode), apart);
}
