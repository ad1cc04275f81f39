import * as Plot from '@observablehq/plot';
import { panels } from '../figure.ts';
import type { Html } from '../html.ts';
import { drawChart, textWidth } from '../svg.ts';
import { amount, duration } from '../text.ts';

/** What something took, in seconds and in tokens taken through the model. */
export interface Cost {
  name: string;
  seconds: number;
  tokens: number;
}

/** Time and tokens side by side, a bar each. */
export function costBars(id: string, costs: readonly Cost[]): Html {
  return panels([
    {
      title: 'Time',
      chart: chart(`${id}-seconds`, 'Seconds per stage', costs, ({ seconds }) => seconds, duration),
    },
    {
      title: 'Tokens',
      chart: chart(`${id}-tokens`, 'Tokens per stage', costs, ({ tokens }) => tokens, amount),
    },
  ]);
}

function chart(
  id: string,
  label: string,
  costs: readonly Cost[],
  value: (cost: Cost) => number,
  show: (value: number) => string,
): Html {
  const left = 12 + Math.max(...costs.map(({ name }) => textWidth(name)));
  const rows = costs.map((cost) => ({ name: cost.name, value: value(cost), text: show(value(cost)) }));
  const right = 12 + Math.max(...rows.map(({ text }) => textWidth(text)));
  return drawChart({
    id,
    label,
    description: `${rows.map(({ name, text }) => `${name}: ${text}`).join(', ')}.`,
    plot: {
      width: 430,
      height: 12 + rows.length * 28,
      marginLeft: left,
      marginRight: right,
      marginTop: 6,
      marginBottom: 6,
      x: { domain: [0, Math.max(...rows.map((row) => row.value), 1e-9)], axis: null },
      y: { domain: rows.map(({ name }) => name), label: null, tickSize: 0, padding: 0.3 },
      marks: [
        Plot.barX(rows, {
          x: 'value',
          y: 'name',
          fill: 'var(--heat-5)',
          title: ({ name, text }) => `${name}: ${text}`,
        }),
        Plot.text(rows, { x: 'value', y: 'name', text: 'text', dx: 6, textAnchor: 'start' }),
        Plot.ruleX([0], { stroke: 'var(--ink)' }),
      ],
    },
  });
}
