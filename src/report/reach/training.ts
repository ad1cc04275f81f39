import type { ConversionResult, TrainedConversion } from '../../search/conversion/result.ts';
import { moreText } from '../../train/forecast.ts';
import { numberCell } from '../cells.ts';
import { type Figure, legendOf, panels } from '../figure.ts';
import { drawLines, lineStyle } from '../figures/line-chart.ts';
import { html } from '../html.ts';
import { seriesIcon } from '../series.ts';
import { duration, fixed } from '../text.ts';

/** How far from its parent a hybrid was while it was trained, on text held out of the training, and its controls beside it. */

type Curve = NonNullable<TrainedConversion['curve']>;

export function trainingFigure(
  training: TrainedConversion,
  { name }: Pick<ConversionResult, 'name'>,
): Figure {
  const { curve = [], controls, more = null, tokens, seconds, skipped, ended } = training;
  const all = [
    { name, curve, tokens, seconds },
    ...controls.map((each) => ({ ...each, curve: each.curve ?? [] })),
  ];
  const [first, last] = [curve[0], curve.at(-1)];
  const lines = all.map((each, i) => ({
    style: lineStyle(i),
    points: each.curve
      // A logarithmic axis has no place for none.
      .filter(({ tokens }) => tokens > 0)
      .map((point) => ({ x: point.tokens, y: point.divergence, title: titleOf(each.name, point) })),
  }));
  const why = { steps: '', time: ', until its time was over', patience: ', until nothing became better' }[
    ended
  ];
  return {
    id: 'training-curve',
    title:
      first && last
        ? `${tokens.toLocaleString('en')} tokens in ${duration(seconds)} took the hybrid from ${fixed(first.divergence, 3)} to ${fixed(last.divergence, 3)} nats from its parent`
        : `The hybrid was trained on ${tokens.toLocaleString('en')} tokens in ${duration(seconds)}`,
    reading: html`KL(parent || hybrid) in nats a token on documents that were held out of the training, against the tokens trained on${why}.`,
    legend: legendOf(all.map((each, i) => ({ icon: seriesIcon(lineStyle(i)), label: each.name }))),
    graphic: panels(
      lines.some(({ points }) => points.length > 0)
        ? [
            {
              title: html`Distance from the parent <small>nats a token</small>`,
              chart: drawLines(lines, {
                id: 'training-divergence',
                label: 'Divergence by tokens',
                x: 'tokens trained on',
                show: (value) => fixed(value, 3),
                showX: (value) => value.toLocaleString('en'),
              }),
            },
          ]
        : [],
    ),
    caption: html`${sentence(moreText(more))}${skipped.map((each) => html` ${each.name} was left out: ${each.why}.`)}`,
    table: {
      caption: 'All measurements',
      header: ['Training', 'Tokens', 'Seconds', 'Divergence', 'Loss of the text'],
      rows: all.flatMap((each) =>
        each.curve.map(({ tokens, seconds, divergence, crossEntropy }) => [
          each.name,
          numberCell(tokens),
          numberCell(seconds, (value) => fixed(value, 0)),
          numberCell(divergence, (value) => fixed(value, 4)),
          numberCell(crossEntropy, (value) => fixed(value, 4)),
        ]),
      ),
    },
  };
}

const titleOf = (name: string, { tokens, divergence }: Curve[number]) =>
  `${name}: ${fixed(divergence, 4)} nats after ${tokens.toLocaleString('en')} tokens`;

const sentence = (text: string) => `${text[0]!.toUpperCase()}${text.slice(1)}.`;
