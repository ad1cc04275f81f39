import type { ComparedModel } from '../../search/compare/result.ts';
import { type LegendEntry, legendOf } from '../figure.ts';
import { lineStyle } from '../figures/line-chart.ts';
import type { Html } from '../html.ts';
import { seriesIcon } from '../series.ts';

/** What all figures of a comparison share: its models, each in its colour. */

export function modelsLegend(models: readonly ComparedModel[]): Html {
  return legendOf(
    models.map(({ name }, i): LegendEntry => ({ icon: seriesIcon(lineStyle(i)), label: name })),
  );
}

/** Share of all questions about a text that are answered rightly, each length alike; undefined without any. */
export function recallShare(model: ComparedModel): number | undefined {
  const lengths = new Map<number, [right: number, examples: number]>();
  for (const { length, right, examples } of model.recall.flatMap(({ cells }) => cells)) {
    const [before, all] = lengths.get(length) ?? [0, 0];
    lengths.set(length, [before + right, all + examples]);
  }
  if (lengths.size === 0) return undefined;
  return [...lengths.values()].reduce((sum, [right, examples]) => sum + right / examples, 0) / lengths.size;
}
