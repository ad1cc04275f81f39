import type { Tokenizer } from '../../model/tokenizer.ts';
import { type Dataset, firstExamples, SHOTS_SEED } from '../../tasks/datasets/dataset.ts';
import { type DatasetSource, loadDatasets } from '../../tasks/datasets/load.ts';
import { GROUPS } from '../../tasks/datasets/sets.ts';
import { type Plan, planExamples } from '../../tasks/harness.ts';
import { readingOf } from '../../tasks/reading.ts';
import type { Example } from '../../tasks/task.ts';

/** A task as a model is judged by it. */
export interface JudgedTask {
  name: string;
  plan: Plan;
  /** Of a public set: the set, and the first of its documents as examples, in order. */
  set?: Dataset;
  examples?: readonly Example[];
}

export interface PublicOptions extends DatasetSource {
  /** Documents of each set, the first ones; all unless told. */
  limit?: number | undefined;
  /** Of the shots. */
  seed?: number | undefined;
  /** The longest row in tokens. */
  contextLength: number;
}

/**
 * The sets of a public task, each to be judged by itself.
 *
 * @throws InputError as loadDatasets does
 */
export async function publicTasksOf(
  name: string,
  tokenizer: Tokenizer,
  { limit, seed = SHOTS_SEED, contextLength, ...source }: PublicOptions,
): Promise<JudgedTask[]> {
  const sets = await loadDatasets(name, source);
  const reading = readingOf(tokenizer, contextLength);
  return sets.map((set) => {
    const examples = firstExamples(set, limit, seed);
    return {
      name: set.description.name,
      plan: planExamples(set.description.name, examples, reading),
      set,
      examples,
    };
  });
}

/** Groups of which all sets are there, with their names. */
export function groupsIn(names: readonly string[]): [group: string, names: readonly string[]][] {
  return [...GROUPS].filter(([, each]) => each.every((name) => names.includes(name)));
}
