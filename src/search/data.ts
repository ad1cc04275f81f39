import type { Device } from '../graph/index.ts';
import { openCheckpoint } from '../model/checkpoint.ts';
import { loadTokenizer, tokenizerIdentity } from '../model/folder.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import { answerBatches } from '../tasks/corpus/answer-batches.ts';
import { unmarked } from '../tasks/corpus/answers.ts';
import { checkApart } from '../tasks/corpus/apart.ts';
import { type Corpus, checkField, heldOutText, openCorpus, trainingText } from '../tasks/corpus/corpus.ts';
import type { Drawn } from '../tasks/harness.ts';
import { fillRows } from '../tasks/mixture.ts';
import { HELD_OUT_TASK } from '../tasks/named-task.ts';
import { type ObjectiveTask, objectiveTask, SEARCHED, WORLD_TASKS } from '../tasks/objective.ts';
import type { Encode } from '../tasks/task.ts';
import { speaksOfTheWorld } from '../tasks/texts.ts';
import { cachedEncode } from '../tasks/world-tokenizer.ts';
import { type KnownText, type TextSource, type TrainingData, textBatches } from '../train/batches.ts';
import { InputError } from '../util/errors.ts';
import type { OnProgress } from '../util/progress.ts';
import { bounds, checkBound } from './bounds.ts';
import { DEFAULTS } from './defaults.ts';

/** What models are trained on and judged by, of settings as a person gives them. */

export interface DataSettings {
  /**
   * Files, folders and globs of text, or 'world'; without it the world for models of the world, and refused for others.
   */
  data?: string | readonly string[];
  /** The same, to be judged by. */
  heldOut?: string | readonly string[];
  /** Share of the documents of `data` that are held out where the task needs it and `heldOut` is not given. */
  heldOutShare?: number;
  /** Whether rows say which tokens are those of answers: `data` has conversations, or prompts with completions. */
  answersOnly?: boolean | undefined;
  /** Whether a part of the text is held out for what measures a training while it goes on, though no task asks for one. */
  validated?: boolean;
  /** The field of records that has the text; `text`, `messages` or `conversations` unless given. */
  field?: string;
  /** 'name', 'name:metric' or 'name:metric:examples'; without it what fits the data. */
  task?: readonly string[];
  examples: number;
  /** A folder with the files of public tasks; the Hub unless told. */
  dataDir?: string;
  /** Solved examples in front of each of their questions; as many as lm-evaluation-harness has unless told. */
  shots?: number;
  rows: number;
  length: number;
  threads?: number;
  device?: Device;
  /** Seed that examples are drawn with. */
  examplesSeed?: number;
  /** Examples of another seed that must not be drawn again; their number is that of the objective that says one. */
  apart?: Drawn;
}

interface Control {
  onProgress?: OnProgress | undefined;
  signal?: AbortSignal | undefined;
}

/** The texts of some settings, which are read once. */
interface Texts {
  training: Corpus | undefined;
  heldOut: Corpus | undefined;
}

/** Seed of the examples that no choice has seen. */
const UNSEEN = 11;

/**
 * The same tasks with other examples, of which none is among those of `dataOf`: rows of held-out text are from its second
 * half, those of `dataOf` from the first.
 *
 * @param drawn how many of each task that does not say, and with which seed, if not as usual
 * @param control `texts` are those that `dataOf` gave for the same model and options: without them they are read again
 * @throws InputError where there are not so many
 */
export async function unseenTasks(
  model: string,
  options: DataSettings,
  { examples = options.examples, seed = UNSEEN }: Partial<Drawn> = {},
  control: Control & { texts?: Texts } = {},
): Promise<ObjectiveTask[]> {
  const apart = { examples: options.examples, seed: SEARCHED };
  const { tasks } = await judged(model, { ...options, examples, examplesSeed: seed, apart }, control);
  return tasks;
}

/**
 * @param model folder of the model that is trained, or taught by
 * @throws InputError for files and tasks that do not exist, for a model that needs a text where none is given, and for a
 *   held-out text that is trained on
 */
export async function dataOf(
  model: string,
  options: DataSettings,
  control: Control = {},
): Promise<{
  batches: TrainingData;
  /** Rows of documents that are neither trained nor reported on, where a part of the text is held out. */
  heldOut: TrainingData | undefined;
  tasks: ObjectiveTask[];
  texts: Texts;
}> {
  const { tokenizer, texts, tasks, choosing } = await judged(model, options, control);
  const { training, heldOut } = texts;
  const identity = tokenizerIdentity(model);
  const encode = encoderOf(tokenizer);
  const rowsOf = (text: KnownText, name: string) =>
    options.answersOnly
      ? answerBatches(text, encode, name, identity)
      : textBatches(text, encode, name, identity);
  const other = choosing && rowsOf(choosing, `what is held out of ${choosing.name}`);
  if (training === undefined) {
    const [batches, world] = [false, true].map((side) => worldBatches(tokenizer, identity, side));
    return { batches: batches!, heldOut: other ?? world, tasks, texts };
  }
  if (heldOut) await checkApart(training, heldOut, control);
  const text = trainingText(training);
  return {
    batches: rowsOf({ ...text, identity: training.identity }, training.name),
    heldOut: other,
    tasks,
    texts,
  };
}

/** The part of a held-out text that choices are made on: tasks report on the other. */
function choosingPart(text: TextSource, { name, identity }: Corpus): KnownText & { name: string } {
  const length = text.middle ?? Math.ceil(text.length / 2);
  return {
    name,
    identity: `${identity} held out`,
    length,
    slice: (start, end) => text.slice(start, Math.min(end, length)),
  };
}

/** The same text as people read it. */
const withoutMarks = (text: TextSource): TextSource => ({
  ...text,
  slice: (start, end) => unmarked(text.slice(start, end)),
});

/** What is held out though nobody asked for it: nothing of a text of few documents. */
function heldOutIfAny(training: Corpus): TextSource | undefined {
  try {
    return heldOutText(training);
  } catch (error) {
    if (error instanceof InputError) return undefined;
    throw error;
  }
}

/** The texts of some settings, and the tasks that models are judged by. */
async function judged(
  model: string,
  options: DataSettings,
  { texts: opened, ...control }: Control & { texts?: Texts },
) {
  const tokenizer = loadTokenizer(model);
  const ofTheWorld = speaksOfTheWorld(tokenizer);
  const data = options.data ?? (ofTheWorld ? 'world' : undefined);
  if (data === undefined) throw new InputError(textNeeded(model, options));
  const world = [data].flat().includes(WORLD);
  if (world && [data].flat().length > 1) {
    throw new InputError(
      `--data ${[data].flat().join(' ')}: '${WORLD}' is a text by itself, given with others`,
    );
  }
  const task = options.task ?? [
    ...(ofTheWorld ? WORLD_TASKS : []),
    ...(options.heldOut !== undefined || !ofTheWorld ? [`${HELD_OUT_TASK}:loss`] : []),
  ];
  if (world && options.answersOnly) {
    throw new InputError(
      'the generated world has no answers by themselves: expected conversations, or records with prompt and completion, in --data',
    );
  }
  const share = shareOf({ ...options, task }, world);
  const { field } = options;
  const open = (files: string | readonly string[], share?: number) =>
    openCorpus(tokenizer, { files, field, share, answers: options.answersOnly, ...control });
  const texts = opened ?? {
    training: world ? undefined : await open(data, share),
    heldOut: options.heldOut === undefined ? undefined : await open(options.heldOut),
  };
  const { training, heldOut } = texts;
  if (field !== undefined) checkField(field, training, heldOut);
  const asked = isAsked(task);
  const text = heldOut
    ? trainingText(heldOut)
    : share && training
      ? (asked ? heldOutText : heldOutIfAny)(training)
      : undefined;
  const choosing = text && choosingPart(text, heldOut ?? training!);
  const { dataDir: folder, shots } = options;
  // One token less than the context: all of a row is read.
  const contextLength = openCheckpoint(model).config.maxPositionEmbeddings - 1;
  const read = text && options.answersOnly ? withoutMarks(text) : text;
  const how = { ...options, heldOut: read, datasets: { folder, shots, ...control }, contextLength };
  const tasks: ObjectiveTask[] = [];
  for (const each of task) tasks.push(await objectiveTask(each, how, tokenizer));
  return { tokenizer, texts, tasks, choosing };
}

/**
 * Text to token ids. The world's own tokenizer has a faster way, which knows no special tokens; other tokenizers cut words
 * elsewhere.
 */
function encoderOf(tokenizer: Tokenizer): Encode {
  const encode: Encode = (text) => tokenizer.encode(text, { addSpecialTokens: false });
  if (!speaksOfTheWorld(tokenizer)) return encode;
  const special = [...tokenizer.vocabulary()].flatMap(([token, id]) =>
    tokenizer.isSpecial(id) ? [token] : [],
  );
  const cached = cachedEncode(encode);
  return (text) => (special.some((token) => text.includes(token)) ? encode : cached)(text);
}

/** What stands for the text that the package generates. */
const WORLD = 'world';

function textNeeded(model: string, { heldOut, task }: DataSettings): string {
  const judged =
    heldOut === undefined && task === undefined
      ? `, of which ${100 * DEFAULTS.heldOutShare} % are held out to judge it by unless other text is given`
      : '';
  return (
    `${model} is not a model of the generated world: it needs text to train on${judged}, such as\n` +
    '  --data novels.txt --held-out more-novels.txt\n' +
    '(--data world trains it on the text that the package generates for its own model)'
  );
}

/**
 * The share of the training text that is held out, if any is. A text that nothing is judged by is a mistake, and so is a
 * loss without its text.
 */
function shareOf(
  {
    heldOut,
    heldOutShare,
    task,
    validated,
  }: Pick<DataSettings, 'heldOut' | 'heldOutShare' | 'task' | 'validated'>,
  world: boolean,
): number | undefined {
  const asked = isAsked(task!);
  if (heldOutShare !== undefined) checkBound('--held-out-share', heldOutShare, bounds.share);
  if (heldOut !== undefined && heldOutShare !== undefined) {
    throw new InputError(
      `--held-out-share ${heldOutShare}: the held-out text is ${[heldOut].flat().join(' ')}; expected one of --held-out and --held-out-share`,
    );
  }
  if (!asked && (heldOut !== undefined || (heldOutShare !== undefined && !validated))) {
    const what = heldOut === undefined ? `share ${heldOutShare}` : `text ${[heldOut].flat().join(' ')}`;
    throw new InputError(
      `the held-out ${what} is for the task ${HELD_OUT_TASK}, which is none of the tasks: ${task!.join(' ')}`,
    );
  }
  if (heldOut !== undefined || (!asked && (!validated || world))) return undefined;
  if (world) {
    throw new InputError(`the task ${HELD_OUT_TASK} needs a text that is not trained on: --held-out FILE`);
  }
  return heldOutShare ?? DEFAULTS.heldOutShare;
}

const isAsked = (tasks: readonly string[]) => tasks.some((text) => text.split(':')[0] === HELD_OUT_TASK);

function worldBatches(tokenizer: Tokenizer, identity: string, heldOut: boolean): TrainingData {
  const encode = cachedEncode((text) => tokenizer.encode(text, { addSpecialTokens: false }));
  return {
    identity: `world${heldOut ? ' held out' : ''} ${tokenizer.eosIds[0]} ${identity}`,
    fill: (out, width, random) =>
      fillRows(out, width, random, encode, tokenizer.eosIds[0]!, undefined, heldOut),
  };
}
