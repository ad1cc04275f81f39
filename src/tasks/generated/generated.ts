import { InputError } from '../../util/errors.ts';
import { didYouMean } from '../../util/meant.ts';
import { Random } from '../../util/random.ts';
import { collect } from '../passage.ts';
import type { Encode, Task } from '../task.ts';
import { commonWords, frequentWords } from './counted-words.ts';
import type { Draw } from './draw.ts';
import { allValues, needle, needleKeys, needleWords, passKey } from './needles.ts';
import { mqar } from './pairs.ts';
import { variableTracking } from './variables.ts';

/** Tasks with exact answers at any length, in plain English and so for any tokenizer. */

interface Generated {
  description: string;
  draw: Draw;
  /** Where the answer lies in one place, which can be chosen. */
  deep?: true;
}

const TASKS = {
  needle: { description: 'a number told once in a story, by its name', draw: needle, deep: true },
  needle_words: { description: 'a word told once in a story, by its name', draw: needleWords, deep: true },
  needle_keys: {
    description: 'one of eight numbers told in a story, by its name',
    draw: needleKeys,
    deep: true,
  },
  needle_values: { description: 'all four numbers of one name, in their order', draw: allValues, deep: true },
  passkey: { description: 'a pass key told twice at one place of a story', draw: passKey, deep: true },
  mqar: { description: 'words by their keys, out of a text that is pairs all over', draw: mqar, deep: true },
  variable_tracking: { description: 'the number at the end of four links', draw: variableTracking },
  common_words: { description: 'the word that is a fifth of a list', draw: commonWords },
  frequent_words: { description: 'the three most frequent words of a list, in order', draw: frequentWords },
} satisfies Record<string, Generated>;

/** The names that `generatedTask` takes. */
export const GENERATED_TASKS: readonly string[] = Object.keys(TASKS);

function find(name: string): Generated {
  const known: Record<string, Generated> = TASKS;
  if (Object.hasOwn(known, name)) return known[name]!;
  throw new InputError(
    `unknown generated task '${name}'; expected one of ${GENERATED_TASKS.join(', ')}${didYouMean(name, GENERATED_TASKS)}`,
  );
}

/** What a task asks, in half a sentence. */
export function describeGenerated(name: string): string {
  return find(name).description;
}

/** Whether the place of the answer can be chosen. */
export function hasDepth(name: string): boolean {
  return find(name).deep === true;
}

/**
 * @param length of an example in tokens, answer included: reached but for a sentence or two
 * @param options.depth where the answer lies, from 0 at the beginning to 1 right before the question
 * @throws InputError for a name that is none, a depth outside of 0 to 1 or of a task without one; when examples are drawn,
 * for a length that does not hold the question
 */
export function generatedTask(
  name: string,
  length: number,
  encode: Encode,
  { depth }: { depth?: number | undefined } = {},
): Task {
  const { draw, deep } = find(name);
  if (!Number.isSafeInteger(length) || length < 1) {
    throw new InputError(`the task ${name}@${length}: ${length} tokens, expected a whole number above 0`);
  }
  if (depth !== undefined && !deep) {
    throw new InputError(`the task ${name}: depth ${depth}, but its answer lies in no single place`);
  }
  if (depth !== undefined && !(depth >= 0 && depth <= 1)) {
    throw new InputError(`the task ${name}: depth ${depth}, expected 0 to 1`);
  }
  return {
    name: `${name}@${length}`,
    examples(count, seed, apart = []) {
      const random = new Random(seed);
      return collect(`${name}@${length}`, count, apart, () => draw(random, length, encode, depth));
    },
  };
}
