import type { Judged } from '../search/stages/placement/searcher.ts';
import { decidedSign, type Spread, spreadOf } from '../util/statistics.ts';
import type { Measure } from './measure.ts';

/** Differences are taken seed by seed: what seeds share hides nothing. */

export interface SeedJudged {
  seed: number;
  judged: Judged;
}

/** value(run) - value(reference) for the seeds that have both. */
export function pairedBySeed(
  measure: Measure,
  runs: readonly SeedJudged[],
  reference: readonly SeedJudged[],
): { seed: number; change: number }[] {
  return runs.flatMap(({ seed, judged }) => {
    const other = reference.find((run) => run.seed === seed);
    const value = measure.of(judged);
    const over = other && measure.of(other.judged);
    return value === undefined || over === undefined ? [] : [{ seed, change: value - over }];
  });
}

/** Undefined where no seed has both. */
export function pairedSpread(
  measure: Measure,
  runs: readonly SeedJudged[],
  reference: readonly SeedJudged[],
): Spread | undefined {
  return spreadOf(pairedBySeed(measure, runs, reference).map(({ change }) => change));
}

/** What differences say: nothing where the 95 % interval of their mean holds 0, and nothing with one seed. */
export function evidenceOf(measure: Measure, change: Spread): 'better' | 'worse' | 'undecided' {
  const sign = decidedSign(change.values.map((value) => measure.gain(value, 0)));
  return sign > 0 ? 'better' : sign < 0 ? 'worse' : 'undecided';
}
