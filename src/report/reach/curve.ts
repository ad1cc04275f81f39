import type { ConversionResult } from '../../search/conversion/result.ts';
import type { PlacedReach } from '../../search/reach/result.ts';
import { numberCell } from '../cells.ts';
import { type Figure, legendOf, panels } from '../figure.ts';
import { drawLines, lineStyle } from '../figures/line-chart.ts';
import { html } from '../html.ts';
import { seriesIcon } from '../series.ts';
import { bytes, counted, percent, signed } from '../text.ts';

/** What is kept for how many bytes: the placements that the search found beside those that cost nothing to find. */

const NAMES: Record<PlacedReach['how'], string> = {
  refined: 'searched by KV head',
  layers: 'whole layers, searched',
  'one-shot': 'by the scores of single heads',
  uniform: 'whole layers, evenly spread',
  random: 'random heads',
  windows: 'windows everywhere',
  full: 'the parent',
};
const LINES = ['refined', 'layers', 'one-shot', 'uniform', 'random', 'windows', 'full'] as const;

type Kept = ConversionResult['kept'][number];

/** Mean over the distances at which the parent finds half of what was told. */
export function meanRecall({ recall }: Kept): number | null {
  const shares = recall.filter((share) => share !== null);
  return shares.length > 0 ? shares.reduce((a, b) => a + b, 0) / shares.length : null;
}

export function curveFigure({ reach, kept, chosen: at }: ConversionResult): Figure {
  const { placements, context } = reach;
  const chosen = placements[at]!;
  const parent = placements.find(({ how }) => how === 'full')!;
  const shown = LINES.filter((how) => placements.some((placed) => placed.how === how));
  const line = (of: (kept: Kept) => number | null, show: (value: number) => string) =>
    shown.map((how, i) => ({
      style: lineStyle(i),
      points: placements
        .flatMap((placed, n) => {
          if (placed.how !== how) return [];
          const y = of(kept[n]!);
          return y === null ? [] : [{ x: placed.cost.bytes, y, title: titleOf(placed, show(y)) }];
        })
        .sort((a, b) => a.x - b.x),
    }));
  const recall = line(meanRecall, (value) => percent(value));
  const text = line(
    ({ text }) => text,
    (value) => signed(value, 3),
  );
  const found = meanRecall(kept[at]!);
  const change = kept[at]!.text;
  const axis = { x: 'bytes of a sequence', showX: bytes, linear: true } as const;
  return {
    id: 'reach-curve',
    title: [
      `${counted(chosen.heads, 'KV head')} that see everything take ${bytes(chosen.cost.bytes)} at ${context.toLocaleString('en')} tokens, the parent ${bytes(parent.cost.bytes)}`,
      ...(found === null ? [] : [`${percent(found)} of its recall`]),
      ...(change === null ? [] : [`${signed(change, 3)} nats a token of text`]),
    ].join('; '),
    reading: html`Each mark is a placement, judged on texts that the search did not see: against the bytes that keys and values of a
      sequence of ${context.toLocaleString('en')} tokens take, the share of what the parent finds in a text (mean over distances), and the
      loss on plain text beyond the parent’s. No weight was changed in any of them.`,
    legend: legendOf(shown.map((how, i) => ({ icon: seriesIcon(lineStyle(i)), label: NAMES[how] }))),
    graphic: panels([
      ...(recall.some(({ points }) => points.length > 0)
        ? [
            {
              title: html`Found of what was told <small>share of the parent’s</small>`,
              chart: drawLines(recall, {
                id: 'reach-recall',
                label: 'Recall by bytes',
                show: (value) => percent(value),
                ...axis,
              }),
            },
          ]
        : []),
      ...(text.some(({ points }) => points.length > 0)
        ? [
            {
              title: html`Text <small>nats a token beyond the parent</small>`,
              chart: drawLines(text, {
                id: 'reach-text',
                label: 'Text by bytes',
                show: (value) => signed(value, 3),
                ...axis,
              }),
            },
          ]
        : []),
    ]),
    caption: captionOf(reach.placements, kept, at),
    table: {
      caption: 'All placements',
      header: [
        ...['Placement', 'Heads', 'Window', 'Bytes', 'Milliseconds a token', 'Text'],
        ...(reach.recall?.distances.map(({ from, to }) => `Found at ${from} to ${to}`) ?? []),
      ],
      rows: placements.map((placed) => [
        `${NAMES[placed.how]}${placed.seed === undefined ? '' : ` (seed ${placed.seed})`}`,
        numberCell(placed.heads),
        windowsOf(placed),
        numberCell(placed.cost.bytes, bytes),
        placed.cost.milliseconds === undefined
          ? undefined
          : numberCell(placed.cost.milliseconds, (ms) => ms.toFixed(2)),
        placed.quality.text ? numberCell(placed.quality.text.loss, (loss) => loss.toFixed(3)) : undefined,
        ...placed.quality.recall.map(({ right, questions }) => ({
          value: right / questions,
          show: `${right} of ${questions}`,
        })),
      ]),
    },
  };
}

function windowsOf({ layers, how }: PlacedReach): string {
  if (how === 'full') return 'none';
  return [...new Set(layers.map(({ window, sinks }) => `${window} + ${sinks}`))].join(', ');
}

function titleOf(placed: PlacedReach, value: string): string {
  return `${NAMES[placed.how]}, ${counted(placed.heads, 'head')}, ${bytes(placed.cost.bytes)}: ${value}`;
}

/** The searched placement beside the others of its budget. */
function captionOf(placements: readonly PlacedReach[], kept: readonly Kept[], chosen: number): string {
  const line = (i: number) => {
    const found = meanRecall(kept[i]!);
    const { text } = kept[i]!;
    const words = [
      ...(found === null ? [] : [`${percent(found)} found`]),
      ...(text === null ? [] : [`text ${signed(text, 3)}`]),
    ];
    return titleOf(placements[i]!, words.join(', '));
  };
  const { budget } = placements[chosen]!;
  const rivals = [...placements.keys()].filter((i) => {
    const { how, budget: own } = placements[i]!;
    return how === 'windows' || (own === budget && how !== 'refined' && how !== 'full');
  });
  return `${line(chosen)}. Beside it: ${rivals.map(line).join('; ')}.`;
}
