import type { WindowsResult } from '../../search/stages/windows-result.ts';
import type { Spread } from '../../util/statistics.ts';
import { numberCell } from '../cells.ts';
import { type Figure, renderFigure, responsive } from '../figure.ts';
import { curveLegend, drawCurve, pointsOf, type Searched, seriesOf } from '../figures/curve-chart.ts';
import { type LayerBar, layerBars } from '../figures/layer-bars.ts';
import { type SearcherFindings, searcherLabel } from '../findings.ts';
import { type Html, html } from '../html.ts';
import { type Measure, overallMeasure } from '../measure.ts';
import { evidenceOf, pairedSpread } from '../paired.ts';
import { NARROW, WIDE } from '../svg.ts';
import { capitalised, counted, layersText } from '../text.ts';
import { changeText, decidedText } from './claim.ts';
import { runsOf, windowSize, windowsBalance, windowsTable } from './windows-changes.ts';

/** The second placement: which linear layers get a sliding window instead. */

export function windowsSection(windows: WindowsResult, layers: number): Html {
  const overall = overallMeasure(windows);
  const alone = aloneFigure(windows, overall, layers);
  return html`<p>${chosenText(windows, overall)} ${windowsBalance(windows)}</p>
${windowsTable(windows)}
${alone && renderFigure(alone)}
${renderFigure(curveFigure(windows, overall))}`;
}

function chosenText(windows: WindowsResult, overall: Measure): string {
  const { chosen, rule } = windows;
  const change = gainOf(windows, overall, chosen);
  const gain = change
    ? ` ${capitalised(overall.phrase)} against no window: ${changeText(overall, change)}, ${decidedText(overall, change)}.`
    : '';
  if (chosen.length === 0) return `No layer gets a window, by the rule: ${rule}.`;
  return `A window of ${windowSize(windows)} goes into ${layersText(chosen)}, by the rule: ${rule}.${gain}`;
}

/** Against no window, seed by seed. */
function gainOf(windows: WindowsResult, overall: Measure, placement: readonly number[]): Spread | undefined {
  return pairedSpread(overall, runsOf(windows, placement), runsOf(windows, []));
}

/** Layers named in a caption. */
const MOST_NAMED = 8;

function aloneFigure(windows: WindowsResult, overall: Measure, layers: number): Figure | undefined {
  const bars = Array.from({ length: layers }, (_, layer) => layer).flatMap(
    (layer): (LayerBar & { change: Spread })[] => {
      const change = gainOf(windows, overall, [layer]);
      if (!change) return [];
      return [
        {
          layer,
          change,
          value: overall.plotted(change.mean),
          seeds: change.values.map((value) => overall.plotted(value)),
          marked: windows.chosen.includes(layer),
          title: `layer ${layer}: ${changeText(overall, change)}`,
        },
      ];
    },
  );
  if (bars.length === 0) return undefined;
  const helps = bars.filter(({ change }) => evidenceOf(overall, change) === 'better');
  const best = [...helps].sort((a, b) => overall.gain(b.change.mean, a.change.mean))[0]!;
  const unit = overall.changeUnit && ` (${overall.changeUnit})`;
  return {
    id: 'windows-alone',
    title:
      helps.length === 0
        ? 'No window by itself is decidedly better than none'
        : `A window in layer ${best.layer} alone brings most, ${overall.showSize(best.change.mean)}`,
    reading: html`Change of the ${overall.phrase} with a window in one layer only, against none, taken seed by seed;
      ${overall.higherIsBetter ? 'up' : 'down'} is better. <span class="mark">Coloured bars</span> are the layers that got a
      window.${windows.runs.length > 1 && ` Bars are means, dots the ${windows.runs.length} seeds.`} Layers without a bar keep full
      attention.`,
    graphic: layerBars(bars, {
      id: 'windows-alone',
      label: 'Change by a window in one layer',
      axis: `change of ${overall.quantity}${unit}`,
      description: `${bars.map(({ layer, change }) => `layer ${layer}: ${overall.changeDigits(change.mean)}`).join(', ')}.`,
    }),
    caption: `A window alone is decidedly better than none in ${counted(helps.length, 'layer')} of ${bars.length}${
      helps.length > 0 && helps.length <= MOST_NAMED ? `: ${layersText(helps.map(({ layer }) => layer))}` : ''
    }.`,
    table: {
      caption: 'A window in one layer only, against none',
      header: ['Layer', `Change${unit}`, ...windows.runs.map(({ seed }) => `Seed ${seed}`)],
      rows: bars.map(({ layer, change }) => [
        `${layer}`,
        numberCell(change.mean, (value) => overall.changeDigits(value)),
        ...change.values.map((value) => numberCell(value, (each) => overall.changeDigits(each))),
      ]),
    },
  };
}

/** The searchers of windows as those of full attention are drawn. */
function searchedOf({ runs, budget }: WindowsResult): Searched {
  const names = [...new Set(runs.flatMap(({ searchers }) => searchers.map(({ name }) => name)))];
  const first = names.find((name) => name !== 'uniform');
  const searchers = names.map((name): SearcherFindings => {
    const role = name === first ? 'searched' : name === 'uniform' ? 'uniform' : 'other';
    const outcomes = runs.flatMap(({ seed, searchers }) => {
      const found = searchers.find((searcher) => searcher.name === name)?.best ?? [];
      const best = [...found].sort((a, b) => a.placement.length - b.placement.length);
      const full = best.at(-1);
      return full ? [{ seed, best, full, drawn: [], seconds: 0, tokens: 0 }] : [];
    });
    return { name, label: searcherLabel(name), role, outcomes };
  });
  return { searchers, budget, base: undefined, counted: { one: 'window', axis: 'layers with a window' } };
}

function curveFigure(windows: WindowsResult, overall: Measure): Figure {
  const searched = searchedOf(windows);
  const series = seriesOf(searched, overall);
  const seeds = windows.runs.length;
  return {
    id: 'windows-curve',
    title: curveTitle(searched, overall),
    reading: html`The ${overall.phrase} of the best layers for windows that each way of choosing found, for each number of them;
      ${overall.higherIsBetter ? 'higher' : 'lower'} is better.${
        seeds > 1 &&
        ` Large marks are means over ${seeds} seeds, small dots the seeds, bands run from the lowest to the highest.`
      }`,
    legend: curveLegend(series, false),
    graphic: responsive(
      drawCurve(searched, overall, { id: 'windows-curve-wide', width: WIDE, height: 340, labels: true }),
      drawCurve(searched, overall, { id: 'windows-curve-narrow', width: NARROW, height: 280, labels: false }),
    ),
    caption: curveCaption(searched, overall),
    table: {
      caption: `By number of windows: ${overall.phrase}`,
      header: ['Chosen by', 'Windows', 'Seed', overall.axis, 'Layers'],
      rows: series.flatMap(({ searcher, points }) =>
        points.flatMap(({ size, seeds }) =>
          seeds.map(({ seed, value, placement }) => [
            searcher.label,
            numberCell(size),
            numberCell(seed),
            numberCell(value, (each) => overall.digits(each)),
            placement.join(' '),
          ]),
        ),
      ),
    },
  };
}

/** The search against uniform windows, at as many as uniform has. */
function overUniform(
  { searchers }: Searched,
  overall: Measure,
): { change: Spread; count: number } | undefined {
  const uniform = searchers.find(({ role }) => role === 'uniform');
  const search = searchers.find(({ role }) => role === 'searched');
  const count = uniform?.outcomes[0]?.full.placement.length;
  if (!uniform || !search || count === undefined) return undefined;
  const at = ({ outcomes }: SearcherFindings) =>
    outcomes.flatMap(({ seed, best }) => {
      const judged = best.find(({ placement }) => placement.length === count);
      return judged ? { seed, judged } : [];
    });
  const change = pairedSpread(overall, at(search), at(uniform));
  return change && { change, count };
}

function curveTitle(searched: Searched, overall: Measure): string {
  const over = overUniform(searched, overall);
  if (!over) return `By number of windows: ${overall.phrase}`;
  const at = counted(over.count, 'window');
  const evidence = evidenceOf(overall, over.change);
  return evidence === 'undecided'
    ? `Searched and uniform windows cannot be told apart at ${at}`
    : `Searched windows score ${overall.showSize(over.change.mean)} ${evidence} than uniform ones at ${at}`;
}

function curveCaption(searched: Searched, overall: Measure): string {
  const search = searched.searchers.find(({ role }) => role === 'searched');
  const points = search ? pointsOf(search, overall) : [];
  if (points.length === 0) return 'No searcher looked at windows.';
  const best = points.reduce((a, b) => (overall.gain(b.spread.mean, a.spread.mean) > 0 ? b : a));
  const over = overUniform(searched, overall);
  const against = over ? ` Against uniform windows: ${changeText(overall, over.change)}.` : '';
  return `The search is best with ${counted(best.size, 'window')}: ${overall.showSpread(best.spread)}.${against}`;
}
