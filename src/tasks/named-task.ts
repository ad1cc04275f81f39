import type { Tokenizer } from '../model/tokenizer.ts';
import { InputError } from '../util/errors.ts';
import { didYouMean } from '../util/meant.ts';
import { drawnTask } from './datasets/dataset.ts';
import { type DatasetSource, loadDatasets } from './datasets/load.ts';
import { isPublic, publicNames, publicTasks } from './datasets/sets.ts';
import { describeGenerated, GENERATED_TASKS, generatedTask } from './generated/generated.ts';
import type { Reading } from './harness.ts';
import { worldTasks } from './mixture.ts';
import { readingOf } from './reading.ts';
import type { Encode, Task } from './task.ts';
import { vocabularyRecall } from './vocabulary-recall.ts';
import { cachedEncode } from './world-tokenizer.ts';

/** All tasks by their names. */

/** Rows of a text that is held out. */
export const HELD_OUT_TASK = 'held-out-loss';
/** All of a text, which only an evaluation takes. */
export const WHOLE_TEXT_TASK = 'perplexity';

/** What --task takes, with a line for people on each. */
export function allTasks(): { name: string; about: string }[] {
  return [
    ...publicTasks(),
    ...GENERATED_TASKS.map((name) => ({ name: `${name}@LENGTH`, about: describeGenerated(name) })),
    ...worldTasks.map(({ name }) => ({ name, about: 'of the generated world, for its own models' })),
    { name: 'vocabulary-recall', about: 'words by their keys, out of a list of pairs in any vocabulary' },
    { name: HELD_OUT_TASK, about: 'loss of rows of the text of --held-out' },
    {
      name: WHOLE_TEXT_TASK,
      about:
        'all of the text of --held-out: perplexity of words and bytes, bits per byte; `postnas eval` alone',
    },
  ];
}

/** A task as it is called, its length in full: 'needle@65536' for 'needle@64K'. */
export function fullName(name: string): string {
  return name.replace(/@(\d+)k$/i, (_, count) => `@${Number(count) * 1024}`);
}

/**
 * A task that draws examples, and how they are read.
 *
 * @param options of public tasks
 * @throws InputError for a name that is none, and for files of public tasks as loadDatasets does
 */
export async function namedTask(
  name: string,
  tokenizer: Tokenizer,
  options: DatasetSource & { contextLength?: number | undefined },
): Promise<{ task: Task; reading: Encode | Reading }> {
  const encode = (text: string) => tokenizer.encode(text, { addSpecialTokens: false });
  if (isPublic(name)) {
    const task = drawnTask(name, await loadDatasets(name, options));
    return { task, reading: readingOf(tokenizer, options.contextLength) };
  }
  if (name === 'vocabulary-recall') {
    return { task: vocabularyRecall(tokenizer.vocabulary(), encode), reading: encode };
  }
  if (name.includes('@')) {
    return { task: generatedOf(name, encode), reading: readingOf(tokenizer, options.contextLength) };
  }
  const task = worldTasks.find((each) => each.name === name);
  if (task) return { task, reading: cachedEncode(encode) };
  const names = allTasks().map(({ name }) => name);
  const every = [...publicNames(), ...names.filter((each) => !each.includes('_SUBJECT'))];
  throw new InputError(
    `unknown task '${name}'; expected one of ${names.join(', ')}${didYouMean(name, every)}`,
  );
}

/** A generated task by its name and length: 'needle@4096'. */
function generatedOf(text: string, encode: Encode): Task {
  const [name, length, ...more] = text.split('@') as [string, string];
  if (!/^[1-9]\d*$/.test(length) || more.length > 0) {
    throw new InputError(
      `the task ${text}: expected the length in tokens behind the @, such as ${name}@4096 or ${name}@64K`,
    );
  }
  return generatedTask(name, Number(length), encode);
}
