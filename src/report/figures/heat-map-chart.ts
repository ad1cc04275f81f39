import * as Plot from '@observablehq/plot';
import { type Findings, timesKept } from '../findings.ts';
import type { Html } from '../html.ts';
import { drawChart, NARROW, textWidth, WIDE } from '../svg.ts';
import { counted, percent } from '../text.ts';
import { HEAT_STEPS } from '../theme.ts';
import type { Row } from './heat-map.ts';

/** The drawing of the heat map: lying for wide pages, standing for phones. */

/** The share at the top of the scale: the largest there is, to the next tenth, at most the whole gap. */
export function scaleOf(rows: readonly Row[]): number {
  const most = Math.max(0.1, ...rows.flatMap(({ closed }) => closed.map((share) => share ?? 0)));
  return Math.min(1, Math.ceil(most * 10 - 1e-9) / 10);
}

interface Cell {
  task: string;
  layer: number;
  step: number;
  /** Digits for cells with little room, and for others. */
  short: string;
  long: string;
  title: string;
}

function cellsOf(rows: readonly Row[], scale: number): Cell[] {
  return rows.flatMap(({ measure, layers, closed }) =>
    layers.flatMap((spread, layer): Cell[] => {
      if (!spread) return [];
      const share = closed[layer];
      const gap = share === undefined ? '' : `, ${percent(share)} of the gap closed`;
      const step = Math.floor(((share ?? 0) / scale) * HEAT_STEPS);
      return [
        {
          task: measure.name,
          layer,
          step: Math.max(0, Math.min(HEAT_STEPS - 1, step)),
          short: measure.digits(spread.mean, measure.kind === 'accuracy' ? 0 : 2),
          long: measure.digits(spread.mean),
          title: `only layer ${layer} full, ${measure.name}: ${measure.showSpread(spread)}${gap}`,
        },
      ];
    }),
  );
}

/** Cells and, where there is room, their numbers. */
function cellMarks(cells: readonly Cell[], room: number, place: { x: string; y: string }): Plot.Markish[] {
  const filled = Plot.cell(cells, {
    ...place,
    fill: ({ step }: Cell) => `var(--heat-${step})`,
    inset: 0.75,
    rx: 3,
    title: 'title',
  });
  if (room < LEAST_ROOM) return [filled];
  const text = room >= LONG_ROOM ? 'long' : 'short';
  const numbers = Plot.text(cells, {
    ...place,
    text,
    fill: ({ step }: Cell) => `var(--heat-text-${step})`,
    fontSize: (cell: Cell) => Math.min(text === 'long' ? 12 : 10, (room - 1) / textWidth(cell[text], 1)),
    pointerEvents: 'none',
  });
  return [filled, numbers];
}

/** Width of a cell, in pixels, from which it holds two digits, and from which all. */
const LEAST_ROOM = 23.5;
const LONG_ROOM = 44;

const REFERENCES = [
  { name: 'all linear', key: 'allLinear', weight: 400 },
  { name: 'base', key: 'base', weight: 600 },
] as const;

const taskOf = ({ measure }: Row) => measure.name;

/** A row that no task can be called. */
const KEPT_ROW = '\n';

/** Rows are tasks, columns layers; what all linear and the base reach stands on the right. */
export function wideMap(rows: readonly Row[], findings: Findings): Html {
  const { layers } = findings;
  const label = ({ measure }: Row) => `${measure.name}, ${measure.unit}`;
  const labels = new Map([...rows.map((row) => [taskOf(row), label(row)] as const), [KEPT_ROW, 'kept']]);
  const marginLeft = 20 + Math.max(...[...labels.values()].map((text) => textWidth(text)));
  const marginRight = 116;
  const room = (WIDE - marginLeft - marginRight) / layers;
  const aside = { textAnchor: 'end', fill: 'var(--muted)', dy: -14 } as const;
  return drawChart({
    id: 'heat-map-wide',
    label: 'Heat map: tasks by layers',
    description: describe(rows),
    plot: {
      width: WIDE,
      height: 30 + (rows.length + 1) * 36,
      marginLeft,
      marginRight,
      marginTop: 26,
      marginBottom: 4,
      padding: 0,
      r: { type: 'identity' },
      x: { domain: numbered(layers), axis: 'top', label: null, tickSize: 0 },
      y: {
        domain: [...labels.keys()],
        label: null,
        tickSize: 0,
        tickFormat: (task: string) => labels.get(task)!,
      },
      marks: [
        Plot.text(['layer'], { text: ['layer'], frameAnchor: 'top-left', dx: -12, ...aside }),
        ...cellMarks(cellsOf(rows, scaleOf(rows)), room, { x: 'layer', y: 'task' }),
        Plot.dot(keptLayers(findings), {
          x: 'layer',
          y: () => KEPT_ROW,
          r: ({ share }: Kept) => Math.min(9, room / 2 - 2) * Math.sqrt(share),
          fill: 'var(--full)',
          title: 'title',
        }),
        ...REFERENCES.flatMap(({ name, key, weight }, i) => {
          const dx = 62 + i * 48;
          return [
            Plot.text([name], { text: [name], frameAnchor: 'top-right', dx, ...aside }),
            Plot.text(rows, {
              text: (row: Row) => (row[key] === undefined ? '' : row.measure.digits(row[key])),
              y: taskOf,
              frameAnchor: 'right',
              dx,
              textAnchor: 'end',
              fontWeight: weight,
            }),
          ];
        }),
      ],
    },
  });
}

/** The same turned round: layers go down the page, below what all linear and the base reach. */
export function narrowMap(rows: readonly Row[], findings: Findings): Html {
  const { layers } = findings;
  const marginLeft = 66;
  const marginRight = 34;
  const room = (NARROW - marginLeft - marginRight) / rows.length;
  const longest = Math.max(...rows.map((row) => textWidth(taskOf(row))));
  const upright = longest > room - 4;
  const marginTop = upright ? 16 + longest : 30;
  const head = upright
    ? ({ rotate: -90, dy: -6, textAnchor: 'start' } as const)
    : ({ dy: -8, lineAnchor: 'bottom' } as const);
  return drawChart({
    id: 'heat-map-narrow',
    label: 'Heat map: layers by tasks',
    description: describe(rows),
    plot: {
      width: NARROW,
      height: marginTop + (layers + REFERENCES.length) * 22 + 6,
      marginLeft,
      marginRight,
      marginTop,
      marginBottom: 6,
      padding: 0,
      r: { type: 'identity' },
      x: { domain: rows.map(taskOf), axis: null },
      y: {
        domain: [...REFERENCES.map(({ name }) => name), ...numbered(layers)],
        label: null,
        tickSize: 0,
        tickFormat: (line: string | number) => (typeof line === 'number' ? `layer ${line}` : line),
      },
      marks: [
        Plot.text(rows, { x: taskOf, text: taskOf, frameAnchor: 'top', fontWeight: 600, ...head }),
        ...cellMarks(cellsOf(rows, scaleOf(rows)), room, { x: 'task', y: 'layer' }),
        ...REFERENCES.map(({ name, key, weight }) =>
          Plot.text(rows, {
            x: taskOf,
            y: () => name,
            text: ({ measure, ...row }: Row) => {
              const decimals = room >= LONG_ROOM ? undefined : measure.kind === 'accuracy' ? 0 : 2;
              return row[key] === undefined ? '' : measure.digits(row[key], decimals);
            },
            fontWeight: weight,
          }),
        ),
        Plot.text(['kept'], {
          text: ['kept'],
          frameAnchor: 'top-right',
          dx: 32,
          dy: -8,
          lineAnchor: 'bottom',
          textAnchor: 'end',
          fill: 'var(--full)',
        }),
        Plot.dot(keptLayers(findings), {
          y: 'layer',
          frameAnchor: 'right',
          dx: 18,
          r: ({ share }: Kept) => 7 * Math.sqrt(share),
          fill: 'var(--full)',
          title: 'title',
        }),
      ],
    },
  });
}

interface Kept {
  layer: number;
  /** Of the seeds whose search kept it. */
  share: number;
  title: string;
}

function keptLayers(findings: Findings): Kept[] {
  const { seeds } = findings;
  return timesKept(findings).flatMap((times, i): Kept[] => {
    if (times === 0) return [];
    const title = `layer ${i} kept by ${times} of ${counted(seeds.length, 'seed')}`;
    return [{ layer: i, share: times / seeds.length, title }];
  });
}

function numbered(layers: number): number[] {
  return Array.from({ length: layers }, (_, layer) => layer);
}

function describe(rows: readonly Row[]): string {
  const parts = rows.flatMap(({ measure, layers, order }) => {
    const best = order[0];
    return best === undefined
      ? []
      : `${measure.name}: best with layer ${best} (${measure.showSpread(layers[best]!)}).`;
  });
  return parts.join(' ');
}
