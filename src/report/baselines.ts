import type { Judged } from '../search/stages/placement/searcher.ts';
import { average, margin95, type Spread } from '../util/statistics.ts';
import type { Findings, SearcherFindings } from './findings.ts';
import type { Measure } from './measure.ts';
import { evidenceOf, pairedSpread, type SeedJudged } from './paired.ts';

/** What a searched placement has to beat, with as many full layers: uniform placement, and placements drawn by chance. */
interface Baseline {
  /** In running text: 'the best of 8 random placements' */
  name: string;
  runs: readonly SeedJudged[];
}

export interface Standing {
  baseline: Baseline;
  /** value(searched) - value(baseline), seed by seed. */
  change: Spread;
  evidence: ReturnType<typeof evidenceOf>;
}

export const UNIFORM = 'uniform placement';

/** Those that the result has. A mean is that of the random placements, or of all where all were judged. */
function baselinesOf({ uniform, searchers, everyPlacement = [] }: Findings): Baseline[] {
  const random = searchers.find(({ role }) => role === 'random');
  return [
    ...(uniform ? [{ name: UNIFORM, runs: outcomesOf(uniform) }] : []),
    ...(random ? [{ name: `the ${random.label} placements`, runs: outcomesOf(random) }] : []),
    ...meanOf('the mean of these random placements', drawnBy(random)),
    ...meanOf(`the mean of all ${everyPlacement[0]?.judged.length} placements`, everyPlacement),
  ];
}

function outcomesOf({ outcomes }: SearcherFindings): SeedJudged[] {
  return outcomes.map(({ seed, full }) => ({ seed, judged: full }));
}

interface SeedPlacements {
  seed: number;
  judged: readonly Judged[];
}

function drawnBy(random: SearcherFindings | undefined): SeedPlacements[] {
  const outcomes = random?.outcomes.filter(({ drawn }) => drawn.length > 0) ?? [];
  return outcomes.map(({ seed, drawn }) => ({ seed, judged: drawn }));
}

function meanOf(name: string, runs: readonly SeedPlacements[]): Baseline[] {
  if (runs.length === 0) return [];
  return [{ name, runs: runs.map(({ seed, judged }) => ({ seed, judged: meanJudged(judged) })) }];
}

/** The searched placement beside each baseline. */
export function standingsOf(findings: Findings, measure: Measure): Standing[] {
  const { searched } = findings;
  if (!searched) return [];
  return baselinesOf(findings).flatMap((baseline) => {
    const change = pairedSpread(measure, outcomesOf(searched), baseline.runs);
    return change ? [{ baseline, change, evidence: evidenceOf(measure, change) }] : [];
  });
}

/** '+30.9 points, 95 % interval +16.6 to +45.2' */
export function intervalText(measure: Measure, change: Spread): string {
  const margin = margin95(change.values);
  const unit = measure.changeUnit && ` ${measure.changeUnit}`;
  const mean = `${measure.changeDigits(change.mean)}${unit}`;
  if (margin === undefined) return mean;
  const [low, high] = [change.mean - margin, change.mean + margin].map((value) =>
    measure.changeDigits(value),
  );
  return `${mean}, 95\u00a0% interval ${low} to ${high}`;
}

/** Of several placements of one seed every value averaged, as if they were one. */
function meanJudged(list: readonly Judged[]): Judged {
  const mean = (value: (judged: Judged) => number) => average(list.map(value));
  const names = Object.keys(list[0]!.tasks);
  return {
    placement: [],
    score: mean(({ score }) => score),
    tasks: Object.fromEntries(
      names.map((name) => [
        name,
        {
          accuracy: mean(({ tasks }) => tasks[name]!.accuracy),
          ...(list[0]!.tasks[name]!.accuracyNorm !== undefined && {
            accuracyNorm: mean(({ tasks }) => tasks[name]!.accuracyNorm!),
          }),
          goldLoss: mean(({ tasks }) => tasks[name]!.goldLoss),
          goldLossPerToken: mean(({ tasks }) => tasks[name]!.goldLossPerToken),
        },
      ]),
    ),
  };
}
