import * as Plot from '@observablehq/plot';
import type { ThroughputPoint, ThroughputResult } from '../../search/stages/throughput-result.ts';
import { correlation, median } from '../../util/statistics.ts';
import { numberCell } from '../cells.ts';
import { type Figure, legendOf, panels } from '../figure.ts';
import { type Content, type Html, html } from '../html.ts';
import type { SeriesStyle } from '../series.ts';
import { drawChart, drawIcon, GRID } from '../svg.ts';
import { amount, bytes, counted, deviceName, fixed, percent, rate } from '../text.ts';
import { type Claim, notMeasured } from './claim.ts';

/** What decoding depends on: bytes of the state or parameters (the paper's key finding 4). */

const STYLES: Record<ThroughputPoint['series'], SeriesStyle & { label: string }> = {
  dimensions: { label: 'heads and widths, state size fixed', colour: 'var(--full)', symbol: 'circle' },
  'state size': { label: 'size of the state', colour: 'var(--uniform)', symbol: 'square', dash: '6 4' },
  'full layers': {
    label: 'number of full-attention layers',
    colour: 'var(--exhaustive)',
    symbol: 'triangle',
    dash: '2 3',
  },
};

type Quantity = 'stateBytes' | 'parameters';

export function throughputFigure({ decode, points }: ThroughputResult): Figure {
  const series = seriesOf(points);
  return {
    id: 'throughput',
    title: titleOf(points),
    reading: html`Each mark is a hybrid with random weights that was timed: tokens per second of one sequence against what it
      keeps of that sequence (left) and against its parameters (right), both axes logarithmic. A line joins hybrids that
      differ in one thing only.`,
    legend: legendOf(
      series.map(([name]) => {
        const { colour, symbol, label } = STYLES[name];
        return { icon: drawIcon([Plot.dot([[0.5, 0.5]], { symbol, fill: colour, r: 5 })]), label };
      }),
    ),
    graphic: panels([
      { title: 'Against bytes of the state', chart: chart(points, 'stateBytes', bytes) },
      { title: 'Against parameters', chart: chart(points, 'parameters', amount) },
    ]),
    caption: captionOf(points),
    table: {
      caption: `Decoding, ${counted(decode.tokens, 'token')} after ${decode.context} on the ${deviceName(decode.device)}`,
      header: [
        'Hybrid',
        'Changed',
        'Full layers',
        'State bytes',
        'Parameters',
        'Decode tok/s, median',
        'Lowest',
        'Highest',
      ],
      rows: points.map((point) => [
        point.name,
        point.series,
        numberCell(point.fullLayers),
        numberCell(point.stateBytes, bytes),
        numberCell(point.parameters, amount),
        numberCell(median(point.decode), rate),
        numberCell(Math.min(...point.decode), rate),
        numberCell(Math.max(...point.decode), rate),
      ]),
    },
  };
}

function seriesOf(points: readonly ThroughputPoint[]): [ThroughputPoint['series'], ThroughputPoint[]][] {
  return (Object.keys(STYLES) as ThroughputPoint['series'][])
    .map((name): [ThroughputPoint['series'], ThroughputPoint[]] => [
      name,
      points.filter(({ series }) => series === name),
    ])
    .filter(([, found]) => found.length > 0);
}

/** The share of the differences in decode speed (as ratios) that a quantity explains; undefined if it is always the same. */
function explained(points: readonly ThroughputPoint[], quantity: Quantity): number | undefined {
  const r = correlation(
    points.map((point) => Math.log(Math.max(1, point[quantity]))),
    points.map(({ decode }) => Math.log(median(decode))),
  );
  return r === undefined ? undefined : r * r;
}

function titleOf(points: readonly ThroughputPoint[]): string {
  const [state, parameters] = [explained(points, 'stateBytes') ?? 0, explained(points, 'parameters') ?? 0];
  return state > parameters
    ? 'Decode speed follows the bytes of the state rather than the parameters'
    : 'Decode speed follows the parameters rather than the bytes of the state';
}

function captionOf(points: readonly ThroughputPoint[]): Content {
  const times = (found: readonly ThroughputPoint[], value: (point: ThroughputPoint) => number) => {
    const values = found.map(value);
    const factor = Math.max(...values) / Math.max(1e-9, Math.min(...values));
    return `${fixed(factor, factor < 9.95 ? 2 : 0)}×`;
  };
  return html`By what factor the highest exceeds the lowest:<ul>${seriesOf(points).map(
    ([
      name,
      found,
    ]) => html`<li><b>${STYLES[name].label}</b>: bytes ${times(found, ({ stateBytes }) => stateBytes)}, parameters
      ${times(found, ({ parameters }) => parameters)}, speed ${times(found, ({ decode }) => median(decode))}</li>`,
  )}</ul>`;
}

const SAYS = 'Decode speed depends on the size of caches and states, not on the number of parameters';

export function throughputClaim(throughput: ThroughputResult | undefined): Claim {
  const state = throughput && explained(throughput.points, 'stateBytes');
  const parameters = throughput && explained(throughput.points, 'parameters');
  if (!throughput || state === undefined || parameters === undefined) return notMeasured(SAYS);
  const { points, decode } = throughput;
  return {
    says: SAYS,
    found:
      `Over ${counted(points.length, 'hybrid')} after ${decode.context} tokens, bytes explain ${percent(state)} of the ` +
      `differences in speed by themselves, parameters ${percent(parameters)} (squared correlation of logarithms).`,
    verdict: state > parameters ? 'holds' : 'does not hold',
  };
}

function chart(
  points: readonly ThroughputPoint[],
  quantity: Quantity,
  show: (value: number) => string,
): Html {
  const x = (point: ThroughputPoint) => Math.max(1, point[quantity]);
  const y = ({ decode }: ThroughputPoint) => median(decode);
  const xs = domainOf(points.map(x));
  const ys = domainOf(points.map(y));
  return drawChart({
    id: `throughput-${quantity === 'stateBytes' ? 'state' : 'parameters'}`,
    label: `Decode speed against ${quantity === 'stateBytes' ? 'bytes of the state' : 'parameters'}`,
    description: `${seriesOf(points)
      .map(
        ([name, found]) =>
          `${STYLES[name].label}: ${found.map((point) => `${show(x(point))} ${rate(y(point))} tok/s`).join(', ')}`,
      )
      .join('. ')}.`,
    plot: {
      width: 430,
      height: 280,
      marginLeft: 52,
      marginRight: 24,
      marginTop: 26,
      marginBottom: 44,
      x: {
        type: 'log',
        domain: xs,
        ticks: ticksOf(xs, 4),
        tickFormat: show,
        tickSize: 0,
        label: quantity === 'stateBytes' ? 'bytes for one sequence' : 'parameters of the model',
        labelAnchor: 'center',
        labelArrow: 'none',
      },
      y: { type: 'log', domain: ys, ticks: ticksOf(ys, 5), tickFormat: rate, tickSize: 0, label: null },
      marks: [
        Plot.gridY(ticksOf(ys, 5), GRID),
        Plot.text(['decode tok/s'], {
          text: ['decode tok/s'],
          frameAnchor: 'top-left',
          dx: -48,
          dy: -20,
          textAnchor: 'start',
          fill: 'var(--muted)',
        }),
        ...seriesOf(points).flatMap(([name, found]) => {
          const { colour, symbol, dash } = STYLES[name];
          const sorted = [...found].sort((a, b) => x(a) - x(b) || y(a) - y(b));
          return [
            Plot.line(sorted, {
              x,
              y,
              stroke: colour,
              strokeWidth: 1.5,
              ...(dash && { strokeDasharray: dash }),
            }),
            Plot.dot(sorted, {
              x,
              y,
              symbol,
              r: 4,
              fill: colour,
              stroke: 'var(--paper)',
              title: (point: ThroughputPoint) =>
                `${point.name}: ${rate(y(point))} tok/s, ${bytes(point.stateBytes)}, ${amount(point.parameters)} parameters`,
            }),
          ];
        }),
      ],
    },
  });
}

function domainOf(values: readonly number[]): [number, number] {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const room = (high / low) ** 0.06 * 1.01;
  return [low / room, high * room];
}

/** Numbers with few digits about evenly spaced on a logarithmic axis. */
function ticksOf([low, high]: readonly [number, number], count: number): number[] {
  const ticks = Array.from({ length: count }, (_, i) => {
    const exact = low * (high / low) ** ((i + 0.5) / count);
    const step = 10 ** Math.floor(Math.log10(exact) - 1);
    return Math.round(exact / step) * step;
  });
  return [...new Set(ticks)].filter((tick) => tick >= low && tick <= high);
}
