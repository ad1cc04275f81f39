import * as Plot from '@observablehq/plot';
import { type LegendEntry, responsive } from '../figure.ts';
import type { Html } from '../html.ts';
import { REFERENCE } from '../series.ts';
import { drawChart, drawIcon, GRID, NARROW, textWidth, WIDE } from '../svg.ts';
import { fixed } from '../text.ts';

/** A line per candidate: its mean as a large dot, its seeds as small ones, the number beside it. */

export interface DotRow {
  name: string;
  /** As plotted. */
  value: number;
  text: string;
  /** Drawn when there are several. */
  seeds: readonly number[];
  /** In the colour of what was chosen. */
  marked: boolean;
  title: string;
}

interface What {
  id: string;
  label: string;
  axis: string;
  /** The axis falls, so that right is better. */
  lowerIsBetter: boolean;
  /** A line down the chart. */
  reference?: { value: number; title: string } | undefined;
}

const MEAN = { stroke: 'var(--paper)', strokeWidth: 1.5, r: 7 } as const;

export function dotIcons(taken: string, other: string): LegendEntry[] {
  const middle = [[0.5, 0.5] as [number, number]];
  const icon = (fill: string) => drawIcon([Plot.dot(middle, { ...MEAN, r: 6, fill })]);
  return [
    { icon: icon('var(--full)'), label: taken },
    { icon: icon('var(--uniform)'), label: other },
  ];
}

export function dotRows(rows: readonly DotRow[], what: What): Html {
  return responsive(chart(rows, what, false), chart(rows, what, true));
}

function chart(
  rows: readonly DotRow[],
  { id, label, axis, lowerIsBetter, reference }: What,
  narrow: boolean,
): Html {
  const seeds = rows.flatMap(({ name, seeds, marked }) =>
    seeds.length > 1
      ? seeds.map((value) => ({ name, value, marked, title: `${name}, one seed: ${fixed(value, 2)}` }))
      : [],
  );
  const all = [
    ...rows.flatMap(({ value, seeds }) => [value, ...seeds]),
    ...(reference ? [reference.value] : []),
  ];
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const room = (high - low || Math.abs(high) || 1) * 0.05;
  const domain = [low - room, high + room];
  const ranges = rows.map(({ name, seeds, value }) => ({
    name,
    low: Math.min(value, ...seeds),
    high: Math.max(value, ...seeds),
  }));
  const ticks = narrow ? 4 : 8;
  const dy = narrow ? 9 : 0;
  const fill = ({ marked }: { marked: boolean }) => (marked ? 'var(--full)' : 'var(--uniform)');
  const ink = ({ marked }: DotRow) => (marked ? 'var(--full)' : 'var(--ink)');
  const names = Math.max(...rows.map(({ name }) => textWidth(name)));
  const texts = Math.max(...rows.map(({ text }) => textWidth(text)));
  // The halo keeps the lines behind from crossing names.
  const texting = { y: 'name', fill: ink, stroke: 'var(--paper)', strokeWidth: 4 } as const;
  return drawChart({
    id: `${id}-${narrow ? 'narrow' : 'wide'}`,
    label,
    description: `${rows.map(({ name, text }) => `${name}: ${text}`).join(', ')}.`,
    plot: {
      width: narrow ? NARROW : WIDE,
      height: 50 + rows.length * (narrow ? 46 : 28),
      marginLeft: narrow ? 12 : 24 + names,
      marginRight: 24 + texts,
      marginTop: 6,
      marginBottom: 44,
      x: {
        domain: lowerIsBetter ? domain.reverse() : domain,
        label: axis,
        labelAnchor: 'center',
        labelArrow: 'none',
        ticks,
        tickSize: 0,
      },
      y: { domain: rows.map(({ name }) => name), axis: null, padding: 0.5 },
      marks: [
        Plot.gridX({ ...GRID, ticks }),
        ...(reference
          ? [
              Plot.ruleX([reference.value], {
                stroke: REFERENCE.colour,
                strokeWidth: 1.5,
                strokeDasharray: REFERENCE.dash,
                title: [reference.title],
              }),
            ]
          : []),
        Plot.link(ranges, {
          x1: 'low',
          x2: 'high',
          y: 'name',
          dy,
          stroke: 'var(--linear)',
          strokeWidth: 8,
          strokeLinecap: 'round',
        }),
        Plot.dot(rows, { x: 'value', y: 'name', dy, ...MEAN, fill, title: 'title' }),
        Plot.dot(seeds, {
          x: 'value',
          y: 'name',
          dy,
          r: 2,
          fill: 'var(--paper)',
          stroke: fill,
          strokeWidth: 1.2,
          title: 'title',
        }),
        Plot.text(rows, {
          ...texting,
          text: 'name',
          frameAnchor: 'left',
          ...(narrow ? { dy: -9, textAnchor: 'start' } : { dx: -12, textAnchor: 'end' }),
        }),
        Plot.text(rows, {
          ...texting,
          text: 'text',
          frameAnchor: 'right',
          dx: 12 + texts,
          dy,
          textAnchor: 'end',
        }),
      ],
    },
  });
}
