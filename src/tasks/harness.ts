/**
 * Scores examples by log-probabilities from teacher-forced passes. Examples are first planned into rows of tokens,
 * which do not depend on the model: a search plans once and scores many models. Tokenisation is that of
 * lm-evaluation-harness as Jet-Nemotron runs it: trailing spaces of the context move to the continuation; context
 * and context + continuation are tokenised separately and the difference by length is the continuation. What is longer
 * than the context loses its beginning.
 */
import { InputError } from '../util/errors.ts';
import type { OnProgress } from '../util/progress.ts';
import type { Encode, Example, Task } from './task.ts';

/** What is asked about the tokens ids[from..to) of a row, each given all tokens before it; from >= 1. */
interface Span {
  from: number;
  to: number;
  /**
   * If given, what is asked instead is the log-probability of each of these tokens at position `from`, which may
   * be the row's end; to = from.
   */
  candidates?: readonly number[];
}

/**
 * One sequence of tokens and what is asked about it, ordered by position. Rows differ in length. The last token is only
 * predicted, never read, unless candidates are asked behind it: a row may have one token more than the model's context.
 */
export interface Row {
  ids: readonly number[];
  spans: readonly Span[];
}

export interface SpanScore {
  /** Natural logarithm, summed over the span's tokens; 0 if candidates are asked. */
  logProb: number;
  /** Whether every token of the span is the arg-max. */
  greedy: boolean;
  /** log-probabilities of the candidates, in order. */
  candidates?: readonly number[];
  /** The most probable of all tokens where candidates are asked, if the scorer tells. */
  best?: number;
}

export interface ScoreOptions {
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

/** What a model offers to be evaluated. Scores come in the order of rows and of spans in each. */
export interface LogProbScorer {
  score(rows: readonly Row[], options?: ScoreOptions): Promise<SpanScore[][]>;
}

/** Where the score of one option (or the only answer) will stand. */
interface Slot {
  row: number;
  span: number;
  /** Index among the span's candidates. */
  candidate?: number;
}

interface Judged {
  slots: Slot[];
  /** Index of the right slot; undefined if greedy exactness decides. */
  gold?: number;
  goldTokens: number;
  /** Of each slot, where accuracy_norm is wanted. */
  lengths?: readonly number[];
  /** The slots are parts of one text, whose log-probabilities add up. */
  whole?: true;
}

export interface Plan {
  name: string;
  rows: readonly Row[];
  /** The longest row, in tokens. */
  longest: number;
  examples: readonly Judged[];
}

export interface TaskScore {
  name: string;
  examples: number;
  /** Fraction of examples that are right. */
  accuracy: number;
  /** The same by log-probabilities over the length of each option, where the task has it. */
  accuracyNorm?: number;
  /** Mean over examples of -log p(gold answer), nats. */
  goldLoss: number;
  /** The same per token of the gold answers. */
  goldLossPerToken: number;
}

/** What a model scored on one example. */
export interface ExampleScore {
  /** Of each option, or of the only answer; of a whole text the sum. */
  logProbs: number[];
  /** Whether each is what would be written greedily; null where the scorer does not tell. */
  greedy: (boolean | null)[];
}

/** How a model reads texts. */
export interface Reading {
  encode: Encode;
  /** The longest row that is read, in tokens; longer ones lose their beginning. Without it none does. */
  contextLength?: number | undefined;
  /** Stands in front of a whole text, so that its first token is predicted, too. */
  prefix?: number | undefined;
}

interface Tokens {
  ids: readonly number[];
  from: number;
}

function tokenise(context: string, continuation: string, { encode, contextLength }: Reading): Tokens {
  const kept = context.trimEnd();
  const ids = encode(context + continuation);
  const from = encode(kept).length;
  const shown = JSON.stringify(`${context.slice(-40)}|${continuation.slice(0, 40)}`);
  if (from === 0) throw new InputError(`example ${shown}: expected a context of at least one token`);
  if (ids.length <= from)
    throw new InputError(`example ${shown}: expected a continuation of at least one token`);
  // The last token is not read.
  const cut = Math.max(0, ids.length - (contextLength ?? ids.length) - 1);
  if (cut >= from) {
    throw new InputError(
      `example ${shown}: its continuation has ${ids.length - from} tokens, expected at most ${contextLength}, the longest row`,
    );
  }
  return cut > 0 ? { ids: ids.slice(cut), from: from - cut } : { ids, from };
}

/**
 * A whole text in windows of the longest row, each token predicted once: the first behind the prefix, those of the next
 * windows behind the last token before; the last window goes as far back as there is room.
 */
function windowsOf(text: string, { encode, prefix, contextLength }: Reading): Tokens[] {
  const tokens = encode(text);
  const shown = JSON.stringify(text.slice(0, 40));
  if (tokens.length === 0) throw new InputError(`the text ${shown}: expected at least one token`);
  if (prefix === undefined) {
    throw new InputError(
      `the text ${shown}: the tokenizer has no token that begins or ends a text, which is needed`,
    );
  }
  const longest = contextLength ?? tokens.length;
  const first = Math.min(longest, tokens.length);
  const windows = [{ ids: [prefix, ...tokens.slice(0, first)], from: 1 }];
  for (let from = first; from < tokens.length; from += longest) {
    const to = Math.min(from + longest, tokens.length);
    const ids = tokens.slice(to - longest - 1, to);
    windows.push({ ids, from: ids.length - (to - from) });
  }
  return windows;
}

const startsWith = (ids: readonly number[], start: readonly number[]) =>
  start.length <= ids.length && start.every((id, i) => id === ids[i]);

/** Collects rows; a sequence that continues the last row, as growing contexts do, lengthens it instead. */
class Rows {
  readonly rows: { ids: readonly number[]; spans: Span[] }[] = [];

  add(ids: readonly number[], span: Span): Slot {
    const last = this.rows.at(-1);
    if (last && startsWith(ids, last.ids)) {
      last.ids = ids;
      last.spans.push(span);
    } else {
      this.rows.push({ ids, spans: [span] });
    }
    return { row: this.rows.length - 1, span: this.rows.at(-1)!.spans.length - 1 };
  }
}

/** Options of one token each after the same tokens are candidates of one span. */
function addOptions(rows: Rows, options: readonly Tokens[]): Slot[] {
  const [first] = options;
  const context = first!.ids.slice(0, first!.from);
  const folds = options.every(
    ({ ids, from }) => from === context.length && ids.length === from + 1 && startsWith(ids, context),
  );
  if (!folds) return options.map(({ ids, from }) => rows.add(ids, { from, to: ids.length }));
  const from = context.length;
  const candidates = options.map(({ ids }) => ids[from]!);
  const slot = rows.add(context, { from, to: from, candidates });
  return options.map((_, candidate) => ({ ...slot, candidate }));
}

/**
 * @param reading how the model reads texts; the function alone where rows may be as long as they are
 * @throws InputError for a context or continuation without tokens, a gold index outside the options, or no example
 */
export function planExamples(name: string, examples: readonly Example[], reading: Encode | Reading): Plan {
  if (examples.length === 0) throw new InputError(`task ${name}: no examples`);
  const how = typeof reading === 'function' ? { encode: reading } : reading;
  const rows = new Rows();
  const judged = examples.map((example): Judged => {
    if ('whole' in example) {
      const windows = windowsOf(example.whole, how);
      const slots = windows.map(({ ids, from }) => rows.add(ids, { from, to: ids.length }));
      const goldTokens = windows.reduce((sum, { ids, from }) => sum + ids.length - from, 0);
      return { slots, goldTokens, whole: true };
    }
    if ('answer' in example) {
      const { ids, from } = tokenise(example.context, example.answer, how);
      return { slots: [rows.add(ids, { from, to: ids.length })], goldTokens: ids.length - from };
    }
    const options =
      'options' in example
        ? example.options.map((option) => tokenise(example.context, option, how))
        : example.contexts.map((context) => tokenise(context, example.continuation, how));
    const gold = options[example.gold];
    if (!gold)
      throw new InputError(`task ${name}: gold ${example.gold} is none of ${options.length} options`);
    return {
      slots: addOptions(rows, options),
      gold: example.gold,
      goldTokens: gold.ids.length - gold.from,
      ...('lengths' in example && { lengths: example.lengths }),
    };
  });
  const longest = Math.max(...rows.rows.map((row) => row.ids.length));
  return { name, rows: rows.rows, longest, examples: judged };
}

/** A set of examples by what it was drawn with. */
export interface Drawn {
  examples: number;
  seed: number;
}

/** @param apart a set of which nothing is asked again */
export function planTask(
  task: Task,
  count: number,
  seed: number,
  reading: Encode | Reading,
  apart?: Drawn,
): Plan {
  const others = apart && task.examples(apart.examples, apart.seed);
  return planExamples(task.name, task.examples(count, seed, others), reading);
}

/** What a model scores on each example of a plan. */
export async function scoreExamples(
  scorer: LogProbScorer,
  plan: Plan,
  options?: ScoreOptions,
): Promise<ExampleScore[]> {
  const scores = await scorer.score(plan.rows, options);
  const scoreOf = ({ row, span, candidate }: Slot): [logProb: number, greedy: boolean | null] => {
    const score = scores[row]![span]!;
    if (candidate === undefined) return [score.logProb, score.greedy];
    const id = plan.rows[row]!.spans[span]!.candidates![candidate];
    return [score.candidates![candidate]!, score.best === undefined ? null : score.best === id];
  };
  return plan.examples.map(({ slots, whole }) => {
    const each = slots.map(scoreOf);
    const logProbs = each.map(([logProb]) => logProb);
    if (whole) return { logProbs: [logProbs.reduce((sum, part) => sum + part, 0)], greedy: [null] };
    return { logProbs, greedy: each.map(([, greedy]) => greedy) };
  });
}

/** What one example's score says. */
interface Outcome {
  correct: boolean;
  correctNorm?: boolean;
  /** -log p(gold answer), nats. */
  loss: number;
}

export function outcomeOf(
  { gold, lengths, whole }: Pick<Judged, 'gold' | 'lengths' | 'whole'>,
  { logProbs, greedy }: ExampleScore,
): Outcome {
  // Ties go to the first option, as an arg-max has it.
  const best = (values: readonly number[]) => values.indexOf(Math.max(...values));
  const loss = -logProbs[gold ?? 0]!;
  if (gold === undefined) return { correct: !whole && greedy[0] === true, loss };
  const norm = lengths && { correctNorm: best(logProbs.map((value, i) => value / lengths[i]!)) === gold };
  return { correct: best(logProbs) === gold, ...norm, loss };
}

export async function scorePlan(
  scorer: LogProbScorer,
  plan: Plan,
  options?: ScoreOptions,
): Promise<TaskScore> {
  return scoreOfPlan(plan, await scoreExamples(scorer, plan, options));
}

/** All examples of a plan together. */
export function scoreOfPlan({ name, examples }: Plan, scores: readonly ExampleScore[]): TaskScore {
  let [right, rightNorm, loss, tokens] = [0, 0, 0, 0];
  for (const [i, example] of examples.entries()) {
    const outcome = outcomeOf(example, scores[i]!);
    if (outcome.correct) right++;
    if (outcome.correctNorm) rightNorm++;
    loss += outcome.loss;
    tokens += example.goldTokens;
  }
  const count = examples.length;
  return {
    name,
    examples: count,
    accuracy: right / count,
    ...(examples.every(({ lengths }) => lengths) && { accuracyNorm: rightNorm / count }),
    goldLoss: loss / count,
    goldLossPerToken: loss / tokens,
  };
}
