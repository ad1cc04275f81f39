import * as Plot from '@observablehq/plot';
import { descending, type Spread, spreadOf } from '../../util/statistics.ts';
import { type Figure, responsive } from '../figure.ts';
import type { Findings } from '../findings.ts';
import { html } from '../html.ts';
import { drawChart, NARROW, WIDE } from '../svg.ts';
import { counted, fixed, layersText } from '../text.ts';

/** How well each layer's linear mixer imitates the attention it stands for, after the local training of stage 0. */

interface Bar {
  layer: number;
  spread: Spread;
  kept: boolean;
  title: string;
}

const DECIMALS = 3;

/** Undefined if no run has alignment errors. */
export function alignmentFigure(findings: Findings): Figure | undefined {
  const bars = barsOf(findings);
  if (bars.length === 0) return undefined;
  const { seeds, result } = findings;
  return {
    id: 'alignment',
    title: titleOf(bars),
    reading: html`Relative squared error of each linear mixer against the attention that it imitates, after alignment: 0 is a
      perfect copy, 1 as good as silence; lower is better. <span class="mark">Coloured bars</span> are the layers that keep
      full attention in the answer.${seeds.length > 1 && ` Bars are means, dots the ${seeds.length} seeds.`}`,
    graphic: responsive(barChart(bars, false), barChart(bars, true)),
    caption: captionOf(bars, findings),
    table: {
      caption: 'Alignment error per layer',
      header: ['Layer', 'Mean', ...(seeds.length > 1 ? result.runs.map(({ seed }) => `Seed ${seed}`) : [])],
      rows: bars.map(({ layer, spread }) => [
        `${layer}`,
        { value: spread.mean, show: fixed(spread.mean, DECIMALS) },
        ...(seeds.length > 1
          ? result.runs.map(({ alignment }) => {
              const value = alignment[layer - 1];
              return value === undefined ? undefined : { value, show: fixed(value, DECIMALS) };
            })
          : []),
      ]),
    },
  };
}

function barsOf({ layers, result, headline }: Findings): Bar[] {
  return Array.from({ length: layers }, (_, i) => i).flatMap((i) => {
    const spread = spreadOf(result.runs.flatMap(({ alignment }) => alignment[i] ?? []));
    if (!spread) return [];
    const kept = headline.run.placement.includes(i);
    const title = `layer ${i + 1}${kept ? ' (keeps full attention)' : ''}: error ${fixed(spread.mean, DECIMALS)}`;
    return { layer: i + 1, spread, kept, title };
  });
}

function barChart(bars: readonly Bar[], narrow: boolean) {
  const seeds = bars.flatMap(({ layer, spread }) =>
    spread.values.length > 1 ? spread.values.map((value) => ({ layer, value })) : [],
  );
  const layer = { domain: bars.map((bar) => bar.layer), tickSize: 0, padding: 0.22 };
  const error = { zero: true, nice: true, ticks: 5, tickSize: 0 };
  const fill = (bar: Bar) => (bar.kept ? 'var(--full)' : 'var(--heat-5)');
  const mean = (bar: Bar) => bar.spread.mean;
  const grid = { stroke: 'var(--line)', strokeOpacity: 1, ticks: 5 };
  const dot = { r: 2, fill: 'var(--paper)', stroke: 'var(--ink)', strokeWidth: 1 };
  const common = {
    label: 'Alignment error per layer',
    description: `${bars.map(({ layer, spread }) => `layer ${layer}: ${fixed(spread.mean, DECIMALS)}`).join(', ')}.`,
  };
  return narrow
    ? drawChart({
        ...common,
        id: 'alignment-narrow',
        plot: {
          width: NARROW,
          height: 46 + bars.length * 18,
          marginLeft: 60,
          marginTop: 8,
          marginBottom: 38,
          x: { ...error, label: 'relative error →', labelArrow: 'none' },
          y: { ...layer, label: null, tickFormat: (i: number) => `layer ${i}` },
          marks: [
            Plot.gridX(grid),
            Plot.barX(bars, { y: 'layer', x: mean, fill, title: 'title' }),
            Plot.dot(seeds, { y: 'layer', x: 'value', ...dot }),
            Plot.ruleX([0], { stroke: 'var(--ink)' }),
          ],
        },
      })
    : drawChart({
        ...common,
        id: 'alignment-wide',
        plot: {
          width: WIDE,
          height: 240,
          marginLeft: 52,
          marginTop: 28,
          marginBottom: 40,
          x: { ...layer, label: 'layer', labelArrow: 'none' },
          y: { ...error, label: 'relative error', labelArrow: 'none' },
          marks: [
            Plot.gridY(grid),
            Plot.barY(bars, { x: 'layer', y: mean, fill, title: 'title' }),
            Plot.dot(seeds, { x: 'layer', y: 'value', ...dot }),
            Plot.ruleY([0], { stroke: 'var(--ink)' }),
          ],
        },
      });
}

function titleOf(bars: readonly Bar[]): string {
  const means = bars.map(({ spread }) => spread.mean);
  const [hardest] = descending(means);
  const median = medianOf(means);
  const times = median > 0 ? means[hardest!]! / median : 1;
  return times >= 1.5
    ? `Layer ${bars[hardest!]!.layer} is the hardest to imitate, ${fixed(times, 1)} times the median layer`
    : 'All layers are about equally hard to imitate';
}

function captionOf(bars: readonly Bar[], { headline, budget }: Findings): string {
  const means = bars.map(({ spread }) => spread.mean);
  const order = descending(means);
  const easiest = bars[order.at(-1)!]!;
  const hardest = bars[order[0]!]!;
  const range =
    `Errors run from ${fixed(easiest.spread.mean, DECIMALS)} (layer ${easiest.layer}) to ` +
    `${fixed(hardest.spread.mean, DECIMALS)} (layer ${hardest.layer}).`;
  const worst = order.slice(0, budget).map((i) => bars[i]!.layer - 1);
  if (worst.length === 0) return range;
  const kept = worst.filter((layer) => headline.run.placement.includes(layer)).length;
  const among = `Of the ${counted(worst.length, 'layer')} with the largest error (${layersText(worst.sort((a, b) => a - b))}) the search kept ${kept}`;
  return `${range} ${among}${kept < worst.length ? ': what is hard to imitate is not always what matters.' : '.'}`;
}

function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return Number.isInteger(middle) ? (sorted[middle - 1]! + sorted[middle]!) / 2 : sorted[Math.floor(middle)]!;
}
