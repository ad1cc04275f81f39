import type { CompareResult } from '../../search/compare/result.ts';
import { numberCell } from '../cells.ts';
import type { Figure } from '../figure.ts';
import { panels } from '../figure.ts';
import { drawLines, lineStyle } from '../figures/line-chart.ts';
import { type Html, html } from '../html.ts';
import { renderTable } from '../table.ts';
import { fixed, percent, signed } from '../text.ts';
import { modelsLegend } from './models.ts';

/** How well text is predicted, by how much of it came before. */
export function positionsFigure({ models, data }: CompareResult): Figure {
  const [parent] = models;
  const points = (change: boolean) =>
    models.flatMap(({ name, text }, i) => {
      if (change && i === 0) return [];
      const line = text.positions.map(({ to, from, loss }, n) => {
        const y = change ? loss - parent!.text.positions[n]!.loss : loss;
        const shown = change ? signed(y, 3) : fixed(y, 3);
        return { x: to, y, title: `${name}, ${from} to ${to} tokens before: ${shown}` };
      });
      return [{ style: lineStyle(i), points: line }];
    });
  const last = models.slice(1).map(({ name, text }) => {
    const at = text.positions.length - 1;
    return `${name} ${signed(text.positions[at]!.loss - parent!.text.positions[at]!.loss, 3)}`;
  });
  const x = 'tokens before, at most';
  return {
    id: 'positions',
    title: `Behind ${parent!.text.positions.at(-1)!.from.toLocaleString('en')} tokens and more: ${last.join(', ')} nats a token`,
    reading: html`Mean loss of the next token, in nats, by the number of tokens that came before it; lower is better. What a model
      gains where much came before is what it takes from far back.`,
    legend: modelsLegend(models),
    graphic: panels([
      {
        title: html`Loss <small>nats per token</small>`,
        chart: drawLines(points(false), {
          id: 'positions-loss',
          label: 'Loss by position',
          x,
          show: (y) => fixed(y, 1),
          linear: true,
        }),
      },
      {
        title: html`Against the parent <small>nats per token</small>`,
        chart: drawLines(points(true), {
          id: 'positions-change',
          label: 'Change by position',
          x,
          show: (y) => signed(y, 2),
          linear: true,
        }),
      },
    ]),
    caption: `${data.tokens.toLocaleString('en')} tokens of ${data.name}, in ${data.rows} rows.`,
    table: {
      caption: 'Loss by position, nats per token',
      header: ['Tokens before', 'Predicted tokens', ...models.map(({ name }) => name)],
      rows: parent!.text.positions.map(({ from, to, tokens }, n) => [
        `${from} to ${to - 1}`,
        numberCell(tokens),
        ...models.map(({ text }) => numberCell(text.positions[n]!.loss, (loss) => fixed(loss, 3))),
      ]),
    },
  };
}

export function textTable({ models }: CompareResult): Html {
  const [parent, ...others] = models;
  const margin = (value: number | null, decimals: number) =>
    value === null ? '' : ` ± ${fixed(value, decimals)}`;
  return html`${renderTable({
    id: 'text-table',
    caption: 'Text, over all positions',
    header: ['Model', 'Nats a token', 'Perplexity', 'Change', 'Same most probable token', 'Divergence (KL)'],
    rows: others.map(({ name, text: { loss, change, margin: of, agreement, kl } }) => [
      name,
      numberCell(loss, (value) => fixed(value, 3)),
      numberCell(Math.exp(loss), (value) => fixed(value, 2)),
      { value: change, show: `${signed(change, 3)}${margin(of, 3)}` },
      numberCell(agreement, (value) => percent(value, 1)),
      { value: kl.mean, show: `${fixed(kl.mean, 3)}${margin(kl.margin, 3)}` },
    ]),
    footer: [
      [
        parent!.name,
        numberCell(parent!.text.loss, (value) => fixed(value, 3)),
        numberCell(Math.exp(parent!.text.loss), (value) => fixed(value, 2)),
        ...[undefined, undefined, undefined],
      ],
    ],
  })}
<p class="note">± is the 95 % interval, of the change over rows of text. Divergence is that of the parent’s whole distribution of
  the next token from the model’s, in nats, over ${others[0]?.text.kl.tokens.toLocaleString('en') ?? ''} places.</p>`;
}
