import type { ModelConfig } from '../../model/config.ts';
import { InputError } from '../../util/errors.ts';
import { checkKnown } from '../../util/known-options.ts';
import type { OnProgress } from '../../util/progress.ts';
import type { ReachTimes } from './costs.ts';
import type { ReachBudget } from './result.ts';

export interface SearchReachOptions {
  /** A folder of a model of full attention, or its name on the Hub. */
  model: string;
  /** Files, folders and globs of text that the model was not trained on; without it by recall alone. */
  data?: string | readonly string[];
  /** The field of records that has the text. */
  field?: string;
  /** Where scores and judgements are kept: the same search goes on from there. */
  work: string;
  /** Tokens of the user's texts: of costs, and of the longest distance that is asked for as far as the model's own goes. */
  context: number;
  /** A refined placement and its baselines are found for each. */
  budgets: readonly ReachBudget[];
  /** That layers can have; 128 and 256 unless told. */
  windows?: readonly number[];
  /** First tokens of the text that windows see; 4 unless told. */
  sinks?: number;
  /** Whether secrets are told and asked for; they are unless told otherwise. */
  recall?: boolean;
  /**
   * Whether it is judged too what the whole model loses with one head made a window; it is unless told otherwise. That finds the
   * heads that work together, of which each by itself brings nothing to windows.
   */
  fromFull?: boolean;
  /** How the engine keeps keys and values of heads that see everything; q8 unless told. */
  cache?: 'f32' | 'q8';
  /** Of random placements; 1 unless told. */
  seeds?: readonly number[];
  /** Measured with an engine; without it budgets of milliseconds are refused. */
  times?: ReachTimes;
  threads?: number;
  /** The command line, for the result. */
  command?: string;
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

/** What holds where a search is not told. */
export const REACH = {
  windows: [128, 256],
  sinks: 4,
  recall: true,
  fromFull: true,
  cache: 'q8',
  seeds: [1],
} as const;

const KNOWN: Record<keyof SearchReachOptions, true> = {
  ...{ model: true, data: true, field: true, work: true, context: true, budgets: true, windows: true },
  ...{ sinks: true, recall: true, fromFull: true, cache: true, seeds: true, times: true, threads: true },
  ...{ command: true, onProgress: true, signal: true },
};

const isWhole = (value: unknown, least: number) => Number.isSafeInteger(value) && (value as number) >= least;

/** @throws InputError for options that cannot be */
export function checkReachOptions(options: SearchReachOptions): void {
  checkKnown(options, KNOWN);
  const { context, budgets, windows, sinks, seeds, times, data, recall } = options;
  if (!isWhole(context, 1))
    throw new InputError(`a context of ${context} tokens: expected a whole number above 0`);
  const longest = windows ?? REACH.windows;
  if (
    longest.length === 0 ||
    !longest.every((window, i) => isWhole(window, 1) && (i === 0 || window > longest[i - 1]!))
  ) {
    throw new InputError(
      `windows of ${longest.join(', ')} tokens: expected whole numbers above 0, ascending`,
    );
  }
  if (sinks !== undefined && !isWhole(sinks, 0))
    throw new InputError(`${sinks} sinks: expected a whole number`);
  if (seeds !== undefined && !seeds.every((seed) => isWhole(seed, 0))) {
    throw new InputError(`seeds ${seeds.join(', ')}: expected whole numbers`);
  }
  if (data === undefined && recall === false) {
    throw new InputError('nothing to judge by: expected text, recall or both');
  }
  if (budgets.length === 0)
    throw new InputError('no budget: expected at least one of heads, layers, bytes or milliseconds');
  for (const budget of budgets) checkBudget(budget, longest, times);
}

function checkBudget(budget: ReachBudget, windows: readonly number[], times: ReachTimes | undefined): void {
  const { heads, layers, bytes, milliseconds } = budget;
  const given = Object.entries({ heads, layers, bytes, milliseconds }).filter(
    ([, value]) => value !== undefined,
  );
  if (given.length === 0) {
    throw new InputError(
      `the budget ${JSON.stringify(budget)}: expected one of heads, layers, bytes or milliseconds`,
    );
  }
  for (const [name, value] of given) {
    if (name === 'heads' || name === 'layers' ? isWhole(value, 0) : value! > 0) continue;
    throw new InputError(`a budget of ${value} ${name}: expected a number above 0`);
  }
  if (milliseconds === undefined) return;
  const missing = windows.find((window) => !times?.layers.some((entry) => entry.window === window));
  if (missing !== undefined) {
    throw new InputError(
      `a budget of ${milliseconds} milliseconds: expected measured times for windows of ${missing}`,
    );
  }
}

/** @throws InputError for a model whose heads do not all see everything */
export function checkFullAttention(model: string, { layers }: ModelConfig): void {
  const other = layers.findIndex(({ kind }) => kind !== 'attention');
  if (other < 0) return;
  throw new InputError(
    `${model}: layer ${other} is ${layers[other]!.kind}, expected full attention in all layers`,
  );
}
