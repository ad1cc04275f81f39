import type { BenchResult, Measurement } from '../../runtime/bench/result.ts';
import { numberCell } from '../cells.ts';
import { type Figure, legendOf, panels } from '../figure.ts';
import { type Html, html } from '../html.ts';
import { type SeriesStyle, seriesIcon } from '../series.ts';
import { amount, bytes, duration, fixed, listed, NBSP, rate } from '../text.ts';
import { drawLines, lineStyle } from './line-chart.ts';

/** Rates and memory against the length of the text, a line for each model and batch. */

interface Series {
  label: string;
  style: SeriesStyle;
  rows: Measurement[];
}

interface Panel {
  id: string;
  title: string;
  unit: string;
  of: (row: Measurement) => number | null;
  show: (value: number) => string;
}

const PANELS: readonly Panel[] = [
  {
    id: 'decode',
    title: 'Writing',
    unit: 'tokens per second',
    of: (row) => row.decodeTokensPerSecond,
    show: rate,
  },
  {
    id: 'prefill',
    title: 'Reading',
    unit: 'tokens per second',
    of: (row) => row.prefillTokensPerSecond,
    show: rate,
  },
  {
    id: 'first',
    title: 'Time to the first token',
    unit: 'lower is better',
    of: (row) => row.firstTokenSeconds,
    show: time,
  },
  {
    id: 'state',
    title: 'State of a sequence',
    unit: 'lower is better',
    of: (row) => row.stateBytes,
    show: bytes,
  },
];

export function benchFigure(results: readonly BenchResult[]): Figure {
  const series = seriesOf(results);
  const shown = PANELS.filter(({ of }) => series.some(({ rows }) => rows.some((row) => of(row) !== null)));
  return {
    id: 'bench',
    title: titleOf(series),
    reading: html`Against the number of tokens that came before, both axes logarithmic: how fast text is written and read (higher
      is better), how long a prompt takes until the first new token, and what is kept of one sequence. Points are medians.`,
    legend:
      series.length > 1
        ? legendOf(series.map(({ label, style }) => ({ icon: seriesIcon(style), label })))
        : undefined,
    graphic: panels(
      shown.map((panel) => ({
        title: html`${panel.title} <small>${panel.unit}</small>`,
        chart: chart(series, panel),
      })),
    ),
    caption: captionOf(series),
    table: {
      caption: 'Speed and memory by length',
      header: [
        'Model',
        'Context',
        'Batch',
        'Prefill tok/s',
        'First token, s',
        'Decode tok/s',
        'State bytes',
        'By formula',
        'Peak of the process',
      ],
      rows: series.flatMap(({ label, rows }) =>
        rows.map((row) => [
          label,
          numberCell(row.context, amount),
          numberCell(row.batch),
          row.prefillTokensPerSecond === null ? undefined : numberCell(row.prefillTokensPerSecond, rate),
          row.firstTokenSeconds === null
            ? undefined
            : numberCell(row.firstTokenSeconds, (value) => fixed(value, 3)),
          numberCell(row.decodeTokensPerSecond, rate),
          numberCell(row.stateBytes, bytes),
          numberCell(row.formulaBytes, bytes),
          numberCell(row.peakBytes, bytes),
        ]),
      ),
    },
  };
}

/** Names of the models; with their architecture or their weights where the folders are called alike. */
export function labelsOf(results: readonly BenchResult[]): string[] {
  const short = ({ model }: BenchResult) => model.replace(/\/+$/, '').split('/').slice(-2).join('/');
  const names = results.map(short);
  return results.map((result, i) => {
    const alike = names.filter((name) => name === names[i]).length > 1;
    return alike ? `${names[i]} (${result.architecture}, ${result.dtype})` : names[i]!;
  });
}

/** The row of the longest text, of the smallest batch. */
export function longestOf({ rows }: Pick<BenchResult, 'rows'>): Measurement {
  return rows.reduce((a, b) =>
    b.context > a.context || (b.context === a.context && b.batch < a.batch) ? b : a,
  );
}

function seriesOf(results: readonly BenchResult[]): Series[] {
  const labels = labelsOf(results);
  return results
    .flatMap(({ rows }, i) => {
      const batches = [...new Set(rows.map(({ batch }) => batch))];
      return batches.map((batch) => ({
        label: batch > 1 || batches.length > 1 ? `${labels[i]}, ${sequences(batch)}` : labels[i]!,
        rows: rows.filter((row) => row.batch === batch).sort((a, b) => a.context - b.context),
      }));
    })
    .map((one, i) => ({ ...one, style: lineStyle(i) }));
}

function titleOf(series: readonly Series[]): string {
  const [first, second] = series;
  const row = first!.rows.at(-1)!;
  const other = second?.rows.find(({ context }) => context === row.context);
  if (other) {
    const share = row.stateBytes / other.stateBytes;
    return `At ${tokens(row.context)} ${first!.label} keeps ${fixed(share, 2)} times the bytes of ${second!.label}`;
  }
  const start = first!.rows[0]!;
  if (start === row)
    return `${rate(row.decodeTokensPerSecond)} tokens per second after ${tokens(row.context)}`;
  const kept = row.decodeTokensPerSecond / start.decodeTokensPerSecond;
  return `After ${tokens(row.context)} decoding runs at ${fixed(kept, 2)} times its rate after ${start.context}`;
}

function captionOf(series: readonly Series[]): string {
  return series
    .map(({ label, rows }) => {
      const parts = rows.map(
        (row) =>
          `${rate(row.decodeTokensPerSecond)} after ${row.context.toLocaleString('en')} (${bytes(row.stateBytes)} of state)`,
      );
      return `${label} decodes, in tokens per second: ${listed(parts)}.`;
    })
    .join(' ');
}

function chart(series: readonly Series[], { id, title, of, show }: Panel): Html {
  const lines = series.map(({ label, style, rows }) => ({
    style,
    points: rows.flatMap((row) => {
      const value = of(row);
      return value === null
        ? []
        : [{ x: row.context, y: value, title: `${label}, ${tokens(row.context)}: ${show(value)}` }];
    }),
  }));
  return drawLines(lines, {
    ...{ id: `bench-${id}`, label: `${title} by number of tokens`, x: 'tokens before', show },
  });
}

/** 0.0123 -> '12 ms' */
function time(seconds: number): string {
  return seconds < 0.9995
    ? `${fixed(1000 * seconds, seconds < 0.00995 ? 1 : 0)}${NBSP}ms`
    : duration(seconds);
}

function sequences(batch: number): string {
  return batch === 1 ? 'one sequence' : `${batch} sequences`;
}

/** 65536 -> '65,536 tokens' */
export function tokens(count: number): string {
  return `${count.toLocaleString('en')}${NBSP}${count === 1 ? 'token' : 'tokens'}`;
}
