import type { ConversionResult, TrainedConversion } from '../search/conversion/result.ts';
import { moreText } from '../train/forecast.ts';
import { grouped, readable } from './numbers.ts';
import { duration } from './progress.ts';
import { plain, table } from './table.ts';

/** What a conversion found, for a terminal: the placements beside each other, the choice, the verdict, and how to use it. */
export function conversionSummary(
  { reach, kept, chosen, reason, comparison, name, wanted, training }: ConversionResult,
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
    ...(training ? ['', ...trainingLines(training)] : []),
    ...(verdict ? ['', `${verdict.headline}.`, ...verdict.points.map(({ text }) => `- ${plain(text)}`)] : []),
    '',
    `written: ${written.join(', ')}`,
    `use it:  postnas generate ${model} --placement ${use} --prompt "..."`,
    ...(training ? [`         postnas generate ${training.model} --prompt "..."  (trained)`] : []),
  ].join('\n');
}

/** 'trained: 120,000 tokens in 20m00s; on held-out text 0.0520 -> 0.0330 nats from its parent; 20 min more: ...' */
function trainingLines({
  curve = [],
  more = null,
  tokens,
  seconds,
  controls,
  skipped,
  ended,
}: TrainedConversion): string[] {
  const fall = (points: NonNullable<TrainedConversion['curve']>) =>
    points.length > 0
      ? `; on held-out text ${points[0]!.divergence.toFixed(4)} -> ${points.at(-1)!.divergence.toFixed(4)} nats from its parent`
      : '';
  const early = ended === 'patience' ? ', ended for want of progress' : '';
  return [
    `trained: ${grouped(tokens)} tokens in ${duration(seconds)}${early}${fall(curve)}; ${moreText(more)}`,
    ...controls.map(
      (each) => `control: ${each.name}, ${grouped(each.tokens)} tokens${fall(each.curve ?? [])}`,
    ),
    ...skipped.map(({ name, why }) => `left out: ${name}, ${why}`),
  ];
}
