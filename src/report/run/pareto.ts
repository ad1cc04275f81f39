import * as Plot from '@observablehq/plot';
import { numberCell, spreadCell } from '../cells.ts';
import { type CandidateFindings, type Comparison, paretoFront, spreadOfCandidate } from '../comparison.ts';
import { type Figure, legendOf, responsive } from '../figure.ts';
import { type Box, labelPlaces } from '../figures/label-places.ts';
import { type Html, html } from '../html.ts';
import { drawChart, drawIcon, GRID, NARROW, WIDE } from '../svg.ts';
import { amount, listed, rate } from '../text.ts';

/** Speed of decoding against quality: the candidates that no other beats in both form the front. */

interface Point {
  x: number;
  y: number;
  r: number;
  label: string;
  taken: boolean;
  front: boolean;
  title: string;
}

export function paretoFigure(comparison: Comparison): Figure {
  const { overall, candidates, taken, seeds } = comparison;
  const front = paretoFront(comparison);
  const points = pointsOf(comparison, front);
  return {
    id: 'pareto',
    title: titleOf(comparison, front),
    reading: html`Each dot is one choice of heads × key width × value width at the same size of the state: how fast the hybrid
      decodes and its ${overall.phrase}${seeds.length > 1 && ', mean over seeds'}; up and right is better. The larger the dot, the
      more parameters. The line is the front: what no other candidate beats in both.`,
    legend: legendOf([
      { icon: icon('var(--full)'), label: 'taken' },
      { icon: icon('var(--uniform)'), label: 'on the front' },
      { icon: icon('var(--random)'), label: 'beaten in both' },
    ]),
    graphic: responsive(chart(points, comparison, false), chart(points, comparison, true)),
    caption:
      `The front: ${listed(front.map(({ label }) => label))}, slowest first. ` +
      (front.includes(taken)
        ? `The choice, ${taken.label}, lies on it.`
        : `The choice, ${taken.label}, does not lie on it.`),
    table: {
      caption: 'Decode speed and quality',
      header: [
        'Heads × key × value width',
        'Decode tok/s, median',
        'Lowest',
        'Highest',
        overall.axis,
        'Parameters of a block',
        'Front',
      ],
      rows: candidates.map((candidate) => [
        candidate.label,
        numberCell(candidate.decode, rate),
        numberCell(Math.min(...candidate.found.decode), rate),
        numberCell(Math.max(...candidate.found.decode), rate),
        spreadCell(overall, spreadOfCandidate(overall, candidate)),
        numberCell(candidate.found.parameters, amount),
        front.includes(candidate) ? 'yes' : 'no',
      ]),
    },
  };
}

const STROKE = { stroke: 'var(--paper)', strokeWidth: 1.5 } as const;

function icon(fill: string): Html {
  return drawIcon([Plot.dot([[0.5, 0.5]], { fill, r: 6, ...STROKE })]);
}

function titleOf({ taken, overall, candidates }: Comparison, front: readonly CandidateFindings[]): string {
  const best = front[0]!;
  const first = candidates[0]!;
  const value = (candidate: CandidateFindings) => spreadOfCandidate(overall, candidate)?.mean ?? Number.NaN;
  if (taken === first) return `The parent’s dimensions, ${first.label}, are kept`;
  const gain = overall.showSize(value(taken) - value(first));
  const how = overall.gain(value(taken), value(first)) >= 0 ? 'better' : 'worse';
  const rest = best === taken ? '' : `; ${best.label} scores highest`;
  return `${taken.label} is ${gain} ${how} than the parent’s ${first.label}${rest}`;
}

/** Radius of a dot, in pixels. */
const SMALLEST = 4.5;
const LARGEST = 10;

function pointsOf({ candidates, overall }: Comparison, front: readonly CandidateFindings[]): Point[] {
  const sizes = candidates.map(({ found }) => found.parameters);
  const [least, most] = [Math.min(...sizes), Math.max(...sizes)];
  return candidates.flatMap((candidate) => {
    const spread = spreadOfCandidate(overall, candidate);
    if (!spread) return [];
    const { found, label, decode, taken } = candidate;
    const share = most > least ? (found.parameters - least) / (most - least) : 0.5;
    return {
      x: decode,
      y: overall.plotted(spread.mean),
      r: SMALLEST + share * (LARGEST - SMALLEST),
      label,
      taken,
      front: front.includes(candidate),
      title: `${label}: ${rate(decode)} tok/s, ${overall.showSpread(spread)}, ${amount(found.parameters)} parameters`,
    };
  });
}

/** Around the values, with room for labels. */
function domainOf(values: readonly number[], share: number): [number, number] {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const room = (high - low || Math.abs(high) * 0.02 || 1) * share;
  return [low - room, high + room];
}

function chart(points: readonly Point[], { overall }: Comparison, narrow: boolean): Html {
  const width = narrow ? NARROW : WIDE;
  const height = narrow ? 330 : 400;
  const margins = { marginLeft: 48, marginRight: 16, marginTop: 26, marginBottom: 44 };
  const x = domainOf(
    points.map((point) => point.x),
    narrow ? 0.16 : 0.1,
  );
  const values = domainOf(
    points.map((point) => point.y),
    0.12,
  );
  const y = overall.higherIsBetter ? values : ([values[1], values[0]] as const);
  const place = (value: number, [from, to]: readonly [number, number], start: number, size: number) =>
    start + ((value - from) / (to - from)) * size;
  const pixels = ({ x: across, y: up }: Point) => ({
    x: place(across, x, margins.marginLeft, width - margins.marginLeft - margins.marginRight),
    y: place(up, y, height - margins.marginBottom, margins.marginTop + margins.marginBottom - height),
  });
  const front = points.filter((point) => point.front).sort((a, b) => a.x - b.x);
  const places = labelPlaces(
    points.map((point) => ({ ...pixels(point), text: point.label })),
    { width, height: height - margins.marginBottom, others: stepBoxes(front.map(pixels)) },
  );
  const ticks = narrow ? 4 : 6;
  return drawChart({
    id: `pareto-${narrow ? 'narrow' : 'wide'}`,
    label: 'Decode speed against quality',
    description: `${points.map(({ title }) => title).join('. ')}.`,
    plot: {
      width,
      height,
      ...margins,
      x: {
        domain: x,
        label: 'decode tokens per second',
        labelAnchor: 'center',
        labelArrow: 'none',
        ticks,
        tickSize: 0,
      },
      y: { domain: y, label: null, ticks, tickSize: 0 },
      r: { type: 'identity' },
      marks: [
        Plot.gridY({ ...GRID, ticks }),
        Plot.gridX({ ...GRID, ticks }),
        Plot.text([overall.axis], {
          text: [overall.axis],
          frameAnchor: 'top-left',
          dx: -44,
          dy: -22,
          textAnchor: 'start',
          fill: 'var(--muted)',
        }),
        Plot.line(front, {
          x: 'x',
          y: 'y',
          curve: 'step-before',
          stroke: 'var(--uniform)',
          strokeWidth: 1.5,
          strokeDasharray: '6 4',
        }),
        Plot.dot(points, {
          x: 'x',
          y: 'y',
          r: 'r',
          fill: ({ taken, front }: Point) =>
            taken ? 'var(--full)' : front ? 'var(--uniform)' : 'var(--random)',
          ...STROKE,
          title: 'title',
        }),
        ...points.map((point, i) =>
          Plot.text([point], {
            x: 'x',
            y: 'y',
            text: 'label',
            ...places[i]!,
            fill: point.taken ? 'var(--full)' : 'var(--ink)',
            fontWeight: point.taken ? 700 : 400,
          }),
        ),
      ],
    },
  });
}

/** What the line of the front covers. */
function stepBoxes(front: readonly { x: number; y: number }[]): Box[] {
  return front.slice(1).flatMap((to, i) => {
    const from = front[i]!;
    const [top, bottom] = [Math.min(from.y, to.y), Math.max(from.y, to.y)];
    return [
      { left: from.x - 1, right: from.x + 1, top, bottom },
      { left: from.x, right: to.x, top: to.y - 1, bottom: to.y + 1 },
    ];
  });
}
