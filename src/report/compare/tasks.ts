import * as Plot from '@observablehq/plot';
import type { CompareResult } from '../../search/compare/result.ts';
import { type Figure, responsive } from '../figure.ts';
import { lineStyle } from '../figures/line-chart.ts';
import { type Html, html } from '../html.ts';
import { drawChart, GRID, NARROW, textWidth, WIDE } from '../svg.ts';
import type { Cell } from '../table.ts';
import { fixed, percent } from '../text.ts';
import { modelsLegend } from './models.ts';

/** What every model scores on every task, with what guessing gives and how sure it is. */
export function tasksFigure({ models }: CompareResult): Figure {
  const [parent, ...others] = models;
  const chart = (id: string, width: number) => tasksChart(models, id, width);
  const means = others.map(({ name, tasks }) => {
    const shares = tasks.flatMap(({ share }) => (share === null ? [] : Math.max(0, share)));
    return shares.length === 0
      ? undefined
      : `${name} ${percent(shares.reduce((a, b) => a + b, 0) / shares.length)}`;
  });
  const kept = means.filter((mean) => mean !== undefined);
  return {
    id: 'tasks-accuracy',
    title:
      kept.length === 0
        ? 'The parent is no better than guessing on these tasks'
        : `Of the parent’s score above chance, over all tasks: ${kept.join(', ')}`,
    reading: html`Accuracy in percent with its 95 % interval (Wilson); the small stroke is what guessing gives.`,
    legend: modelsLegend(models),
    graphic: responsive(chart('tasks-wide', WIDE), chart('tasks-narrow', NARROW)),
    caption: `Shares are of the parent’s accuracy above chance; none where the parent’s own interval holds chance.`,
    table: {
      caption: 'Accuracy, its interval, and the share of the parent’s above chance',
      header: [
        'Task',
        'Examples',
        'Chance',
        ...models.flatMap(({ name }) => [name, `Share, ${name}`]).filter((_, i) => i !== 1),
      ],
      rows: parent!.tasks.map(({ name, examples, chance }, i) => [
        name,
        { value: examples, show: examples },
        { value: chance, show: percent(chance) },
        ...models.flatMap(({ tasks }, m): Cell[] => {
          const { accuracy, interval, share } = tasks[i]!;
          const ends = interval.map((end) => fixed(100 * end, 0)).join(' to ');
          const own: Cell = { value: accuracy, show: `${percent(accuracy, 1)} (${ends})` };
          return m === 0 ? [own] : [own, share === null ? undefined : { value: share, show: percent(share) }];
        }),
      ]),
    },
  };
}

function tasksChart(models: CompareResult['models'], id: string, width: number): Html {
  const names = models[0]!.tasks.map(({ name }) => name);
  const height = 14 * models.length + 12;
  const marks = models.flatMap(({ name, tasks }, m) =>
    tasks.map((task) => ({
      task: task.name,
      ...{ accuracy: 100 * task.accuracy, low: 100 * task.interval[0], high: 100 * task.interval[1] },
      ...{ m, title: `${name}, ${task.name}: ${percent(task.accuracy, 1)}` },
    })),
  );
  const narrow = width < WIDE;
  return drawChart({
    id,
    label: 'Accuracy by task and model',
    description: `${marks.map(({ title }) => title).join('. ')}.`,
    plot: {
      width,
      height: 40 + names.length * height,
      marginLeft: narrow ? 16 : 20 + Math.max(...names.map((name) => textWidth(name))),
      marginTop: narrow ? 16 : 6,
      marginBottom: 30,
      x: { domain: [0, 100], label: null, tickSize: 0 },
      y: { domain: names, label: null, tickSize: 0, ...(narrow && { axis: null }), padding: 0.2 },
      marks: [
        Plot.gridX({ ...GRID }),
        ...(narrow
          ? [
              Plot.text(names, {
                y: (name: string) => name,
                text: (name: string) => name,
                frameAnchor: 'left',
                textAnchor: 'start',
                dy: -height / 2 + 2,
                fontWeight: 600,
              }),
            ]
          : []),
        Plot.tickX(models[0]!.tasks, {
          x: ({ chance }) => 100 * chance,
          y: 'name',
          stroke: 'var(--muted)',
          strokeDasharray: '2 3',
        }),
        ...models.flatMap((_, m) => {
          const own = marks.filter((mark) => mark.m === m);
          const dy = (m - (models.length - 1) / 2) * 12;
          const { colour, symbol } = lineStyle(m);
          return [
            Plot.ruleY(own, {
              y: 'task',
              x1: 'low',
              x2: 'high',
              stroke: colour,
              strokeWidth: 2,
              strokeOpacity: 0.5,
              dy,
            }),
            Plot.dot(own, {
              y: 'task',
              x: 'accuracy',
              symbol,
              r: 4.5,
              fill: colour,
              stroke: 'var(--paper)',
              title: 'title',
              dy,
            }),
          ];
        }),
      ],
    },
  });
}
