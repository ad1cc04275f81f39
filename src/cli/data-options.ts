import { existsSync, readFileSync } from 'node:fs';
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
import { wholeNumber } from './command.ts';

/** What the commands that train and judge have in common: on what, by what, how their command line is repeated. */

export interface BatchOptions {
  data: string;
  heldOut?: string;
  objective: string[];
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
  rate: string;
}

const WORLD_OBJECTIVES = [
  'recall:accuracy',
  'choice:accuracy',
  'arithmetic:accuracy',
  'needle:accuracy',
  'tracking:accuracy',
];

/** Adds these options to a command. */
export function withData(command: Command): Command {
  return withBatches(command).option('--rate <x>', 'highest learning rate', '1e-3');
}

/** The same for a command with learning rates of its own. */
export function withBatches(command: Command): Command {
  return command
    .option('--data <what>', "text file to train on, or 'world' for the generated world", 'world')
    .option('--held-out <file>', 'text for the objective held-out-loss')
    .option(
      '--objective <task:metric:examples...>',
      'what is judged by; metric is accuracy or loss',
      WORLD_OBJECTIVES,
    )
    .option('--examples <n>', 'examples of each task that does not say', wholeNumber, 128)
    .option('--rows <n>', 'rows of a step', wholeNumber, 8)
    .option('--length <n>', 'tokens of a row', wholeNumber, 256)
    .addOption(deviceOption('where it is trained and judged').default('cpu'))
    .option('--threads <n>', 'threads of ONNX Runtime (all cores when not given)', wholeNumber);
}

/** --device for a command, without a default. */
export function deviceOption(what: string): Option {
  return new Option('--device <name>', what).choices(['cpu', 'webgpu']);
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

/** @throws InputError for files and tasks that do not exist */
export function dataOf(
  model: string,
  options: BatchOptions,
): { batches: TrainingData; tasks: ObjectiveTask[] } {
  const tokenizer = loadTokenizer(model);
  const encode = cachedEncode((text) => tokenizer.encode(text, { addSpecialTokens: false }));
  return {
    batches:
      options.data === 'world'
        ? worldBatches(tokenizer, tokenizerIdentity(model))
        : textBatches(readText(options.data), encode, options.data, tokenizerIdentity(model)),
    tasks: options.objective.map((text) => objectiveTask(text, options, tokenizer)),
  };
}

/** A command with every option spelled out, for a shell. */
export function commandLine(command: string, models: string | readonly string[], options: object): string {
  const quoted = (text: string) =>
    /^[\w.,:/@+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
  const flags = Object.entries(options).flatMap(([name, value]: [string, unknown]) => {
    // How it is printed makes no difference to what is found.
    if (value === undefined || value === false || name === 'json' || name === 'quiet') return [];
    const flag = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    return value === true ? [flag] : [flag, ...[value].flat().map((each) => quoted(String(each)))];
  });
  return [`postnas ${command}`, ...[models].flat().map(quoted), ...flags].join(' ');
}

/** What a command that follows has to be told again, for a shell: '--data novels.txt --rows 2'. */
export function sharedOptions({ data, heldOut, objective, rows, length, device }: BatchOptions): string {
  const defaults = objective.join() === WORLD_OBJECTIVES.join();
  const given = {
    data: data === 'world' ? undefined : data,
    heldOut,
    objective: defaults ? undefined : objective,
    rows,
    length,
    device: device === 'cpu' ? undefined : device,
  };
  return commandLine('', [], given).replace(/^postnas +/, '');
}

function worldBatches(tokenizer: Tokenizer, identity: string): TrainingData {
  const encode = cachedEncode((text) => tokenizer.encode(text, { addSpecialTokens: false }));
  return {
    identity: `world ${tokenizer.eosIds[0]} ${identity}`,
    fill: (out, width, random) => fillRows(out, width, random, encode, tokenizer.eosIds[0]!),
  };
}

export function readText(path: string): string {
  if (!existsSync(path)) throw new InputError(`${path}: no such file; expected a text file`);
  return readFileSync(path, 'utf8');
}

function objectiveTask(text: string, options: BatchOptions, tokenizer: Tokenizer): ObjectiveTask {
  const [name, metric = 'accuracy', count] = text.split(':') as [string, string?, string?];
  if (metric !== 'accuracy' && metric !== 'loss') {
    throw new InputError(`--objective ${text}: the metric is '${metric}', expected accuracy or loss`);
  }
  const examples = count === undefined ? options.examples : Number(count);
  if (!Number.isInteger(examples) || examples < 1) {
    throw new InputError(`--objective ${text}: '${count}' examples, expected a whole number above 0`);
  }
  const apart = options.apart && { ...options.apart, ...(count !== undefined && { examples }) };
  const half = apart ? 'second' : 'first';
  return { plan: planOf(name, { ...options, examples, apart, half }, tokenizer), metric: metric as Metric };
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
  if (name === 'held-out-loss') {
    if (!heldOut) throw new InputError('the objective held-out-loss needs --held-out FILE');
    return planText(name, readText(heldOut), encode, { rows: examples, length, seed, half });
  }
  if (name === 'vocabulary-recall') {
    return planTask(vocabularyRecall(tokenizer.vocabulary(), encode), examples, seed, encode, apart);
  }
  const task = worldTasks.find((each) => each.name === name);
  if (!task) {
    const known = ['held-out-loss', 'vocabulary-recall', ...worldTasks.map((each) => each.name)];
    throw new InputError(`unknown task '${name}'; expected one of ${known.join(', ')}`);
  }
  return planTask(task, examples, seed, cachedEncode(encode), apart);
}
