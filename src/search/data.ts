import type { Device } from '../graph/index.ts';
import { loadTokenizer, tokenizerIdentity } from '../model/folder.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import type { Drawn } from '../tasks/harness.ts';
import { fillRows } from '../tasks/mixture.ts';
import type { ObjectiveTask } from '../tasks/objective.ts';
import { HELD_OUT_TASK, objectiveTask, SEARCHED, WORLD_TASKS } from '../tasks/objective.ts';
import { checkApart, readText, speaksOfTheWorld } from '../tasks/texts.ts';
import { cachedEncode } from '../tasks/world-tokenizer.ts';
import { type TrainingData, textBatches } from '../train/batches.ts';
import { InputError } from '../util/errors.ts';

/** What models are trained on and judged by, of settings as a person gives them. */

export interface DataSettings {
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

/** Seed of the examples that no choice has seen. */
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
  options: DataSettings,
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
  options: DataSettings,
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

function textNeeded(model: string, { heldOut, task }: DataSettings): string {
  const judged = heldOut === undefined && task === undefined ? ', and other text to judge it by' : '';
  return (
    `${model} is not a model of the generated world: it needs text to train on${judged}, such as\n` +
    '  --data novels.txt --held-out more-novels.txt\n' +
    '(--data world trains it on the text that the package generates for its own model)'
  );
}

/** A text that nothing is judged by is a mistake, and so is a loss without its text. */
function checkHeldOut({ heldOut, task }: Pick<DataSettings, 'heldOut' | 'task'>): void {
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

const encoder = (tokenizer: Tokenizer) =>
  cachedEncode((text) => tokenizer.encode(text, { addSpecialTokens: false }));

function worldBatches(tokenizer: Tokenizer, identity: string): TrainingData {
  const encode = encoder(tokenizer);
  return {
    identity: `world ${tokenizer.eosIds[0]} ${identity}`,
    fill: (out, width, random) => fillRows(out, width, random, encode, tokenizer.eosIds[0]!),
  };
}
