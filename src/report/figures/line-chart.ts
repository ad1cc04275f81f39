import * as Plot from '@observablehq/plot';
import type { Html } from '../html.ts';
import type { SeriesStyle } from '../series.ts';
import { drawChart, GRID } from '../svg.ts';

/** Lines against a number of tokens, or another amount, whose axis is logarithmic: one panel of several. */

/** In this order; colour, symbol and dashes each tell lines apart. */
const STYLES: readonly SeriesStyle[] = [
  { colour: 'var(--full)', symbol: 'circle' },
  { colour: 'var(--uniform)', symbol: 'square', dash: '6 4' },
  { colour: 'var(--exhaustive)', symbol: 'diamond', dash: '8 3 2 3' },
  { colour: 'var(--second)', symbol: 'star', dash: '10 3' },
  { colour: 'var(--third)', symbol: 'wye', dash: '4 2' },
  { colour: 'var(--random)', symbol: 'triangle', dash: '2 3' },
];

export function lineStyle(i: number): SeriesStyle {
  return STYLES[i % STYLES.length]!;
}

export interface Line {
  style: SeriesStyle;
  points: readonly { x: number; y: number; title: string }[];
}

interface LineOptions {
  id: string;
  label: string;
  /** What the horizontal axis counts. */
  x: string;
  show: (value: number) => string;
  /** Of the horizontal axis, where it does not count tokens. */
  showX?: (value: number) => string;
  /** Of the vertical axis; logarithmic unless told. */
  linear?: boolean;
}

export function drawLines(
  lines: readonly Line[],
  { id, label, x, show, showX, linear = false }: LineOptions,
): Html {
  const all = lines.flatMap(({ points }) => points);
  const xs = domainOf(all.map(({ x }) => x));
  const values = all.map(({ y }) => y);
  const ys = linear ? around(values) : domainOf(values.map((y) => Math.max(y, Number.MIN_VALUE)));
  const ticks = linear ? 5 : roundTicks(ys);
  return drawChart({
    ...{ id, label },
    description: `${all.map((point) => point.title).join('. ')}.`,
    plot: {
      width: 430,
      height: 250,
      marginLeft: 60,
      marginRight: 24,
      marginTop: 12,
      marginBottom: 44,
      x: {
        type: 'log',
        domain: xs,
        ticks: showX ? fewTicks(xs) : [...new Set(all.map(({ x }) => x))],
        tickFormat: showX ?? ((value: number) => (value % 1024 === 0 ? `${value / 1024}K` : String(value))),
        tickSize: 0,
        label: x,
        labelAnchor: 'center',
        labelArrow: 'none',
      },
      y: { type: linear ? 'linear' : 'log', domain: ys, ticks, tickFormat: show, tickSize: 0, label: null },
      marks: [
        Plot.gridY({ ...GRID, ticks }),
        ...lines.flatMap(({ style: { colour, symbol, dash }, points }) => [
          Plot.line(points, {
            x: 'x',
            y: 'y',
            stroke: colour,
            strokeWidth: 2,
            ...(dash && { strokeDasharray: dash }),
          }),
          Plot.dot(points, {
            x: 'x',
            y: 'y',
            symbol,
            r: 5,
            fill: colour,
            stroke: 'var(--paper)',
            title: 'title',
          }),
        ]),
      ],
    },
  });
}

/** A little room on either side. */
function around(values: readonly number[]): [number, number] {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const room = (high - low || Math.abs(high) || 1) * 0.08;
  return [low - room, high + room];
}

/** Around the values, at least a factor of two. */
function domainOf(values: readonly number[]): [number, number] {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const room = Math.max((high / low) ** 0.08, high / low < 2 ? Math.SQRT2 : 1);
  return [low / room, high * room];
}

/** So few that their names have room side by side. */
function fewTicks(domain: readonly [number, number]): number[] {
  const ticks = roundTicks(domain);
  const every = Math.ceil(ticks.length / 4);
  return ticks.filter((_, i) => (ticks.length - 1 - i) % every === 0);
}

/** Numbers of one digit on a logarithmic axis. */
function roundTicks([low, high]: readonly [number, number]): number[] {
  const decades = Math.log10(high / low);
  const steps = decades > 3 ? [1] : decades > 1 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 6, 8];
  const ticks: number[] = [];
  for (let exponent = Math.floor(Math.log10(low)); 10 ** exponent <= high; exponent++) {
    ticks.push(...steps.map((step) => Number((step * 10 ** exponent).toPrecision(2))));
  }
  return ticks.filter((tick) => tick >= low && tick <= high);
}
