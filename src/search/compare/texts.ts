import { loadTokenizer } from '../../model/folder.ts';
import type { Tokenizer } from '../../model/tokenizer.ts';
import { checkField, openCorpus, reportingText, trainingText } from '../../tasks/corpus/corpus.ts';
import type { Plan } from '../../tasks/harness.ts';
import { planText } from '../../tasks/held-out-text.ts';
import { fillRows } from '../../tasks/mixture.ts';
import { HELD_OUT_TASK } from '../../tasks/named-task.ts';
import { checkMetric, parseTask, planOf, WORLD_TASKS } from '../../tasks/objective.ts';
import { readingOf } from '../../tasks/reading.ts';
import type { Encode } from '../../tasks/task.ts';
import { speaksOfTheWorld } from '../../tasks/texts.ts';
import { cachedEncode } from '../../tasks/world-tokenizer.ts';
import type { TextSource } from '../../train/batches.ts';
import { InputError } from '../../util/errors.ts';
import { Random } from '../../util/random.ts';
import type { CompareOptions } from './options.ts';

/** What models are compared on. */
export interface Texts {
  /** As people know the text. */
  name: string;
  /** Token ids of each row. */
  rows: readonly (readonly number[])[];
  source: TextSource | undefined;
  /** Without special tokens. */
  encode: Encode;
  /** With the token that begins a text, where the tokenizer has one. */
  read: Encode;
  ofTheWorld: boolean;
}

/** No search and no training has drawn by it. */
const SEED = 23;

/** @throws InputError where there is no text, and for files that cannot be read */
export async function textsOf(
  tokenizer: Tokenizer,
  { parent, heldOut, heldOutShare: share, field, onProgress, signal }: CompareOptions,
  { rows, length }: { rows: number; length: number },
): Promise<Texts> {
  const ofTheWorld = speaksOfTheWorld(tokenizer);
  const plain: Encode = (text) => tokenizer.encode(text, { addSpecialTokens: false });
  const encode = ofTheWorld ? cachedEncode(plain) : plain;
  const read = ofTheWorld ? encode : readingOf(tokenizer).encode;
  if (heldOut !== undefined) {
    const corpus = await openCorpus(tokenizer, { files: heldOut, field, share, onProgress, signal });
    if (field !== undefined) checkField(field, corpus);
    const source = share === undefined ? trainingText(corpus) : reportingText(corpus);
    const plan = planText('text', source, encode, { rows, length, seed: SEED });
    return { name: corpus.name, rows: plan.rows.map(({ ids }) => ids), source, encode, read, ofTheWorld };
  }
  if (!ofTheWorld) {
    throw new InputError(
      `${parent} is not a model of the generated world: it needs a text that it was not trained on, such as\n  --held-out novels.txt`,
    );
  }
  const ids = new Int32Array(rows * length);
  fillRows(ids, length, new Random(SEED), encode, tokenizer.eosIds[0]!);
  return {
    ...{ name: 'the generated world', source: undefined, encode, read, ofTheWorld },
    rows: Array.from({ length: rows }, (_, i) => [...ids.subarray(i * length, (i + 1) * length)]),
  };
}

/**
 * Refuses what a comparison of a model would refuse of texts and tasks, for what comes hours before one.
 *
 * @param folder of the parent
 * @throws InputError as `textsOf` and `tasksOf` do
 */
export async function checkTexts(
  folder: string,
  options: CompareOptions & { examples: number; context: number },
): Promise<void> {
  const tokenizer = loadTokenizer(folder);
  const texts = await textsOf(tokenizer, options, { rows: 1, length: options.context });
  await tasksOf(tokenizer, texts, options);
}

/** Of generated tasks, those that one window cannot do. */
const DEFAULT_TASKS = ['variable_tracking', 'common_words', 'needle_values'];

/** @throws InputError for tasks that do not exist, and for those whose accuracy no likelihood decides */
export async function tasksOf(
  tokenizer: Tokenizer,
  { source, ofTheWorld }: Texts,
  options: CompareOptions & { examples: number; context: number },
): Promise<Plan[]> {
  const { tasks, examples, context, dataDir: folder, shots, onProgress, signal } = options;
  const asked = tasks ?? (ofTheWorld ? WORLD_TASKS : DEFAULT_TASKS.map((name) => `${name}@${context}`));
  const plans: Plan[] = [];
  for (const text of asked) {
    const { name, metric, examples: count } = parseTask(text, examples);
    if (name === HELD_OUT_TASK) {
      throw new InputError(
        `the task ${HELD_OUT_TASK} is what a comparison begins with: give the text alone, by --held-out`,
      );
    }
    checkMetric(text, name, 'accuracy');
    if (metric === 'accuracy_norm') {
      throw new InputError(`the task ${text}: a comparison is of accuracy and loss; expected ${name}`);
    }
    const datasets = { folder, shots, onProgress, signal };
    const drawn = { examples: count, length: context, heldOut: source, examplesSeed: SEED };
    plans.push(await planOf(name, { ...drawn, datasets, contextLength: context }, tokenizer));
  }
  return plans;
}
