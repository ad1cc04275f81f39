import { type Figure, panelColumns, panels } from '../figure.ts';
import { type Findings, meanGain } from '../findings.ts';
import { html } from '../html.ts';
import type { Measure } from '../measure.ts';
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
}

/** Of the search over uniform placement, accuracies first, the largest first. */
function gainsOf({ tasks, searched, uniform }: Findings): Gain[] {
  return tasks
    .flatMap((measure) => {
      const gain = meanGain(measure, searched, uniform);
      return gain === undefined ? [] : { measure, gain };
    })
    .sort((a, b) =>
      a.measure.kind === b.measure.kind ? b.gain - a.gain : a.measure.kind === 'accuracy' ? -1 : 1,
    );
}

function titleOf(gains: readonly Gain[], budget: number): string {
  if (gains.length === 0) return 'Every ability by number of full layers';
  const ahead = gains.filter(({ measure, gain }) => gain > 0 && !measure.isNothing(gain)).length;
  const at = `at ${counted(budget, 'full layer')}`;
  if (ahead === gains.length) return `Searching beats uniform placement in every ability ${at}`;
  return `Searching beats uniform placement in ${ahead} of ${gains.length} abilities ${at}`;
}

function captionOf(gains: readonly Gain[], budget: number): string {
  if (gains.length === 0) return `Values at each number of full-attention layers up to ${budget}.`;
  const parts = gains.map(({ measure, gain }) => {
    if (measure.isNothing(gain)) return `${measure.name} stays the same`;
    return `${measure.name} gets ${gain > 0 ? 'better' : 'worse'} by ${measure.showSize(gain)}`;
  });
  return `Against uniform placement at ${counted(budget, 'full layer')}: ${parts.join(', ')}.`;
}
