import type { Tokenizer } from '../model/tokenizer.ts';
import type { TextSource } from '../train/batches.ts';
import { InputError } from '../util/errors.ts';
import type { DatasetSource } from './datasets/load.ts';
import { descriptionsOf } from './datasets/sets.ts';
import { type Drawn, type Plan, planTask } from './harness.ts';
import { planText, type TextHalf } from './held-out-text.ts';
import { fullName, HELD_OUT_TASK, namedTask, WHOLE_TEXT_TASK } from './named-task.ts';

/** Tasks as people name them: 'recall', 'recall:accuracy', 'held-out-loss:loss:16'. */

/**
 * How good a placement is: the tasks of an objective scored on its path through the super network. As in the paper
 * an objective is the loss on the gold answer (for multiple choice) or accuracy (for retrieval and maths); accuracy_norm
 * where lm-evaluation-harness has it.
 */
export const METRICS = ['accuracy', 'accuracy_norm', 'loss'] as const;
export type Metric = (typeof METRICS)[number];

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
  /** Where the files of public tasks come from. */
  datasets?: DatasetSource | undefined;
  /** The longest row of a public task in tokens; longer ones lose their beginning. */
  contextLength?: number | undefined;
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

/** @throws InputError as `parseTask` and `planOf` do, and for a metric that the task does not have without writing answers */
export async function objectiveTask(
  text: string,
  options: TaskSettings,
  tokenizer: Tokenizer,
): Promise<ObjectiveTask> {
  const { name, metric, examples, saysHowMany } = parseTask(text, options.examples);
  checkMetric(text, name, metric);
  const apart = options.apart && { ...options.apart, ...(saysHowMany && { examples }) };
  const half = apart ? 'second' : 'first';
  return { plan: await planOf(name, { ...options, examples, apart, half }, tokenizer), metric };
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
  const [called = '', given, count, ...more] = text.split(':');
  const name = fullName(called);
  const kind = descriptionsOf(name)?.[0]?.kind;
  const byLoss =
    name === HELD_OUT_TASK || kind === 'generation' || kind === 'text' || name === WHOLE_TEXT_TASK;
  const metric = METRICS.find((each) => each === (given ?? (byLoss ? 'loss' : 'accuracy')));
  if (!metric) {
    throw new InputError(`the task ${text}: the metric is '${given}', expected one of ${METRICS.join(', ')}`);
  }
  const examples = count === undefined ? byDefault : Number(count);
  if (!Number.isInteger(examples) || examples < 1 || more.length > 0) {
    throw new InputError(
      `the task ${text}: '${[count, ...more].join(':')}' examples, expected a whole number above 0`,
    );
  }
  return { name, metric, examples, saysHowMany: count !== undefined };
}

/**
 * A search scores answers by their log-probabilities alone.
 *
 * @throws InputError for accuracy where an answer would have to be written, or there is none, and for accuracy_norm where
 *   the task has none
 */
export function checkMetric(text: string, name: string, metric: Metric): void {
  const sets = descriptionsOf(name);
  const { kind } = sets?.[0] ?? {};
  if (metric === 'accuracy' && (kind === 'generation' || kind === 'text')) {
    const why =
      kind === 'text'
        ? 'nothing in it is right or wrong'
        : 'its answers are written, which `postnas eval` does';
    throw new InputError(`the task ${text}: ${why}; expected ${name}:loss`);
  }
  if (metric === 'accuracy_norm' && !sets?.[0]?.normalised) {
    throw new InputError(
      `the task ${text}: it has no accuracy_norm; expected ${name}:accuracy or ${name}:loss`,
    );
  }
}

/** @throws InputError for a name that is no task's, and for files of public tasks as loadDatasets does */
export async function planOf(
  name: string,
  {
    examples,
    heldOut,
    length,
    examplesSeed: seed = SEARCHED,
    apart,
    half,
    datasets = {},
    contextLength,
  }: TaskSettings & { half?: TextHalf },
  tokenizer: Tokenizer,
): Promise<Plan> {
  if (name === HELD_OUT_TASK) {
    if (!heldOut) throw new InputError(`the task ${HELD_OUT_TASK} needs --held-out FILE`);
    const encode = (text: string) => tokenizer.encode(text, { addSpecialTokens: false });
    return planText(name, heldOut, encode, { rows: examples, length, seed, half });
  }
  const { task, reading } = await namedTask(name, tokenizer, { ...datasets, contextLength });
  return planTask(task, examples, seed, reading, apart);
}
