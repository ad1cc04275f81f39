import { descending, type Spread, spreadOf } from '../../util/statistics.ts';
import type { Figure } from '../figure.ts';
import type { Findings } from '../findings.ts';
import { html } from '../html.ts';
import { counted, fixed, layersText } from '../text.ts';
import { type LayerBar, layerBars } from './layer-bars.ts';

/** How well each layer's linear mixer imitates the attention it stands for, after the local training of stage 0. */

interface Bar extends LayerBar {
  spread: Spread;
  kept: boolean;
}

const DECIMALS = 3;

/** By what factor errors must differ to be called unequal. */
const UNEQUAL = 1.5;

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
    graphic: layerBars(bars, {
      id: 'alignment',
      label: 'Alignment error per layer',
      axis: 'relative error',
      description: `${bars.map(({ layer, value }) => `layer ${layer}: ${fixed(value, DECIMALS)}`).join(', ')}.`,
    }),
    caption: captionOf(bars, findings),
    table: {
      caption: 'Alignment error per layer',
      header: ['Layer', 'Mean', ...(seeds.length > 1 ? result.runs.map(({ seed }) => `Seed ${seed}`) : [])],
      rows: bars.map(({ layer, spread }) => [
        `${layer}`,
        { value: spread.mean, show: fixed(spread.mean, DECIMALS) },
        ...(seeds.length > 1
          ? result.runs.map(({ alignment }) => {
              const value = alignment[layer];
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
    const title = `layer ${i}${kept ? ' (keeps full attention)' : ''}: error ${fixed(spread.mean, DECIMALS)}`;
    return { layer: i, spread, kept, value: spread.mean, seeds: spread.values, marked: kept, title };
  });
}

function titleOf(bars: readonly Bar[]): string {
  const means = bars.map(({ spread }) => spread.mean);
  const order = descending(means);
  const [hardest, easiest] = [order[0]!, order.at(-1)!];
  if (means[hardest]! < UNEQUAL * means[easiest]!) return 'All layers are about equally hard to imitate';
  const over =
    means[easiest]! > 0
      ? `, ${fixed(means[hardest]! / means[easiest]!, 1)} times the error of`
      : ', harder than';
  return `Layer ${bars[hardest]!.layer} is the hardest to imitate${over} layer ${bars[easiest]!.layer}`;
}

function captionOf(bars: readonly Bar[], { headline, budget }: Findings): string {
  const means = bars.map(({ spread }) => spread.mean);
  const order = descending(means);
  const easiest = bars[order.at(-1)!]!;
  const hardest = bars[order[0]!]!;
  const range =
    `Errors run from ${fixed(easiest.spread.mean, DECIMALS)} (layer ${easiest.layer}) to ` +
    `${fixed(hardest.spread.mean, DECIMALS)} (layer ${hardest.layer}).`;
  const worst = order.slice(0, budget).map((i) => bars[i]!.layer);
  if (worst.length === 0) return range;
  const kept = worst.filter((layer) => headline.run.placement.includes(layer)).length;
  const among = `Of the ${counted(worst.length, 'layer')} with the largest error (${layersText(worst.sort((a, b) => a - b))}) the search kept ${kept}`;
  return `${range} ${among}${kept < worst.length ? ': what is hard to imitate is not always what matters.' : '.'}`;
}
