import type { Tokenizer } from '../model/tokenizer.ts';
import type { TextSource } from '../train/batches.ts';
import { InputError } from '../util/errors.ts';
import { generatedTask } from './generated/generated.ts';
import { type Drawn, type Plan, planTask } from './harness.ts';
import { planText, type TextHalf } from './held-out-text.ts';
import { worldTasks } from './mixture.ts';
import type { Encode, Task } from './task.ts';
import { vocabularyRecall } from './vocabulary-recall.ts';
import { cachedEncode } from './world-tokenizer.ts';

/** Tasks as people name them: 'recall', 'recall:accuracy', 'held-out-loss:loss:16'. */

/**
 * How good a placement is: the tasks of an objective scored on its path through the super network. As in the paper
 * an objective is the loss on the gold answer (for multiple choice) or accuracy (for retrieval and maths).
 */
export type Metric = 'loss' | 'accuracy';

export interface ObjectiveTask {
  plan: Plan;
  metric: Metric;
  /** false for a task that is judged and reported but does not count in the score. */
  guides?: boolean;
}

/** Seed of the examples that choices are made on. */
export const SEARCHED = 7;

export interface TaskSettings {
  /** Text for the task held-out-loss. */
  heldOut?: TextSource | undefined;
  /** Examples of a task that does not say how many. */
  examples: number;
  /** Tokens of a row of held-out text. */
  length: number;
  /** Seed that examples are drawn with. */
  examplesSeed?: number | undefined;
  /** Examples of another seed that must not be drawn again; their number is that of the objective that says one. */
  apart?: Drawn | undefined;
}

export const WORLD_TASKS = [
  'recall:accuracy',
  'choice:accuracy',
  'arithmetic:accuracy',
  'needle:accuracy',
  'tracking:accuracy',
];
export const HELD_OUT_TASK = 'held-out-loss';

/** All names that --task takes. */
export function taskNames(): string[] {
  return [HELD_OUT_TASK, 'vocabulary-recall', ...worldTasks.map(({ name }) => name)];
}

export function objectiveTask(text: string, options: TaskSettings, tokenizer: Tokenizer): ObjectiveTask {
  const { name, metric, examples, saysHowMany } = parseTask(text, options.examples);
  const apart = options.apart && { ...options.apart, ...(saysHowMany && { examples }) };
  const half = apart ? 'second' : 'first';
  return { plan: planOf(name, { ...options, examples, apart, half }, tokenizer), metric };
}

/** 'recall:accuracy:64' in parts. */
export interface ParsedTask {
  name: string;
  metric: Metric;
  examples: number;
  saysHowMany: boolean;
}

/** @throws InputError for what is not name, name:metric or name:metric:examples */
export function parseTask(text: string, byDefault: number): ParsedTask {
  const [name = '', given, count, ...more] = text.split(':');
  const metric = given ?? (name === HELD_OUT_TASK ? 'loss' : 'accuracy');
  if (metric !== 'accuracy' && metric !== 'loss') {
    throw new InputError(`the task ${text}: the metric is '${metric}', expected accuracy or loss`);
  }
  const examples = count === undefined ? byDefault : Number(count);
  if (!Number.isInteger(examples) || examples < 1 || more.length > 0) {
    throw new InputError(
      `the task ${text}: '${[count, ...more].join(':')}' examples, expected a whole number above 0`,
    );
  }
  return { name, metric, examples, saysHowMany: count !== undefined };
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
  }: TaskSettings & { half?: TextHalf },
  tokenizer: Tokenizer,
): ObjectiveTask['plan'] {
  const encode = (text: string) => tokenizer.encode(text, { addSpecialTokens: false });
  if (name === HELD_OUT_TASK) {
    if (!heldOut) throw new InputError(`the task ${HELD_OUT_TASK} needs --held-out FILE`);
    return planText(name, heldOut, encode, { rows: examples, length, seed, half });
  }
  if (name === 'vocabulary-recall') {
    return planTask(vocabularyRecall(tokenizer.vocabulary(), encode), examples, seed, encode, apart);
  }
  if (name.includes('@')) return planTask(generatedOf(name, encode), examples, seed, encode, apart);
  const task = worldTasks.find((each) => each.name === name);
  if (!task) throw new InputError(`unknown task '${name}'; expected one of ${taskNames().join(', ')}`);
  return planTask(task, examples, seed, cachedEncode(encode), apart);
}

/** A generated task by its name and length: 'needle@4096', '64K' for 65,536. */
function generatedOf(text: string, encode: Encode): Task {
  const [name, length] = text.split('@') as [string, string];
  const [, count, unit] = /^(\d+)(K|k)?$/.exec(length) ?? [];
  if (count === undefined) {
    throw new InputError(
      `the task ${text}: '${length}' tokens, expected a whole number above 0 such as 4096 or 64K`,
    );
  }
  return generatedTask(name, Number(count) * (unit ? 1024 : 1), encode);
}
