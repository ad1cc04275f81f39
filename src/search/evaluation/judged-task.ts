import type { Tokenizer } from '../../model/tokenizer.ts';
import { type Dataset, firstExamples, SHOTS_SEED } from '../../tasks/datasets/dataset.ts';
import { type Document, exampleOf } from '../../tasks/datasets/document.ts';
import { type DatasetSource, loadDatasets } from '../../tasks/datasets/load.ts';
import { GROUPS } from '../../tasks/datasets/sets.ts';
import { type Plan, planExamples } from '../../tasks/harness.ts';
import { WHOLE_TEXT_TASK } from '../../tasks/named-task.ts';
import { readingOf } from '../../tasks/reading.ts';
import { type Example, requestsOf } from '../../tasks/task.ts';
import type { TextSource } from '../../train/batches.ts';
import { InputError } from '../../util/errors.ts';

/** A task as a model is judged by it. */
export interface JudgedTask {
  name: string;
  plan: Plan;
  /** What the examples were made of, where that decides what is measured. */
  documents?: readonly Document[];
  /** Of a public set: the set, and the first of its documents as examples, in order. */
  set?: Dataset;
  examples?: readonly Example[];
  /** Where answers are written: what stands in front of each. */
  prompts?: readonly string[];
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
    const { name, kind } = set.description;
    const prompts = kind === 'generation' && {
      prompts: examples.map((example) => requestsOf(example)[0]![0]!),
    };
    const documents = set.documents.slice(0, examples.length);
    return { name, plan: planExamples(name, examples, reading), documents, set, examples, ...prompts };
  });
}

/** Characters of a text that is judged as a whole. */
const LARGEST = 1 << 26;

/** All of a text as one document. @throws InputError for one that is too large */
export function wholeTextTask(text: TextSource, tokenizer: Tokenizer, contextLength: number): JudgedTask {
  if (text.length > LARGEST) {
    throw new InputError(
      `the task ${WHOLE_TEXT_TASK}: the text has ${text.length} characters, expected at most ${LARGEST}; without the task rows of it are judged`,
    );
  }
  const page = text.slice(0, text.length);
  const document = { page, text: page };
  const plan = planExamples(WHOLE_TEXT_TASK, [exampleOf(document, '')], readingOf(tokenizer, contextLength));
  return { name: WHOLE_TEXT_TASK, plan, documents: [document] };
}

/** Groups of which all sets are there, with their names. */
export function groupsIn(names: readonly string[]): [group: string, names: readonly string[]][] {
  return [...GROUPS].filter(([, each]) => each.every((name) => names.includes(name)));
}
