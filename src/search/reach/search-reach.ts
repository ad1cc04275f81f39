import type { OnProgress } from '../../util/progress.ts';
import type { ReachTimes } from './costs.ts';
import type { ReachBudget, ReachResult } from './result.ts';

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
  /** Whether one head is made a window of the whole model too, which takes as long as all else; not unless told. */
  fromFull?: boolean;
  /** How the engine keeps keys and values of heads that see everything; q8 unless told. */
  cache?: 'f32' | 'q8';
  /** Of random placements, at least one; 1, 2 and 3 unless told. */
  seeds?: readonly number[];
  /** Measured with an engine; without it budgets of milliseconds are refused. */
  times?: ReachTimes;
  threads?: number;
  /** The command line, for the result. */
  command?: string;
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

/**
 * Finds without training which KV heads of a model of full attention must see everything, where all others see a window and the
 * first tokens of a text. Its result stands in `work`/result.json.
 *
 * @throws InputError for a model with other mixers or biases that cannot be read, options that cannot be, and texts that are
 * too short; OtherWorkError for a folder that holds another search
 */
export async function searchReach(_options: SearchReachOptions): Promise<ReachResult> {
  throw new Error('not yet');
}
