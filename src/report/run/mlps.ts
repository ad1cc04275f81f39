import * as Plot from '@observablehq/plot';
import type { MlpsResult } from '../../search/stages/mlps-result.ts';
import { descending, spreadOf } from '../../util/statistics.ts';
import { numberCell } from '../cells.ts';
import { type Figure, legendOf, panelColumns, panels, renderFigure } from '../figure.ts';
import { type Html, html } from '../html.ts';
import type { Measure } from '../measure.ts';
import { drawChart, drawIcon, GRID } from '../svg.ts';
import { type Cell, renderTable } from '../table.ts';
import { fixed, layersText, listed } from '../text.ts';
import { type Claim, claimNotes, notMeasured, overSeeds } from './claim.ts';

/** Whether freezing the MLPs changes which placements are good: both scores of every placement. */

type MlpsRun = MlpsResult['runs'][number];

export function mlpsSection(mlps: MlpsResult, overall: Measure): Html {
  return html`${renderFigure(scatterFigure(mlps, overall))}
${claimNotes([mlpsClaim(mlps)])}
${bestTable(mlps, overall)}`;
}

/** So many are compared as the best. */
const BEST = 10;

/** The indices of the best placements, the best first. */
function bestOf(list: MlpsRun['frozen']): number[] {
  return descending(list.map(({ score }) => score)).slice(0, BEST);
}

function sharedOf({ frozen, trained }: MlpsRun): number {
  const best = bestOf(trained);
  return bestOf(frozen).filter((i) => best.includes(i)).length;
}

function correlations({ runs }: MlpsResult) {
  return spreadOf(runs.map(({ rankCorrelation }) => rankCorrelation))!;
}

function show(mlps: MlpsResult): string {
  const { mean, deviation } = correlations(mlps);
  return `${fixed(mean, 2)}${deviation === undefined ? '' : `\u00a0±\u00a0${fixed(deviation, 2)}`}`;
}

function scatterFigure(mlps: MlpsResult, overall: Measure): Figure {
  const { runs, placements } = mlps;
  return {
    id: 'mlps',
    title: `Placements rank ${alike(correlations(mlps).mean)} with frozen and with trained MLPs`,
    reading: html`Each dot is a placement: its ${overall.phrase} on the super network whose MLPs stay the parent’s (across) and
      on one whose MLPs were trained with the mixers (up). Dots on a rising line rank alike.`,
    legend: legendOf([
      { icon: icon('var(--full)'), label: `among the ${BEST} best of both` },
      { icon: icon('var(--uniform)'), label: 'of one' },
      { icon: icon('var(--random)'), label: 'of neither' },
    ]),
    graphic: panels(
      runs.map((run, i) => ({
        title: html`Seed ${run.seed} <small>rank correlation ${fixed(run.rankCorrelation, 2)}</small>`,
        chart: chart(mlps, run, overall, i),
      })),
    ),
    caption:
      `Spearman’s rank correlation is ${show(mlps)} ${overSeeds(correlations(mlps))}, ${placements.length} placements ` +
      `each. Of the ${Math.min(BEST, placements.length)} best with frozen MLPs, ${listed(runs.map(sharedOf))} are among the best with trained ones` +
      `${runs.length > 1 ? ' (seed by seed)' : ''}.`,
    table: {
      caption: `Placements by ${overall.phrase}`,
      header: [
        'Layers kept',
        ...runs.flatMap(({ seed }) => [`Frozen, seed ${seed}`, `Trained, seed ${seed}`]),
      ],
      rows: placements.map((placement, i) => [
        placement.join(' ') || 'none',
        ...runs.flatMap(({ frozen, trained }) =>
          [frozen, trained].map((list) => valueCell(overall, list[i])),
        ),
      ]),
    },
  };
}

function valueCell(overall: Measure, judged: MlpsRun['frozen'][number] | undefined): Cell {
  const value = judged && overall.of(judged);
  return value === undefined ? undefined : numberCell(value, (each) => overall.digits(each));
}

function icon(fill: string): Html {
  return drawIcon([Plot.dot([[0.5, 0.5]], { fill, r: 4 })]);
}

function bestTable(mlps: MlpsResult, overall: Measure): Html {
  const ranks = Array.from({ length: Math.min(BEST, mlps.placements.length) }, (_, rank) => rank);
  return renderTable({
    id: 'mlps-best',
    caption: `The ${ranks.length} best placements of each, with ${overall.axis}`,
    header: ['Rank', ...mlps.runs.flatMap(({ seed }) => [`Frozen, seed ${seed}`, `Trained, seed ${seed}`])],
    rows: ranks.map((rank) => [
      `${rank + 1}`,
      ...mlps.runs.flatMap((run) =>
        [run.frozen, run.trained].map((list): Cell => {
          const judged = list[bestOf(list)[rank]!]!;
          const layers = judged.placement.join(', ') || 'none';
          const value = overall.of(judged);
          return {
            value: layers,
            show: html`${layers}${value !== undefined && html` <small class="none">${overall.digits(value)}</small>`}`,
          };
        }),
      ),
    ]),
  });
}

/** From here on two orders count as the same. */
const ALIKE = 0.8;

function alike(correlation: number): string {
  return correlation >= ALIKE ? 'alike' : correlation >= 0.5 ? 'only partly alike' : 'differently';
}

const SAYS = 'Frozen MLPs are enough for the search: placements rank as with trained ones';

export function mlpsClaim(mlps: MlpsResult | undefined): Claim {
  if (!mlps) return notMeasured(SAYS);
  return {
    says: SAYS,
    found:
      `Spearman’s rank correlation ${show(mlps)} ${overSeeds(correlations(mlps))} and ${mlps.placements.length} placements; ` +
      `${fixed(ALIKE, 1)} and more counts as the same order.`,
    verdict: correlations(mlps).mean >= ALIKE ? 'holds' : 'does not hold',
  };
}

function chart(mlps: MlpsResult, run: MlpsRun, overall: Measure, index: number): Html {
  const wide = panelColumns(mlps.runs.length) === 2;
  const [frozen, trained] = [bestOf(run.frozen), bestOf(run.trained)];
  const points = mlps.placements.flatMap((placement, i) => {
    const x = overall.of(run.frozen[i]!);
    const y = overall.of(run.trained[i]!);
    if (x === undefined || y === undefined) return [];
    const best = Number(frozen.includes(i)) + Number(trained.includes(i));
    return {
      x: overall.plotted(x),
      y: overall.plotted(y),
      best,
      title: `${layersText(placement)}: frozen ${overall.show(x)}, trained ${overall.show(y)}`,
    };
  });
  // What matters most is drawn last.
  points.sort((a, b) => a.best - b.best);
  const axis = { label: null, nice: true, ticks: 5, tickSize: 0, reverse: !overall.higherIsBetter };
  return drawChart({
    id: `mlps-${index}`,
    label: `Frozen against trained MLPs, seed ${run.seed}`,
    description: `Rank correlation ${fixed(run.rankCorrelation, 2)} over ${points.length} placements.`,
    plot: {
      width: wide ? 430 : 320,
      height: wide ? 320 : 280,
      marginLeft: 48,
      marginTop: 26,
      marginBottom: 44,
      inset: 6,
      x: { ...axis, label: `frozen MLPs, ${overall.axis}`, labelAnchor: 'center', labelArrow: 'none' },
      y: axis,
      marks: [
        Plot.gridY({ ...GRID, ticks: 5 }),
        Plot.gridX({ ...GRID, ticks: 5 }),
        Plot.text(['trained MLPs'], {
          text: [`trained MLPs, ${overall.axis}`],
          frameAnchor: 'top-left',
          dx: -44,
          dy: -22,
          textAnchor: 'start',
        }),
        Plot.dot(points, {
          x: 'x',
          y: 'y',
          r: 3.5,
          fill: ({ best }: { best: number }) => ['var(--random)', 'var(--uniform)', 'var(--full)'][best]!,
          stroke: 'var(--paper)',
          strokeWidth: 0.8,
          title: 'title',
        }),
      ],
    },
  });
}
