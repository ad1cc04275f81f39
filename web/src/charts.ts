import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { colourOf } from './dom.ts';
import { bytes } from './format.ts';

/** Lines over the length of the text, in the page's colours, redrawn when those or the page's width change. */

export interface Line {
  label: string;
  /** A CSS variable. */
  colour: string;
  dash?: number[];
  /** By place on the x axis; null where there is nothing. */
  values: (number | null)[];
}

export interface Drawing {
  x: number[];
  lines: Line[];
  /** Right end of the x axis. */
  end: number;
  /** Where the text is now. */
  now?: number;
}

const HEIGHT = 190;

export class Chart {
  private plot: uPlot | null = null;
  private drawing: Drawing | null = null;
  private shape = '';
  private pending = false;

  constructor(
    private readonly place: HTMLElement,
    private readonly unit: 'bytes' | 'rate',
  ) {
    new ResizeObserver(() => this.plot?.setSize({ width: place.clientWidth, height: HEIGHT })).observe(place);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      this.shape = '';
      this.redraw();
    });
  }

  draw(drawing: Drawing): void {
    this.drawing = drawing;
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      this.redraw();
    });
  }

  private redraw(): void {
    const { drawing } = this;
    if (!drawing) return;
    const data: uPlot.AlignedData = [drawing.x, ...drawing.lines.map(({ values }) => values)];
    const shape = JSON.stringify([drawing.end, drawing.lines.map(({ label }) => label)]);
    if (this.plot && shape === this.shape) {
      this.plot.setData(data);
      return;
    }
    this.shape = shape;
    this.plot?.destroy();
    this.plot = new uPlot(this.options(drawing), data, this.place);
  }

  private options({ end, lines }: Drawing): uPlot.Options {
    const colour = (name: string) => colourOf(this.place, name);
    const font = `12px ${getComputedStyle(this.place).fontFamily}`;
    const axis = {
      font,
      stroke: colour('--muted'),
      grid: { stroke: colour('--line'), width: 1 },
      ticks: { show: false },
    };
    const shown = (value: number) => (this.unit === 'bytes' ? bytes(value) : String(value));
    return {
      width: this.place.clientWidth,
      height: HEIGHT,
      padding: [8, 12, 0, 0],
      cursor: { show: false },
      legend: { show: false },
      scales: { x: { time: false, range: [0, end] }, y: { range: (_, __, max) => [0, (max || 1) * 1.08] } },
      axes: [
        { ...axis, size: 26 },
        { ...axis, size: 58, space: 36, values: (_, ticks) => ticks.map(shown) },
      ],
      series: [
        {},
        ...lines.map(({ label, colour: name, dash }) => ({
          label,
          stroke: colour(name),
          width: 2,
          dash,
          spanGaps: true,
          points: { show: false },
        })),
      ],
      hooks: {
        draw: [
          (plot) =>
            this.mark(
              plot,
              colour('--ink'),
              lines.map((line) => colour(line.colour)),
            ),
        ],
      },
    };
  }

  /** A line at the present length, with a dot on each curve. */
  private mark(plot: uPlot, ink: string, colours: string[]): void {
    const { now, x, lines } = this.drawing!;
    if (now === undefined) return;
    const { ctx, bbox } = plot;
    const left = plot.valToPos(now, 'x', true);
    const scale = devicePixelRatio;
    ctx.save();
    ctx.strokeStyle = ink;
    ctx.globalAlpha = 0.45;
    ctx.lineWidth = scale;
    ctx.setLineDash([3 * scale, 3 * scale]);
    ctx.beginPath();
    ctx.moveTo(left, bbox.top);
    ctx.lineTo(left, bbox.top + bbox.height);
    ctx.stroke();
    ctx.globalAlpha = 1;
    for (const [i, { values }] of lines.entries()) {
      const y = between(x, values, now);
      if (y === null) continue;
      ctx.fillStyle = colours[i]!;
      ctx.beginPath();
      ctx.arc(left, plot.valToPos(y, 'y', true), 4.5 * scale, 0, 2 * Math.PI);
      ctx.fill();
    }
    ctx.restore();
  }
}

/** The value at a place between those that are given; null outside of them. */
export function between(x: readonly number[], y: readonly (number | null)[], at: number): number | null {
  const right = x.findIndex((value) => value >= at);
  if (right < 0) return null;
  const [to, from] = [y[right] ?? null, y[Math.max(0, right - 1)] ?? null];
  if (to === null || from === null) return null;
  const width = x[right]! - x[Math.max(0, right - 1)]!;
  return width === 0 ? to : to + ((from - to) * (x[right]! - at)) / width;
}
