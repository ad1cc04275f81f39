import { spreadOf } from '../../util/statistics.ts';
import { type Figure, panelColumns, panels } from '../figure.ts';
import { type Findings, pairedChanges } from '../findings.ts';
import { html } from '../html.ts';
import type { Measure } from '../measure.ts';
import { evidenceOf } from '../paired.ts';
import { counted } from '../text.ts';
import { curveDomain, curveLegend, drawCurve, pointsOf, seriesOf } from './curve-chart.ts';

/** The curve over budgets for each task by itself; undefined for a single task, whose curve is the one of the mean. */
export function abilityCurvesFigure(findings: Findings): Figure | undefined {
  const { tasks, searchers, seeds, overall, guiding } = findings;
  if (tasks.length < 2) return undefined;
  const accuracies = tasks.filter(({ kind }) => kind === 'accuracy');
  const shared = accuracies.length > 0 ? curveDomain(findings, accuracies) : undefined;
  const wide = panelColumns(tasks.length) === 2;
  const gains = gainsOf(findings);
  return {
    id: 'ability-curves',
    title: titleOf(gains, findings.budget),
    reading: html`The placements of the figure above, ability by ability. They were chosen for ${chosenFor(findings)}, so
      that ${guiding.length > 1 ? 'one' : 'another'} may fall where ${guiding.length > 1 ? 'the mean' : 'it'} rises.${accuracies.length > 1 && ' All accuracies have the same axis.'}`,
    legend: curveLegend(seriesOf(findings, overall), true),
    graphic: panels(
      tasks.map((measure, i) => ({
        title: html`${measure.name} <small>${measure.higherIsBetter ? measure.axis : `${measure.unit}, lower is better`}</small>`,
        chart: drawCurve(findings, measure, {
          id: `ability-curve-${i}`,
          width: wide ? 430 : 320,
          height: wide ? 240 : 220,
          labels: false,
          ...(shared && measure.kind === 'accuracy' && { domain: shared }),
        }),
      })),
    ),
    caption: captionOf(gains, findings.budget),
    table: {
      caption: `Abilities by number of full-attention layers${seeds.length > 1 ? ', mean over seeds' : ''}`,
      header: ['Chosen by', 'Full layers', ...tasks.map((measure) => `${measure.name}, ${measure.axis}`)],
      rows: searchers.flatMap((searcher) =>
        pointsOf(searcher, overall).map(({ size }) => [
          searcher.label,
          { value: size, show: size },
          ...tasks.map((measure) => {
            const spread = pointsOf(searcher, measure).find((point) => point.size === size)?.spread;
            return spread && { value: spread.mean, show: measure.digits(spread.mean) };
          }),
        ]),
      ),
    },
  };
}

function chosenFor({ tasks, guiding, overall }: Findings): string {
  if (guiding.length === tasks.length) return 'the mean over abilities';
  return `the ${overall.phrase} alone`;
}

interface Gain {
  measure: Measure;
  gain: number;
  evidence: ReturnType<typeof evidenceOf>;
}

/** Of the search over uniform placement, accuracies first, the largest first. */
function gainsOf({ tasks, searched, uniform }: Findings): Gain[] {
  return tasks
    .flatMap((measure) => {
      const change =
        searched && uniform && spreadOf(pairedChanges(measure, searched, uniform).map((each) => each.change));
      if (!change) return [];
      return { measure, gain: measure.gain(change.mean, 0), evidence: evidenceOf(measure, change) };
    })
    .sort((a, b) =>
      a.measure.kind === b.measure.kind ? b.gain - a.gain : a.measure.kind === 'accuracy' ? -1 : 1,
    );
}

function titleOf(gains: readonly Gain[], budget: number): string {
  if (gains.length === 0) return 'Every ability by number of full layers';
  const ahead = gains.filter(({ evidence }) => evidence === 'better').length;
  const at = `at ${counted(budget, 'full layer')}`;
  if (ahead === 0) return `No ability is decidedly better than with uniform placement ${at}`;
  if (ahead === gains.length) return `Every ability is decidedly better than with uniform placement ${at}`;
  return `${ahead} of ${gains.length} abilities ${ahead === 1 ? 'is' : 'are'} decidedly better than with uniform placement ${at}`;
}

function captionOf(gains: readonly Gain[], budget: number): string {
  if (gains.length === 0) return `Values at each number of full-attention layers up to ${budget}.`;
  const parts = gains.map(({ measure, gain, evidence }) => {
    if (measure.isNothing(gain)) return `${measure.name} the same`;
    return `${measure.name} ${measure.showSize(gain)} ${gain > 0 ? 'better' : 'worse'}${evidence === 'undecided' ? ' (undecided)' : ''}`;
  });
  return `Against uniform placement at ${counted(budget, 'full layer')}: ${parts.join(', ')}.`;
}
