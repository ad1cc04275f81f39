import { average } from '../util/statistics.ts';
import { intervalText, type Standing, standingsOf } from './baselines.ts';
import { type Comparison, changeOver } from './comparison.ts';
import type { Findings } from './findings.ts';
import type { Measure } from './measure.ts';
import { evidenceOf } from './paired.ts';
import { capitalised, counted, listed } from './text.ts';

/**
 * What a placement search has shown, in the first sentence that is said about it: which baselines it beats, and from which
 * it cannot be told apart. Undefined where there is nothing to compare it with.
 */
export function placementVerdict(findings: Findings): string | undefined {
  const { overall, searched } = findings;
  const standings = standingsOf(findings, overall);
  if (!searched || standings.length === 0) return undefined;
  const seeds = searched.outcomes.length;
  return seeds === 1 ? ofOneSeed(standings, overall, findings) : ofSeeds(standings, overall, seeds);
}

/** What the values of a verdict were measured on. */
export function measuredOn({ overall, compared }: Findings): string {
  const numbers = [...new Set(compared.examples)].sort((a, b) => a - b);
  const examples = numbers.length > 1 ? `${numbers[0]} to ${numbers.at(-1)}` : `${numbers[0]}`;
  return compared.unseen
    ? `Compared is the ${overall.phrase}, on ${examples} examples per task that the search did not see.`
    : `Compared is the ${overall.phrase}, on the examples (${examples} per task) that the placements were chosen on: that ` +
        'favours whatever looked at most placements.';
}

/** What a score made of several kinds of measure is. */
export function scoreText(measure: Measure): string {
  return `the mean of ${measure.made}: higher is better.`;
}

function ofOneSeed(
  standings: readonly Standing[],
  overall: Measure,
  { searched, guiding }: Findings,
): string {
  const names = standings.map(({ baseline, change }) => {
    const gain = overall.gain(change.mean, 0);
    const which = overall.isNothing(gain) ? ' (equal)' : gain < 0 ? ' (better here)' : '';
    return baseline.name + which;
  });
  // A score of accuracies and losses says little to a reader: the values that it is made of stand for it.
  const shown = overall.kind === 'score' ? guiding : [overall];
  const values = shown.map((measure) => {
    const beside = standings.map(
      ({ baseline }) => `${baseline.name} ${measure.show(measure.of(baseline.runs[0]!.judged)!)}`,
    );
    return `${capitalised(measure.phrase)}: searched ${measure.show(measure.of(searched!.outcomes[0]!.full)!)}, ${beside.join(', ')}.`;
  });
  return `One seed decides nothing: the searched placement is not distinguishable from ${listed(names)}. ${values.join(' ')}`;
}

function ofSeeds(standings: readonly Standing[], overall: Measure, seeds: number): string {
  const parts = (['better', 'undecided', 'worse'] as const).flatMap((evidence) => {
    const found = standings.filter((each) => each.evidence === evidence);
    if (found.length === 0) return [];
    const names = found.map(
      ({ baseline, change }) =>
        `${baseline.name} (${intervalText(overall, change)}${won(change.values, overall)})`,
    );
    return `${IS[evidence]} ${listed(names)}`;
  });
  const [first, ...others] = parts;
  return `Over ${counted(seeds, 'seed')} the searched placement is ${[first, ...others].join(', ')}.`;
}

const IS = { better: 'better than', undecided: 'not distinguishable from', worse: 'worse than' };

/** Where the baseline does as well in some of the seeds. */
function won(changes: readonly number[], overall: Measure): string {
  const notWorse = changes.filter(
    (change) => overall.gain(change, 0) <= 0 || overall.isNothing(change),
  ).length;
  const behind = average(changes.map((change) => overall.gain(change, 0))) <= 0;
  if (notWorse === 0 || behind) return '';
  return `; it does as well in ${notWorse} of ${counted(changes.length, 'seed')}`;
}

/** The same of a comparison of blocks: which candidates the taken one beats, and from which it cannot be told apart. */
export function takenVerdict({ taken, ranked, overall, seeds }: Comparison): string | undefined {
  const others = ranked.flatMap((candidate) => {
    const change = candidate === taken ? undefined : changeOver(overall, taken, candidate);
    return change ? [{ candidate, change, evidence: evidenceOf(overall, change) }] : [];
  });
  if (others.length === 0) return undefined;
  const named = (list: typeof others) => listed(list.map(({ candidate }) => candidate.label));
  if (seeds.length === 1) {
    const all = others.length > 3 ? `the ${others.length} others` : named(others);
    return `One seed decides nothing: ${taken.label} is not distinguishable from ${all}.`;
  }
  const parts = (['better', 'undecided', 'worse'] as const).flatMap((evidence) => {
    const found = others.filter((each) => each.evidence === evidence);
    if (found.length === 0) return [];
    const all =
      found.length === others.length && found.length > 2 ? `all ${found.length} others` : named(found);
    return `${IS[evidence]} ${all}`;
  });
  return `Over ${counted(seeds.length, 'seed')} ${taken.label} is ${parts.join(', ')}.`;
}
