import * as Plot from '@observablehq/plot';
import { labelPlaces } from '../../src/report/figures/label-places.ts';
import { standalone } from '../../src/report/standalone.ts';
import { drawChart, GRID } from '../../src/report/svg.ts';
import type { Row } from './rows.ts';

/** Quality against cost: a point for each searcher of a budget. */

const [WIDTH, HEIGHT] = [720, 380];
const MARGINS = { marginLeft: 44, marginRight: 16, marginTop: 30, marginBottom: 44 };
/** What takes less stands at the left edge: an axis of ratios has no 0. */
const LEAST_SECONDS = 0.1;

export function costFigure(rows: readonly Row[], { id, title }: { id: string; title: string }): string {
  const points = rows.map(({ searcher, right, seconds, verdict }) => ({
    x: Math.max(LEAST_SECONDS, seconds),
    y: 100 * right.mean,
    low: 100 * right.lowest,
    high: 100 * right.highest,
    label: searcher,
    ahead: verdict !== 'behind',
    title: `${searcher}: ${(100 * right.mean).toFixed(1)} % right, ${seconds.toFixed(1)} s`,
  }));
  const most = Math.max(...points.map(({ x }) => x));
  const x = [LEAST_SECONDS / 1.6, 4 * most] as const;
  const [low, high] = [Math.min(...points.map((p) => p.low)), Math.max(...points.map((p) => p.high))];
  const room = 0.08 * (high - low || 1);
  const y = [low - room, high + room] as const;
  const share = (value: number, [from, to]: readonly [number, number]) => (value - from) / (to - from);
  const logs = [Math.log(x[0]), Math.log(x[1])] as const;
  const inner = {
    width: WIDTH - MARGINS.marginLeft - MARGINS.marginRight,
    height: HEIGHT - MARGINS.marginTop - MARGINS.marginBottom,
  };
  const places = labelPlaces(
    points.map((point) => ({
      x: MARGINS.marginLeft + inner.width * share(Math.log(point.x), logs),
      y: MARGINS.marginTop + inner.height * (1 - share(point.y, y)),
      text: point.label,
    })),
    { width: WIDTH, height: HEIGHT - MARGINS.marginBottom, others: [] },
  );
  const seconds = [0.1, 1, 10, 100, 1000, 10000].filter((tick) => tick >= x[0] && tick <= x[1]);
  const colour = ({ ahead }: (typeof points)[number]) => (ahead ? 'var(--full)' : 'var(--random)');
  const chart = drawChart({
    ...{ id, label: title },
    description: `${points.map((point) => point.title).join('. ')}.`,
    plot: {
      ...{ width: WIDTH, height: HEIGHT, ...MARGINS },
      x: {
        ...{ type: 'log', domain: x, ticks: seconds, tickSize: 0, labelAnchor: 'center', labelArrow: 'none' },
        label: 'processor seconds of the search',
        tickFormat: (value: number) => (value === LEAST_SECONDS ? '0' : String(value)),
      },
      y: { domain: y, ticks: 5, tickSize: 0, label: null },
      marks: [
        Plot.gridY({ ...GRID, ticks: 5 }),
        Plot.text([title], {
          ...{ text: [`${title}: right answers, %`], frameAnchor: 'top-left', dx: -40, dy: -24 },
          ...{ textAnchor: 'start', fill: 'var(--muted)' },
        }),
        Plot.ruleX(points, { x: 'x', y1: 'low', y2: 'high', stroke: colour, strokeWidth: 1.5 }),
        Plot.dot(points, { x: 'x', y: 'y', r: 5, fill: colour, stroke: 'var(--paper)', title: 'title' }),
        ...points.map((point, i) =>
          Plot.text([point], { x: 'x', y: 'y', text: 'label', ...places[i]!, fill: 'var(--ink)' }),
        ),
      ],
    },
  });
  return standalone(chart.markup);
}
