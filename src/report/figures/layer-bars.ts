import * as Plot from '@observablehq/plot';
import { responsive } from '../figure.ts';
import type { Html } from '../html.ts';
import { drawChart, GRID, NARROW, WIDE } from '../svg.ts';
import { fixed } from '../text.ts';

/** A bar per layer with its seeds: upright across the page, lying on phones. */

export interface LayerBar {
  /** From 1. */
  layer: number;
  /** As plotted. */
  value: number;
  /** Drawn when there are several. */
  seeds: readonly number[];
  /** In the colour of what was chosen. */
  marked: boolean;
  title: string;
}

interface What {
  id: string;
  label: string;
  description: string;
  /** Of the values. */
  axis: string;
}

export function layerBars(bars: readonly LayerBar[], what: What): Html {
  return responsive(chart(bars, what, false), chart(bars, what, true));
}

function chart(bars: readonly LayerBar[], { id, label, description, axis }: What, narrow: boolean): Html {
  const seeds = bars.flatMap(({ layer, seeds }) =>
    seeds.length > 1
      ? seeds.map((value) => ({ layer, value, title: `layer ${layer}, one seed: ${fixed(value, 3)}` }))
      : [],
  );
  const layer = { domain: bars.map((bar) => bar.layer), tickSize: 0, padding: 0.22 };
  const value = { zero: true, nice: true, ticks: 5, tickSize: 0 };
  const fill = ({ marked }: LayerBar) => (marked ? 'var(--full)' : 'var(--heat-5)');
  const dot = { r: 2, fill: 'var(--paper)', stroke: 'var(--ink)', strokeWidth: 1, title: 'title' };
  const grid = { ...GRID, ticks: 5 };
  return narrow
    ? drawChart({
        id: `${id}-narrow`,
        label,
        description,
        plot: {
          width: NARROW,
          height: 46 + bars.length * 18,
          marginLeft: 60,
          marginTop: 8,
          marginBottom: 38,
          x: { ...value, label: `${axis} →`, labelArrow: 'none' },
          y: { ...layer, label: null, tickFormat: (i: number) => `layer ${i}` },
          marks: [
            Plot.gridX(grid),
            Plot.barX(bars, { y: 'layer', x: 'value', fill, title: 'title' }),
            Plot.dot(seeds, { y: 'layer', x: 'value', ...dot }),
            Plot.ruleX([0], { stroke: 'var(--ink)' }),
          ],
        },
      })
    : drawChart({
        id: `${id}-wide`,
        label,
        description,
        plot: {
          width: WIDE,
          height: 240,
          marginLeft: 52,
          marginTop: 28,
          marginBottom: 40,
          x: { ...layer, label: 'layer', labelArrow: 'none' },
          y: { ...value, label: axis, labelArrow: 'none' },
          marks: [
            Plot.gridY(grid),
            Plot.barY(bars, { x: 'layer', y: 'value', fill, title: 'title' }),
            Plot.dot(seeds, { x: 'layer', y: 'value', ...dot }),
            Plot.ruleY([0], { stroke: 'var(--ink)' }),
          ],
        },
      });
}
