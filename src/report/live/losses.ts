import * as Plot from '@observablehq/plot';
import { average } from '../../util/statistics.ts';
import { numberCell } from '../cells.ts';
import { type Figure, legendOf, panels } from '../figure.ts';
import { movedApart } from '../figures/label-places.ts';
import { type Html, html } from '../html.ts';
import { drawChart, drawIcon, FONT_SIZE, GRID, textWidth } from '../svg.ts';
import { counted, fixed } from '../text.ts';
import type { Curve, LossPoint } from './train-logs.ts';

/** The losses of a stage's trainings while they run, a panel for each phase of training. */

const PHASES: Record<string, string> = {
  align: 'alignment of single layers',
  supernet: 'super network',
  train: 'training of the whole',
  features: 'hidden states of the teacher',
  logits: 'predictions of the teacher',
  all: 'all weights',
};

/** Points of a line; more would be finer than what is seen. */
const BINS = 100;

/** Steps whose mean is told as the loss now, as a share of those so far. */
const TAIL = 0.1;

/** Losses that differ by more than this factor are drawn on a logarithmic axis. */
const WIDE_RANGE = 5;

/** @param running whether a training has made a step lately */
export function lossFigure(
  stage: string,
  curves: readonly Curve[],
  running: (curve: Curve) => boolean,
): Figure {
  const phases = [...new Set(curves.map(({ phase }) => phase))];
  const active = curves.filter(running);
  return {
    id: `loss-${stage}`,
    title: active.length > 0 ? `${counted(active.length, 'training')} under way` : 'All trainings are done',
    reading: html`Loss by step of training, a line for each training; lower is better. What is minimised is the difference to
      the base model, so that a loss of 0 would be a perfect copy.`,
    legend: legendOf([
      { icon: lineIcon('var(--full)'), label: 'under way' },
      { icon: lineIcon('var(--uniform)'), label: 'done' },
    ]),
    graphic: panels(
      phases.map((phase) => {
        const own = curves.filter((curve) => curve.phase === phase);
        return {
          title: html`${PHASES[phase] ?? phase} <small>${counted(own.length, 'training')}</small>`,
          chart: chart(`loss-${stage}-${phase}`, own, running),
        };
      }),
    ),
    caption: captionOf(curves, active),
    table: {
      caption: 'Loss of every training',
      header: [
        'Training',
        'Phase',
        'Steps',
        'Loss of the first step',
        'Loss now (mean of the last tenth)',
        'State',
      ],
      rows: curves.map((curve) => [
        curve.name,
        PHASES[curve.phase] ?? curve.phase,
        numberCell(curve.points.at(-1)!.step),
        numberCell(curve.points[0]!.loss, shown),
        numberCell(lossNow(curve), shown),
        running(curve) ? 'under way' : 'done',
      ]),
    },
  };
}

function captionOf(curves: readonly Curve[], active: readonly Curve[]): string {
  const told = (active.length > 0 ? active : curves.slice(-1)).slice(0, 4);
  return told
    .map((curve) => {
      const { name, phase, points } = curve;
      const from = shown(points[0]!.loss);
      return `${name}, ${PHASES[phase] ?? phase}: from ${from} to ${shown(lossNow(curve))} in ${counted(points.at(-1)!.step, 'step')}.`;
    })
    .join(' ');
}

function lossNow({ points }: Curve): number {
  return average(points.slice(-Math.max(1, Math.round(points.length * TAIL))).map(({ loss }) => loss));
}

function shown(loss: number): string {
  return fixed(loss, loss < 0.01 ? 5 : loss < 10 ? 3 : 1);
}

function chart(id: string, curves: readonly Curve[], running: (curve: Curve) => boolean): Html {
  const lines = curves.map((curve) => ({
    curve,
    points: thinned(curve.points),
    colour: running(curve) ? 'var(--full)' : 'var(--uniform)',
    width: running(curve) ? 2 : 1.2,
    title: `${curve.name}: ${shown(lossNow(curve))} after ${counted(curve.points.at(-1)!.step, 'step')}`,
  }));
  const scale = scaleOf(lines.flatMap(({ points }) => points.map(({ loss }) => loss)));
  const named = lines.length <= NAMED ? lines : lines.filter(({ curve }) => running(curve)).slice(0, NAMED);
  const labels = movedApart(
    named.map(({ curve, points, colour }) => ({
      text: curve.name,
      colour,
      y: scale.height(points.at(-1)!.loss),
    })),
    (FONT_SIZE + 2) / PLOTTED,
    0,
  );
  return drawChart({
    id,
    label: 'Loss by step',
    description: `${lines.map(({ title }) => title).join('. ')}.`,
    plot: {
      width: 430,
      height: PLOTTED + MARGINS.marginTop + MARGINS.marginBottom,
      ...MARGINS,
      marginRight: 20 + Math.max(0, ...labels.map(({ text }) => textWidth(text, FONT_SIZE - 1))),
      x: {
        domain: [1, Math.max(2, ...lines.map(({ points }) => points.at(-1)!.step))],
        label: 'step',
        labelAnchor: 'center',
        labelArrow: 'none',
        tickSize: 0,
        tickFormat: 'd',
        ticks: 4,
      },
      y: { ...scale.axis, label: null, tickFormat: shown, tickSize: 0 },
      marks: [
        Plot.gridY({ ...GRID, ticks: scale.axis.ticks }),
        ...lines.flatMap(({ points, colour, width, title }) => [
          Plot.line(points, { x: 'step', y: 'loss', stroke: colour, strokeWidth: width, title: () => title }),
          Plot.dot(points.slice(-1), { x: 'step', y: 'loss', fill: colour, r: 3, title: () => title }),
        ]),
        ...labels.map(({ text, colour, y }) =>
          Plot.text([text], {
            text: [text],
            y: [scale.value(y)],
            frameAnchor: 'right',
            dx: 10,
            textAnchor: 'start',
            fontSize: FONT_SIZE - 1,
            fill: colour,
          }),
        ),
      ],
    },
  });
}

/** Lines that are named at their end; where there are more, only those under way. */
const NAMED = 6;

const MARGINS = { marginLeft: 52, marginTop: 12, marginBottom: 44 };

/** Height of the area that is drawn in, in pixels. */
const PLOTTED = 190;

/** The vertical axis around losses: its ticks are round numbers, logarithmic where the losses differ much. */
function scaleOf(losses: readonly number[]) {
  const [lowest, highest] = [Math.min(...losses), Math.max(...losses)];
  const logarithmic = lowest > 0 && highest / lowest > WIDE_RANGE;
  const room = logarithmic ? (highest / lowest) ** 0.04 : (highest - lowest || Math.abs(highest) || 1) * 0.06;
  const domain: [number, number] = logarithmic
    ? [lowest / room, highest * room]
    : [lowest - room, highest + room];
  const [low, high] = domain;
  return {
    axis: {
      type: logarithmic ? ('log' as const) : ('linear' as const),
      domain,
      ticks: logarithmic ? roundNumbers(low, high) : 5,
    },
    /** From 0 at the bottom to 1 at the top. */
    height: (loss: number) =>
      logarithmic ? Math.log(loss / low) / Math.log(high / low) : (loss - low) / (high - low),
    value: (height: number) => (logarithmic ? low * (high / low) ** height : low + height * (high - low)),
  };
}

/** 0.02, 0.05, 0.1, 0.2, ... */
function roundNumbers(low: number, high: number): number[] {
  const from = Math.floor(Math.log10(low));
  const decades = Array.from({ length: Math.ceil(Math.log10(high)) - from + 1 }, (_, i) => from + i);
  const steps = decades.length > 4 ? [1] : [1, 2, 5];
  return decades
    .flatMap((exponent) => steps.map((step) => Number((step * 10 ** exponent).toPrecision(1))))
    .filter((tick) => tick >= low && tick <= high);
}

/** Means of equally many steps each, the last step where it is. */
function thinned(points: readonly LossPoint[]): LossPoint[] {
  const size = Math.ceil(points.length / BINS);
  return Array.from({ length: Math.ceil(points.length / size) }, (_, bin) => {
    const own = points.slice(bin * size, (bin + 1) * size);
    return { step: own.at(-1)!.step, loss: average(own.map(({ loss }) => loss)) };
  });
}

function lineIcon(colour: string): Html {
  return drawIcon([Plot.ruleY([0.5], { stroke: colour, strokeWidth: 2 })]);
}
