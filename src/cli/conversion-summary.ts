import type { ConversionResult } from '../search/conversion/result.ts';
import { grouped, readable } from './numbers.ts';
import { plain, table } from './table.ts';

/** What a conversion found, for a terminal: the placements beside each other, the choice, the verdict, and how to use it. */
export function conversionSummary(
  { reach, kept, chosen, reason, comparison, name, wanted }: ConversionResult,
  { model, use, written }: { model: string; use: string; written: readonly string[] },
): string {
  const distances = reach.recall?.distances ?? [];
  const rows = reach.placements.map((placed, i) => {
    const { how, seed, heads, cost } = placed;
    const { text: change, recall } = kept[i]!;
    return [
      i === chosen ? '->' : '',
      seed === undefined ? how : `${how} ${seed}`,
      String(heads),
      readable(cost.bytes),
      cost.milliseconds === undefined ? '' : cost.milliseconds.toFixed(1),
      change === null ? '' : `${change < 0 ? '-' : '+'}${Math.abs(change).toFixed(3)}`,
      ...distances.map((_, d) =>
        recall[d] === null || recall[d] === undefined ? '' : (100 * recall[d]).toFixed(0),
      ),
    ];
  });
  const verdict = comparison?.verdicts[0];
  return [
    table(
      [
        ...['', 'placement', 'full heads', `bytes at ${grouped(wanted.context)}`, 'ms a token', 'text'],
        ...distances.map(({ to }) => `found % to ${grouped(to)}`),
      ],
      rows,
    ),
    '',
    `${name}: ${reason}.`,
    ...(verdict ? ['', `${verdict.headline}.`, ...verdict.points.map(({ text }) => `- ${plain(text)}`)] : []),
    '',
    `written: ${written.join(', ')}`,
    `use it:  postnas generate ${model} --placement ${use} --prompt "..."`,
  ].join('\n');
}
