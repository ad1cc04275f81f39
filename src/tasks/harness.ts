/**
 * Scores examples by log-probabilities from teacher-forced passes. Examples are first planned into rows of tokens,
 * which do not depend on the model: a search plans once and scores many models. Tokenisation is that of
 * lm-evaluation-harness as Jet-Nemotron runs it: trailing spaces of the context move to the continuation; context
 * and context + continuation are tokenised separately, without special tokens, and the difference by length is the
 * continuation.
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

/** One sequence of tokens and what is asked about it, ordered by position. Rows differ in length. */
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
  /** Mean over examples of -log p(gold answer), nats. */
  goldLoss: number;
  /** The same per token of the gold answers. */
  goldLossPerToken: number;
}

interface Tokens {
  ids: readonly number[];
  from: number;
}

function tokenise(context: string, continuation: string, encode: Encode): Tokens {
  const kept = context.trimEnd();
  const ids = encode(context + continuation);
  const from = encode(kept).length;
  const shown = JSON.stringify(`${context.slice(-40)}|${continuation.slice(0, 40)}`);
  if (from === 0) throw new InputError(`example ${shown}: expected a context of at least one token`);
  if (ids.length <= from)
    throw new InputError(`example ${shown}: expected a continuation of at least one token`);
  return { ids, from };
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
 * @throws InputError for a context or continuation without tokens, a gold index outside the options, or no example
 */
export function planExamples(name: string, examples: readonly Example[], encode: Encode): Plan {
  if (examples.length === 0) throw new InputError(`task ${name}: no examples`);
  const rows = new Rows();
  const judged = examples.map((example): Judged => {
    if ('answer' in example) {
      const { ids, from } = tokenise(example.context, example.answer, encode);
      return { slots: [rows.add(ids, { from, to: ids.length })], goldTokens: ids.length - from };
    }
    const options =
      'options' in example
        ? example.options.map((option) => tokenise(example.context, option, encode))
        : example.contexts.map((context) => tokenise(context, example.continuation, encode));
    const gold = options[example.gold];
    if (!gold)
      throw new InputError(`task ${name}: gold ${example.gold} is none of ${options.length} options`);
    return {
      slots: addOptions(rows, options),
      gold: example.gold,
      goldTokens: gold.ids.length - gold.from,
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
export function planTask(task: Task, count: number, seed: number, encode: Encode, apart?: Drawn): Plan {
  const others = apart && task.examples(apart.examples, apart.seed);
  return planExamples(task.name, task.examples(count, seed, others), encode);
}

export async function scorePlan(
  scorer: LogProbScorer,
  plan: Plan,
  options?: ScoreOptions,
): Promise<TaskScore> {
  const scores = await scorer.score(plan.rows, options);
  let right = 0;
  let loss = 0;
  let tokens = 0;
  for (const { slots, gold, goldTokens } of plan.examples) {
    const logProbs = slots.map(({ row, span, candidate }) => {
      const score = scores[row]![span]!;
      return candidate === undefined ? score.logProb : score.candidates![candidate]!;
    });
    const [only] = slots;
    // Ties go to the first option, as an arg-max has it.
    const correct =
      gold === undefined
        ? scores[only!.row]![only!.span]!.greedy
        : logProbs.indexOf(Math.max(...logProbs)) === gold;
    if (correct) right++;
    loss -= logProbs[gold ?? 0]!;
    tokens += goldTokens;
  }
  const count = plan.examples.length;
  return {
    name: plan.name,
    examples: count,
    accuracy: right / count,
    goldLoss: loss / count,
    goldLossPerToken: loss / tokens,
  };
}
