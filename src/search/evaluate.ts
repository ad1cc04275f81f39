import { join } from 'node:path';
import type { WeightDtype } from '../model/quantized-tensors.ts';
import type { KvDtype } from '../runtime/kv/blocks.ts';
import { Model } from '../runtime/model.ts';
import { checkField, openCorpus, trainingText } from '../tasks/corpus/corpus.ts';
import { SHOTS_SEED } from '../tasks/datasets/dataset.ts';
import { isPublic } from '../tasks/datasets/sets.ts';
import { EngineScorer } from '../tasks/engine-scorer.ts';
import { scoreOfPlan, type TaskScore } from '../tasks/harness.ts';
import { planText } from '../tasks/held-out-text.ts';
import { type Measure, measuresOf, tokenMeasures } from '../tasks/measures.ts';
import { HELD_OUT_TASK, WHOLE_TEXT_TASK } from '../tasks/named-task.ts';
import { type ParsedTask, parseTask, planOf, SEARCHED } from '../tasks/objective.ts';
import { InputError } from '../util/errors.ts';
import { writeFileAtomic } from '../util/files.ts';
import { checkKnown } from '../util/known-options.ts';
import type { OnProgress } from '../util/progress.ts';
import { hashOf } from '../util/store/identity.ts';
import { DEFAULTS } from './defaults.ts';
import { type JudgedTask, publicTasksOf, wholeTextTask } from './evaluation/judged-task.ts';
import { type HarnessResults, harnessResults, resultsTable, type TaskResult } from './evaluation/results.ts';
import { writeSamples } from './evaluation/samples.ts';
import { scoreInParts, writeInParts } from './evaluation/score.ts';
import { filesIdentity } from './files-identity.ts';

export interface EvaluateOptions {
  /** A folder, or the name of a model on the Hub. */
  model: string;
  /** Which heads see all tokens: a placement of the model by its name, or the path of one. */
  placement?: string;
  /** 'recall' or 'recall:accuracy:64': tasks, with numbers of examples. */
  tasks?: readonly string[];
  /** Files, folders and globs of text; without tasks, their rows are judged as the task `text`. */
  heldOut?: string | readonly string[];
  /** The field of records that has the text; `text`, `messages` or `conversations` unless given. */
  field?: string;
  /** Rows of the held-out text, spread over it; 16 unless told. */
  heldOutRows?: number;
  /** Tokens of a row; 512 unless told. */
  length?: number;
  /** Of each task that does not say; unless told, 128 of generated ones and all of public ones. */
  examples?: number;
  /** Documents of each public set, the first ones; all unless told. Of generated tasks that do not say, their examples. */
  limit?: number;
  /** Solved examples in front of each question of a public set; as many as lm-evaluation-harness has unless told. */
  shots?: number;
  /** Shots and examples are drawn with; 1234 for the shots and 7 for the examples unless told. */
  seed?: number;
  /** A folder with the files of public sets; the Hub unless told. */
  dataDir?: string;
  /** The longest row of a public set in tokens; longer ones lose their beginning. The model's context unless told. */
  maxLength?: number;
  /** A folder in which scores are kept while they are computed: what was interrupted goes on. */
  out?: string;
  /** Writes the log-likelihoods of every document into `out`. */
  logSamples?: boolean;
  /** Of the weights; as they are stored unless told. */
  dtype?: WeightDtype;
  /** Of what attention layers keep. */
  kvDtype?: KvDtype;
  threads?: number;
  onProgress?: OnProgress;
  /** Lines for people: what the model has that this package does not follow. */
  onNotice?: (line: string) => void;
  signal?: AbortSignal;
}

export interface Evaluation extends HarnessResults {
  /** Where the model was under one. */
  placement?: string;
  dtype: WeightDtype | 'as stored';
  kvDtype: KvDtype;
  /** Of the held-out text; null without one. */
  perplexity: number | null;
  scores: TaskScore[];
  /** Of each task what was measured, with standard errors and 95 % intervals. */
  measures: Record<string, readonly Measure[]>;
  /** Time of each task in seconds, and its examples a second. */
  speed: Record<string, { seconds: number; examplesPerSecond: number }>;
  /** The results as a table in Markdown. */
  table: string;
}

/** Rows of a held-out text and their length, where an evaluation is not told. */
export const EVALUATED = { heldOutRows: 16, length: 512 };

const KNOWN: Record<keyof EvaluateOptions, true> = {
  ...{
    model: true,
    placement: true,
    tasks: true,
    heldOut: true,
    field: true,
    heldOutRows: true,
    length: true,
    examples: true,
  },
  ...{ limit: true, shots: true, seed: true, dataDir: true, maxLength: true, out: true, logSamples: true },
  ...{ dtype: true, kvDtype: true, threads: true, onProgress: true, onNotice: true, signal: true },
};

/**
 * The perplexity of a model on a text and what it scores on tasks, by the engine that generates. The same options take the same
 * places of the text and the same examples.
 *
 * @throws InputError where there is nothing to evaluate, for tasks that do not exist and files that cannot be read, and where
 * `out` keeps scores of other settings
 */
export async function evaluate(options: EvaluateOptions): Promise<Evaluation> {
  checkOptions(options);
  const { limit, examples = DEFAULTS.examples, placement, dtype, kvDtype, threads } = options;
  const { onProgress, onNotice, signal, out } = options;
  const asked = (options.tasks ?? []).map((text) => parseTask(text, limit ?? examples));
  if (options.heldOut === undefined && asked.length === 0) {
    throw new InputError('nothing to evaluate: give --held-out FILE or --task NAME');
  }
  await using model = await Model.fromPretrained(options.model, {
    ...{ placement, dtype, kvDtype, threads, scoring: true, onProgress, signal },
  });
  for (const notice of model.notices) onNotice?.(notice);
  const how = {
    ...(placement !== undefined && { placement }),
    ...{ dtype: dtype ?? ('as stored' as const), kvDtype: model.engine.kvDtype },
  };
  const contextLength = Math.min(options.maxLength ?? model.contextLength, model.contextLength);
  const tasks = await judgedTasks(model, asked, { ...options, maxLength: contextLength });
  // What the placement says counts, not its name.
  const placed = placement !== undefined && { placement: hashOf(model.config.layers) };
  const identity = { model: filesIdentity(model.files.path), ...how, ...placed };
  const keeping = out === undefined ? undefined : { folder: out, identity };
  const control = { keeping, onProgress, signal };
  const scorer = new EngineScorer(model.engine);
  const scores: TaskScore[] = [];
  const results: TaskResult[] = [];
  for (const task of tasks) {
    const { name, plan, set, documents, prompts } = task;
    const scored = await scoreInParts(scorer, plan, control);
    const written = prompts && (await writeInParts(model, { name, prompts, contextLength }, control));
    const score = scoreOfPlan(plan, scored.found);
    scores.push(score);
    const measures = isText(name)
      ? tokenMeasures(score.goldLossPerToken)
      : measuresOf(plan, scored.found, { documents, written: written?.found });
    const seconds = scored.seconds + (written?.seconds ?? 0);
    results.push({ name, ...(set && { set }), examples: plan.examples.length, measures, seconds });
    if (options.logSamples && set) writeSamples(out!, task, scored.found, written?.found);
  }
  const text = scores.find(({ name }) => isText(name));
  const { seed = SHOTS_SEED, shots = null } = options;
  const evaluation: Evaluation = {
    ...how,
    perplexity: text ? Math.exp(text.goldLossPerToken) : null,
    scores,
    ...harnessResults(results, {
      model: options.model,
      ...how,
      limit: limit ?? options.examples ?? null,
      fewshot_seed: seed,
      num_fewshot: shots,
    }),
    measures: Object.fromEntries(results.map(({ name, measures }) => [name, measures])),
    speed: Object.fromEntries(
      results.map(({ name, examples, seconds }) => [
        name,
        { seconds, examplesPerSecond: examples / seconds },
      ]),
    ),
    table: resultsTable(results),
  };
  if (out !== undefined)
    writeFileAtomic(join(out, 'results.json'), `${JSON.stringify(evaluation, null, 2)}\n`);
  return evaluation;
}

function checkOptions(options: EvaluateOptions): void {
  checkKnown(options, KNOWN);
  const { tasks, logSamples, out } = options;
  if (tasks !== undefined && !Array.isArray(tasks)) {
    throw new InputError(`tasks is ${tasks}, expected a list such as ['recall:accuracy:64']`);
  }
  for (const name of ['limit', 'maxLength'] as const) checkCount(name, options[name], 1);
  for (const name of ['shots', 'seed'] as const) checkCount(name, options[name], 0);
  if (logSamples && out === undefined) {
    throw new InputError('--log-samples writes into the folder of --out, which is not given');
  }
}

function checkCount(name: string, value: number | undefined, least: number): void {
  if (value === undefined || (Number.isSafeInteger(value) && value >= least)) return;
  throw new InputError(`${name} is ${value}, expected a whole number of at least ${least}`);
}

/** What the model is asked: a held-out text first, where no task says what it is for. */
async function judgedTasks(
  model: Model,
  asked: readonly ParsedTask[],
  options: EvaluateOptions,
): Promise<JudgedTask[]> {
  const {
    field,
    heldOut: files,
    heldOutRows: rows = EVALUATED.heldOutRows,
    length = EVALUATED.length,
  } = options;
  const { limit = options.examples, shots, seed, dataDir: folder, maxLength, onProgress, signal } = options;
  const { tokenizer } = model;
  if (!tokenizer) throw new InputError(`${options.model} has no tokenizer.json, which texts and tasks need`);
  const encode = (text: string) => tokenizer.encode(text, { addSpecialTokens: false });
  const corpus =
    files === undefined ? undefined : await openCorpus(tokenizer, { files, field, onProgress, signal });
  if (field !== undefined) checkField(field, corpus);
  const heldOut = corpus && trainingText(corpus);
  const source = { folder, shots, seed, onProgress, signal, contextLength: maxLength! };
  const tasks: JudgedTask[] = [];
  if (heldOut !== undefined && !asked.some(({ name }) => [HELD_OUT_TASK, WHOLE_TEXT_TASK].includes(name))) {
    const plan = planText('text', heldOut, encode, { rows, length, seed: SEARCHED });
    tasks.push({ name: plan.name, plan });
  }
  for (const { name, examples, saysHowMany } of asked) {
    if (isPublic(name)) {
      const most = saysHowMany ? examples : limit;
      tasks.push(...(await publicTasksOf(name, tokenizer, { ...source, limit: most })));
    } else if (name === WHOLE_TEXT_TASK) {
      if (!heldOut) throw new InputError(`the task ${name} needs --held-out FILE`);
      tasks.push(wholeTextTask(heldOut, tokenizer, source.contextLength));
    } else {
      const plan = await planOf(name, { examples, length, heldOut, examplesSeed: seed }, tokenizer);
      tasks.push({ name: plan.name, plan });
    }
  }
  for (const task of tasks) checkTask(task, tasks, model.contextLength);
  return tasks;
}

/** Before anything is computed: results are by names, and nothing is read beyond the context. */
function checkTask({ name, plan }: JudgedTask, all: readonly JudgedTask[], context: number): void {
  if (all.filter((each) => each.name === name).length > 1) {
    throw new InputError(`the task ${name} is there twice, expected each once`);
  }
  // The last token of a row is only predicted.
  if (plan.longest - 1 > context) {
    throw new InputError(
      `the task ${name}: rows of ${plan.longest} tokens, expected at most ${context + 1}: the model's context of ${context}, and one more that is predicted`,
    );
  }
}

/** Whether a score is of held-out text, whose loss is a perplexity. */
function isText(name: string): boolean {
  return name === 'text' || name === HELD_OUT_TASK;
}
