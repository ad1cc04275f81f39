import type { WeightDtype } from '../model/quantized-tensors.ts';
import type { KvDtype } from '../runtime/kv-blocks.ts';
import { Model } from '../runtime/model.ts';
import { checkField, openCorpus, trainingText } from '../tasks/corpus/corpus.ts';
import { EngineScorer } from '../tasks/engine-scorer.ts';
import { scorePlan, type TaskScore } from '../tasks/harness.ts';
import { planText } from '../tasks/held-out-text.ts';
import { HELD_OUT_TASK, parseTask, planOf, SEARCHED } from '../tasks/objective.ts';
import { InputError } from '../util/errors.ts';
import { checkKnown } from '../util/known-options.ts';
import type { OnProgress } from '../util/progress.ts';
import { DEFAULTS } from './defaults.ts';

export interface EvaluateOptions {
  /** A folder, or the name of a model on the Hub. */
  model: string;
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
  /** Of each task that does not say. */
  examples?: number;
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

export interface Evaluation {
  dtype: WeightDtype | 'as stored';
  kvDtype: KvDtype;
  /** Of the held-out text; null without one. */
  perplexity: number | null;
  scores: TaskScore[];
}

/** Rows of a held-out text and their length, where an evaluation is not told. */
export const EVALUATED = { heldOutRows: 16, length: 512 };

const KNOWN: Record<keyof EvaluateOptions, true> = {
  ...{
    model: true,
    tasks: true,
    heldOut: true,
    field: true,
    heldOutRows: true,
    length: true,
    examples: true,
  },
  ...{ dtype: true, kvDtype: true, threads: true, onProgress: true, onNotice: true, signal: true },
};

/**
 * The perplexity of a model on a text and its accuracy on tasks, by the engine that generates. The same options take the same
 * places of the text and the same examples.
 *
 * @throws InputError where there is nothing to evaluate, for tasks that do not exist and files that cannot be read
 */
export async function evaluate(options: EvaluateOptions): Promise<Evaluation> {
  checkKnown(options, KNOWN);
  if (options.tasks !== undefined && !Array.isArray(options.tasks)) {
    throw new InputError(`tasks is ${options.tasks}, expected a list such as ['recall:accuracy:64']`);
  }
  const {
    heldOut: files,
    field,
    heldOutRows: rows = EVALUATED.heldOutRows,
    length = EVALUATED.length,
  } = options;
  const { examples = DEFAULTS.examples, dtype, kvDtype, threads, onProgress, onNotice, signal } = options;
  const tasks = (options.tasks ?? []).map((text) => parseTask(text, examples));
  if (files === undefined && tasks.length === 0) {
    throw new InputError('nothing to evaluate: give --held-out FILE or --task NAME');
  }
  await using model = await Model.fromPretrained(options.model, {
    dtype,
    kvDtype,
    threads,
    onProgress,
    signal,
  });
  for (const notice of model.notices) onNotice?.(notice);
  const { tokenizer } = model;
  if (!tokenizer) throw new InputError(`${options.model} has no tokenizer.json, which texts and tasks need`);
  const encode = (text: string) => tokenizer.encode(text, { addSpecialTokens: false });
  const corpus =
    files === undefined ? undefined : await openCorpus(tokenizer, { files, field, onProgress, signal });
  if (field !== undefined) checkField(field, corpus);
  const heldOut = corpus && trainingText(corpus);
  const plans = tasks.map(({ name, examples }) => planOf(name, { examples, length, heldOut }, tokenizer));
  if (heldOut !== undefined && !tasks.some(({ name }) => name === HELD_OUT_TASK)) {
    plans.unshift(planText('text', heldOut, encode, { rows, length, seed: SEARCHED }));
  }
  const scorer = new EngineScorer(model.engine);
  const scores: TaskScore[] = [];
  for (const plan of plans) scores.push(await scorePlan(scorer, plan, { onProgress, signal }));
  const text = scores.find(({ name }) => isText(name));
  return {
    dtype: dtype ?? 'as stored',
    kvDtype: model.engine.kvDtype,
    perplexity: text ? Math.exp(text.goldLossPerToken) : null,
    scores,
  };
}

/** Whether a score is of held-out text, whose loss is a perplexity. */
export function isText(name: string): boolean {
  return name === 'text' || name === HELD_OUT_TASK;
}
