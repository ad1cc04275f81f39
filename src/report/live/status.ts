import type { StageName } from '../../search/run/stage.ts';
import type { ProgressEvent } from '../../util/progress.ts';

/** How far a run is, as far as its progress events tell. */

/** What is known of a run before it begins. */
export interface RunPlan {
  recipe: string;
  model: string;
  /** Where its report will be. */
  report: string;
  stages: readonly StageName[];
  /** Tokens of all trainings, and the seconds that they are estimated to take. */
  tokens: number;
  seconds: number;
}

export type StageState = 'to come' | 'under way' | 'done';

export interface LiveStage {
  name: StageName;
  state: StageState;
  units: number;
  unitsDone: number;
}

/** A part of the run that told of itself and is not done. */
export interface Activity extends ProgressEvent {
  /** When it began here, and where; a resumed one does not begin at 0. */
  since: number;
  from: number;
}

/** How a run ended, and when. */
export interface End {
  how: 'finished' | 'stopped';
  at: number;
}

export interface Status {
  plan: RunPlan;
  stages: readonly LiveStage[];
  running: readonly Activity[];
  /** The bar of everything, once something was trained. */
  whole: Activity | undefined;
  /** Times in milliseconds since 1970. */
  begun: number;
  now: number;
  end: End | undefined;
}

/** Seconds of training after which its own rate says more than the estimate. */
const TRUSTED = 10;

/** Of the tokens of all trainings. */
export function shareOf({ whole, end, stages }: Status): number {
  if (end?.how === 'finished') return 1;
  if (whole) return whole.total > 0 ? Math.min(1, whole.done / whole.total) : 0;
  return stages.every(({ state }) => state === 'done') ? 1 : 0;
}

/** By the rate of this call so far; by the estimate until that can be trusted. */
export function secondsLeft({ plan, whole, now }: Pick<Status, 'plan' | 'whole' | 'now'>): number {
  if (!whole) return plan.seconds;
  const seconds = (now - whole.since) / 1000;
  const tokens = whole.done - whole.from;
  const left = whole.total - whole.done;
  if (seconds > TRUSTED && tokens > 0) return (left * seconds) / tokens;
  return (left * plan.seconds) / Math.max(1, plan.tokens);
}
