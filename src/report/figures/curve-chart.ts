import * as Plot from '@observablehq/plot';
import type { Judged } from '../../search/stages/placement/searcher.ts';
import { type Spread, spreadOf } from '../../util/statistics.ts';
import { legendOf } from '../figure.ts';
import type { SearcherFindings } from '../findings.ts';
import type { Html } from '../html.ts';
import type { Measure } from '../measure.ts';
import { REFERENCE, ruleIcon, type SeriesStyle, seriesIcon, seriesStyles } from '../series.ts';
import { drawChart, FONT_SIZE, GRID, textWidth } from '../svg.ts';
import { counted } from '../text.ts';
import { movedApart } from './label-places.ts';

/** The drawing of what searchers reach by number of full-attention layers: means, their spread, every seed. */

/** What a curve is drawn of: findings, or searchers for something else than full layers. */
export interface Searched {
  searchers: readonly SearcherFindings[];
  budget: number;
  base: Judged | undefined;
  /** What the layers are that are counted, full layers unless told otherwise. */
  counted?: { one: string; axis: string };
}

const FULL_LAYERS = { one: 'full layer', axis: 'layers with full attention' };

/** One searcher at one number of full layers. */
export interface Point {
  size: number;
  spread: Spread;
  seeds: { seed: number; value: number; placement: readonly number[] }[];
}

export interface Series extends SeriesStyle {
  searcher: SearcherFindings;
  points: Point[];
}

/** The search comes last, so that it is drawn on top. */
export function seriesOf({ searchers }: Searched, measure: Measure): Series[] {
  const styles = seriesStyles(searchers);
  return searchers
    .map((searcher) => ({ searcher, ...styles.get(searcher.name)!, points: pointsOf(searcher, measure) }))
    .filter(({ points }) => points.length > 0)
    .sort((a, b) => Number(a.searcher.role === 'searched') - Number(b.searcher.role === 'searched'));
}

/** In order of size. */
export function pointsOf({ outcomes }: SearcherFindings, measure: Measure): Point[] {
  const sizes = outcomes.flatMap(({ best }) => best.map(({ placement }) => placement.length));
  return [...new Set(sizes)]
    .sort((a, b) => a - b)
    .flatMap((size) => {
      const seeds = outcomes.flatMap(({ seed, best }) => {
        const judged = best.find(({ placement }) => placement.length === size);
        const value = judged && measure.of(judged);
        return value === undefined ? [] : { seed, value, placement: judged!.placement };
      });
      const spread = spreadOf(seeds.map(({ value }) => value));
      return spread ? { size, spread, seeds } : [];
    });
}

export function curveLegend(series: readonly Series[], base: boolean): Html {
  return legendOf([
    ...[...series].reverse().map((one) => ({ icon: seriesIcon(one), label: one.searcher.label })),
    ...(base ? [{ icon: ruleIcon(), label: 'base model, all layers full' }] : []),
  ]);
}

export interface CurveOptions {
  id: string;
  width: number;
  height: number;
  /** Values written at the ends of the lines, and the unit above the axis. */
  labels: boolean;
  /** Of the vertical axis, as plotted; around the values if not given. */
  domain?: [number, number];
}

interface Mark {
  x: number;
  mean: number;
  low: number;
  high: number;
  title: string;
  point: Point;
}

export function drawCurve(searched: Searched, measure: Measure, options: CurveOptions): Html {
  const { id, width, height, labels } = options;
  const { budget, counted: what = FULL_LAYERS } = searched;
  const series = seriesOf(searched, measure);
  const base = searched.base && measure.of(searched.base);
  const domain = options.domain ?? curveDomain(searched, [measure]);
  const marginTop = labels ? 26 : 10;
  const marginBottom = 44;
  const ends = labels ? endLabels(series, measure, base, domain, height - marginTop - marginBottom) : [];
  const drawn = series.map((one) => ({
    ...one,
    marks: marksOf(one, measure, shiftOf(one, series, budget), what.one),
  }));
  const xs = drawn.flatMap(({ marks }) => marks.map(({ x }) => x));
  const ticks = labels ? 6 : 4;
  return drawChart({
    id,
    label: `${measure.name} by number of ${what.axis}`,
    description: describe(series, measure, base, what.one),
    plot: {
      width,
      height,
      marginLeft: 44,
      marginRight: labels ? 22 + Math.max(0, ...ends.map(({ text }) => textWidth(text))) : 14,
      marginTop,
      marginBottom,
      x: {
        domain: [Math.min(...xs), Math.max(...xs)],
        inset: 10,
        ticks: wholeTicks(budget),
        tickFormat: 'd',
        tickSize: 0,
        label: what.axis,
        labelAnchor: 'center',
        labelArrow: 'none',
      },
      y: { domain, label: null, tickSize: 0, ticks },
      marks: [
        Plot.gridY({ ...GRID, ticks }),
        ...(labels ? [unitAbove(measure)] : []),
        ...(base === undefined ? [] : [baseLine(measure, base)]),
        ...drawn.flatMap((one) => spreadMarks(one, one.marks, measure)),
        ...drawn.flatMap((one) => meanMarks(one, one.marks, labels)),
        ...ends.map(({ text, y, colour, bold }) =>
          Plot.text([y], {
            text: [text],
            y: [y],
            frameAnchor: 'right',
            dx: 14,
            textAnchor: 'start',
            fill: colour,
            fontWeight: bold ? 700 : 400,
          }),
        ),
      ],
    },
  });
}

/** What the vertical axis must hold to show these measures, the base model included. */
export function curveDomain(searched: Searched, measures: readonly Measure[]): [number, number] {
  const values = measures.flatMap((measure) =>
    [
      ...seriesOf(searched, measure).flatMap(({ points }) => points.flatMap(({ spread }) => spread.values)),
      searched.base && measure.of(searched.base),
    ].flatMap((value) => (value === undefined ? [] : measure.plotted(value))),
  );
  const low = Math.min(...values);
  const high = Math.max(...values);
  const room = (high - low || Math.abs(high) || 1) * 0.06;
  const bounded = measures.every(({ kind }) => kind === 'accuracy');
  return bounded ? [Math.max(0, low - room), Math.min(100, high + room)] : [low - room, high + room];
}

/** Searchers with a single point would lie on the end of the others' lines: each is moved to the right by a little. */
function shiftOf(one: Series, series: readonly Series[], budget: number): number {
  const lonely = series.filter(({ points }) => points.length === 1);
  return (lonely.indexOf(one) + 1) * Math.min(0.12, budget * 0.035);
}

function marksOf({ searcher, points }: Series, measure: Measure, shift: number, what: string): Mark[] {
  return points.map((point) => ({
    x: point.size + shift,
    mean: measure.plotted(point.spread.mean),
    low: measure.plotted(point.spread.lowest),
    high: measure.plotted(point.spread.highest),
    title: `${searcher.label}, ${counted(point.size, what)}: ${measure.showSpread(point.spread)}`,
    point,
  }));
}

/** Band or bar from the lowest seed to the highest, and the seeds; nothing for a single seed. */
function spreadMarks(
  { searcher, colour, points }: Series,
  marks: readonly Mark[],
  measure: Measure,
): Plot.Markish[] {
  if (points.every(({ seeds }) => seeds.length < 2)) return [];
  const range = { x: 'x', y1: 'low', y2: 'high' } as const;
  const seeds = marks.flatMap(({ x, point }) =>
    point.seeds.map(({ seed, value }) => ({
      x,
      y: measure.plotted(value),
      title: `${searcher.label}, seed ${seed}: ${measure.show(value)}`,
    })),
  );
  return [
    points.length > 1
      ? Plot.areaY(marks, { ...range, fill: colour, fillOpacity: 0.16 })
      : Plot.ruleX(marks, { ...range, stroke: colour, strokeWidth: 2, strokeOpacity: 0.5 }),
    Plot.dot(seeds, {
      x: 'x',
      y: 'y',
      r: 2.2,
      fill: 'var(--paper)',
      stroke: colour,
      strokeWidth: 1.2,
      title: 'title',
    }),
  ];
}

function meanMarks(
  { searcher, colour, symbol, dash }: Series,
  marks: readonly Mark[],
  large: boolean,
): Plot.Markish[] {
  const line = Plot.lineY(marks, {
    x: 'x',
    y: 'mean',
    stroke: colour,
    strokeWidth: searcher.role === 'searched' ? 2.5 : 2,
    ...(dash && { strokeDasharray: dash }),
  });
  const dot = Plot.dot(marks, {
    x: 'x',
    y: 'mean',
    symbol,
    r: large ? 5 : 4,
    fill: colour,
    stroke: 'var(--paper)',
    strokeWidth: 1,
    title: 'title',
  });
  return marks.length > 1 ? [line, dot] : [dot];
}

function baseLine(measure: Measure, base: number): Plot.Markish {
  return Plot.ruleY([measure.plotted(base)], {
    stroke: REFERENCE.colour,
    strokeWidth: 1.5,
    strokeDasharray: REFERENCE.dash,
    title: [`base model: ${measure.show(base)}`],
  });
}

function unitAbove({ axis }: Measure): Plot.Markish {
  return Plot.text([axis], {
    text: [axis],
    frameAnchor: 'top-left',
    dx: -40,
    dy: -22,
    textAnchor: 'start',
    fill: 'var(--muted)',
  });
}

function wholeTicks(budget: number): number[] {
  const every = Math.max(1, Math.ceil(budget / 12));
  return Array.from({ length: budget + 1 }, (_, size) => size).filter((size) => size % every === 0);
}

function describe(
  series: readonly Series[],
  measure: Measure,
  base: number | undefined,
  what: string,
): string {
  const ends = series.map(({ searcher, points }) => {
    const { size, spread } = points.at(-1)!;
    return `${searcher.label}: ${measure.showSpread(spread)} at ${counted(size, what)}.`;
  });
  return [...ends, ...(base === undefined ? [] : [`Base model: ${measure.show(base)}.`])].join(' ');
}

interface EndLabel {
  text: string;
  y: number;
  colour: string;
  bold: boolean;
}

/** Labels at the right end, at the height of what they name, moved apart where they would overlap. */
function endLabels(
  series: readonly Series[],
  measure: Measure,
  base: number | undefined,
  [low, high]: readonly [number, number],
  pixels: number,
): EndLabel[] {
  const labels = [...series].reverse().map(({ searcher, points, colour }): EndLabel => {
    const { mean } = points.at(-1)!.spread;
    const searched = searcher.role === 'searched';
    const text = `${searched ? 'searched' : searcher.label} ${measure.digits(mean)}`;
    return { text, y: measure.plotted(mean), colour, bold: searched };
  });
  if (base !== undefined) {
    labels.push({
      text: `base ${measure.digits(base)}`,
      y: measure.plotted(base),
      colour: 'var(--ink)',
      bold: false,
    });
  }
  return movedApart(labels, ((FONT_SIZE + 3) / pixels) * (high - low), low);
}
