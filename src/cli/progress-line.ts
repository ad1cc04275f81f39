import type { ProgressEvent } from '../util/progress.ts';

/** A stage of work as a line of text: what matters most comes first, and what does not fit is left out. */

const UNITS = ['', 'k', 'M', 'G', 'T'];

/** 1234567 -> '1.23M' */
function compact(value: number): string {
  let scaled = value;
  let unit = 0;
  while (Math.abs(scaled) >= 1000 && unit < UNITS.length - 1) {
    scaled /= 1000;
    unit++;
  }
  const digits =
    unit === 0 && Number.isInteger(scaled) ? 0 : Math.abs(scaled) < 10 ? 2 : Math.abs(scaled) < 100 ? 1 : 0;
  return `${scaled.toFixed(digits)}${UNITS[unit]}`;
}

/** 3725 -> '1h02m', 95 -> '1m35s' */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '?';
  const s = Math.round(seconds);
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m${String(s % 60).padStart(2, '0')}s`;
  return `${Math.floor(s / 3600)}h${String(Math.floor((s % 3600) / 60)).padStart(2, '0')}m`;
}

const BAR = 24;
const SMALLEST_BAR = 8;
/** Characters of a stage's name that are shown at least. */
const SHORTEST_NAME = 6;

/** Below it, words that say little are left out. */
const WIDE = 60;

/**
 * ' 42%  3m20s left  1.2k tokens/s  loss 0.1234  seed 1: align  1.2M/4.1M tokens  ████░░░░'
 *
 * @param rate units a second; 0 when nothing is known
 * @param width characters of the line at most, from 20
 * @param bar whether what is left of the line shows a bar
 */
export function progressLine(
  { stage, done, total, unit, values = {}, note }: ProgressEvent,
  rate: number,
  width: number,
  bar = true,
): string {
  const part = Math.min(1, Math.max(0, done / Math.max(total, Number.MIN_VALUE)));
  const wide = width >= WIDE;
  const line = new Line(width);
  line.add(`${Math.floor(100 * part)}%`.padStart(4));
  if (rate > 0) line.add(`${duration((total - done) / rate)} left`);
  else line.add(wide ? 'time left unknown' : '? left');
  if (rate > 0) line.add(wide ? `${compact(rate)} ${unit}/s` : `${compact(rate)}/s`);
  for (const [name, value] of Object.entries(values)) line.add(`${name} ${value.toPrecision(4)}`);
  line.add(stage, line.room >= SHORTEST_NAME ? `${stage.slice(0, line.room - 1)}…` : undefined);
  line.add(`${compact(done)}/${compact(total)} ${unit}`);
  if (note !== undefined) line.add(note);
  if (bar && line.room >= SMALLEST_BAR) {
    const size = Math.min(BAR, line.room);
    const filled = Math.floor(part * size);
    line.add('█'.repeat(filled) + '░'.repeat(size - filled));
  }
  return line.text;
}

class Line {
  text = '';

  constructor(private readonly width: number) {}

  /** Characters that a further part may have. */
  get room(): number {
    return this.width - this.text.length - (this.text === '' ? 0 : 2);
  }

  /** Adds the first of the forms that fits, or nothing. */
  add(...forms: (string | undefined)[]): void {
    const fits = forms.find((form) => form !== undefined && form.length <= this.room);
    if (fits !== undefined) this.text += (this.text === '' ? '' : '  ') + fits;
  }
}
