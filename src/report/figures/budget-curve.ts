import { spreadOf } from '../../util/statistics.ts';
import { standingsOf } from '../baselines.ts';
import { type Figure, responsive } from '../figure.ts';
import { type Findings, fullSpread, pairedChanges } from '../findings.ts';
import { html } from '../html.ts';
import { evidenceOf } from '../paired.ts';
import { NARROW, WIDE } from '../svg.ts';
import { capitalised, counted, listed } from '../text.ts';
import { curveLegend, drawCurve, pointsOf, seriesOf } from './curve-chart.ts';

/** Searched against uniform over budgets, as in the paper's Figure 5b. */
export function budgetCurveFigure(findings: Findings): Figure {
  const { overall, seeds, layers } = findings;
  const series = seriesOf(findings, overall);
  const base = overall.of(findings.base);
  const cell = (value: number) => ({ value, show: overall.digits(value) });
  const count = (value: number) => ({ value, show: value });
  return {
    id: 'budget-curve',
    title: titleOf(findings),
    reading: html`The ${overall.phrase} of the best placement that each way of choosing found, for
      each number of full-attention layers; ${overall.higherIsBetter ? 'higher' : 'lower'} is better.${
        seeds.length > 1 &&
        ` Large marks are means over ${seeds.length} seeds, small dots the seeds, bands run from the lowest to the highest.`
      }`,
    legend: curveLegend(series, base !== undefined),
    graphic: responsive(
      drawCurve(findings, overall, { id: 'budget-curve-wide', width: WIDE, height: 380, labels: true }),
      drawCurve(findings, overall, { id: 'budget-curve-narrow', width: NARROW, height: 300, labels: false }),
    ),
    caption: captionOf(findings),
    table: {
      caption: `By number of full-attention layers: ${overall.phrase}`,
      header: ['Chosen by', 'Full layers', 'Seed', overall.axis, 'Layers kept'],
      rows: series.flatMap(({ searcher, points }) =>
        points.flatMap((point) =>
          point.seeds.map(({ seed, value, placement }) => [
            searcher.label,
            count(point.size),
            count(seed),
            cell(value),
            placement.join(' '),
          ]),
        ),
      ),
      footer: base === undefined ? [] : [['base model', count(layers), undefined, cell(base), 'all']],
    },
  };
}

function titleOf({ overall, searched, uniform, budget }: Findings): string {
  const change =
    searched && uniform && spreadOf(pairedChanges(overall, searched, uniform).map((each) => each.change));
  const at = counted(budget, 'full layer');
  if (!change) return `By number of full-attention layers: ${overall.phrase}`;
  const evidence = evidenceOf(overall, change);
  if (evidence === 'undecided')
    return `Searched and uniform placement cannot be told apart at ${at}${change.values.length === 1 ? ': one seed decides nothing' : ''}`;
  return `The searched placement is ${overall.showSize(change.mean)} ${evidence} than uniform at ${at}`;
}

function captionOf(findings: Findings): string {
  const { overall, searched, budget } = findings;
  const value = fullSpread(overall, searched);
  if (!value) return 'No searcher found the placement that was taken.';
  const first = `With ${counted(budget, 'full layer')} the searched placement reaches ${overall.showSpread(value)}`;
  return [
    `${first}${againstUniform(findings)}.`,
    againstRandom(findings),
    againstBest(findings),
    uniformRank(findings),
    fewerLayers(findings),
  ]
    .filter(Boolean)
    .join(' ');
}

function againstUniform({ overall, searched, uniform }: Findings): string {
  const value = fullSpread(overall, uniform);
  if (!searched || !uniform || !value) return '';
  const changes = pairedChanges(overall, searched, uniform);
  const ahead = changes.filter(({ change }) => overall.gain(change, 0) > 0).length;
  const seeds = changes.length > 1 ? `; the search is ahead in ${ahead} of ${changes.length} seeds` : '';
  return `, uniform ${overall.showSpread(value)}${seeds}`;
}

function againstRandom(findings: Findings): string {
  const { overall, searchers } = findings;
  const random = searchers.find(({ role }) => role === 'random');
  const value = fullSpread(overall, random);
  if (!random || !value) return '';
  const standing = standingsOf(findings, overall).find(({ baseline }) =>
    baseline.name.includes(random.label),
  );
  const seen = !standing
    ? ''
    : standing.evidence === 'undecided'
      ? ', not distinguishable from the searched one'
      : `, ${standing.evidence === 'better' ? 'worse' : 'better'} than the searched one`;
  return `${capitalised(random.label)} placements: ${overall.showSpread(value)}${seen}.`;
}

function againstBest({ overall, searched, exhaustive, budget, layers }: Findings): string {
  const changes =
    searched &&
    exhaustive &&
    spreadOf(pairedChanges(overall, exhaustive, searched).map(({ change }) => change));
  if (!changes) return '';
  const behind = overall.gain(changes.mean, 0);
  return overall.isNothing(behind)
    ? `With every seed the search found the best of all placements of ${budget} in ${layers} layers, by the examples it saw.`
    : `The best of all placements of ${budget} in ${layers} layers is ${overall.showSize(behind)} better still.`;
}

/** Where uniform placement stands among all of the budget, seed by seed. */
function uniformRank({ overall, uniform, everyPlacement }: Findings): string {
  const ranks = (everyPlacement ?? []).flatMap(({ seed, judged }) => {
    const own = uniform?.outcomes.find((outcome) => outcome.seed === seed)?.full;
    const value = own && overall.of(own);
    if (value === undefined) return [];
    return 1 + judged.filter((each) => overall.gain(overall.of(each)!, value) > 0).length;
  });
  if (ranks.length === 0) return '';
  return `Of all ${everyPlacement![0]!.judged.length} placements uniform ranks ${listed(ranks.map((rank) => `${rank}th`))}${ranks.length > 1 ? ', seed by seed' : ''}.`;
}

/** How few searched layers already do what the uniform placement of the whole budget does. */
function fewerLayers({ overall, searched, uniform, budget }: Findings): string {
  const target = fullSpread(overall, uniform)?.mean;
  if (!searched || target === undefined) return '';
  const reached = pointsOf(searched, overall).find(({ spread }) => overall.gain(spread.mean, target) >= 0);
  if (!reached || reached.size === 0 || reached.size >= budget) return '';
  return `In the mean ${counted(reached.size, 'searched layer')} already ${reached.size === 1 ? 'does' : 'do'} as well as ${budget} uniform ones.`;
}
