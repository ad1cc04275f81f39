import { type Bar, MultiBar, Presets } from 'cli-progress';
import type { OnProgress, ProgressEvent } from '../util/progress.ts';

/**
 * Progress on standard error: a bar with rate and time left per stage on a terminal, a line now and then elsewhere
 * (so that logs stay readable), nothing when quiet.
 */
export interface Progress {
  report: OnProgress;
  /** Prints a line above the bars. */
  log(line: string): void;
  stop(): void;
}

/** Seconds between two lines of one stage where there is no terminal. */
const LINE_EVERY = 15;

/** Seconds that a stage has to take there for its end to be worth a line. */
const SHORT = 2;

/** Bars of finished stages that stay on the screen. */
const KEPT_BARS = 6;

const UNITS = ['', 'k', 'M', 'G', 'T'];

/** 1234567 -> '1.2M' */
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

interface Stage {
  bar: Bar | undefined;
  started: number;
  /** Where this run of the stage began: a resumed one does not begin at 0. */
  from: number;
  printed: number;
}

export function createProgress({ quiet = false, stream = process.stderr } = {}): Progress {
  const stages = new Map<string, Stage>();
  const finished: Bar[] = [];
  const bars =
    !quiet && stream.isTTY
      ? new MultiBar(
          {
            stream,
            format: '{stage} {bar} {percentage}% | {done}/{all} {unit} | {rate}/s | left {left} {values}',
            hideCursor: true,
            clearOnComplete: false,
            stopOnComplete: false,
            barsize: 24,
          },
          Presets.shades_classic,
        )
      : undefined;

  const describe = (event: ProgressEvent, stage: Stage, now: number) => {
    const elapsed = (now - stage.started) / 1000;
    const rate = elapsed > 0 ? (event.done - stage.from) / elapsed : 0;
    const values = Object.entries(event.values ?? {}).map(
      ([name, value]) => `${name} ${value.toPrecision(4)}`,
    );
    return {
      stage: event.stage.padEnd(20),
      done: compact(event.done),
      all: compact(event.total),
      unit: event.unit,
      rate: compact(rate),
      left: rate > 0 ? duration((event.total - event.done) / rate) : '?',
      values: values.length > 0 ? `| ${values.join(' ')}` : '',
    };
  };

  const log = (line: string) => {
    if (quiet) return;
    if (bars) bars.log(`${line}\n`);
    else stream.write(`${line}\n`);
  };

  const report: OnProgress = (event) => {
    if (quiet) return;
    if (event.notice) {
      log(`${event.stage}: ${event.notice}`);
      return;
    }
    const now = performance.now();
    let stage = stages.get(event.stage);
    if (!stage) {
      stage = { bar: bars?.create(event.total, event.done), started: now, from: event.done, printed: now };
      stages.set(event.stage, stage);
    }
    const shown = describe(event, stage, now);
    if (stage.bar) {
      stage.bar.setTotal(event.total);
      stage.bar.update(event.done, shown);
    } else if (now - stage.printed > (event.done >= event.total ? SHORT : LINE_EVERY) * 1000) {
      stage.printed = now;
      const percent = ((100 * event.done) / Math.max(1, event.total)).toFixed(0);
      stream.write(
        `${shown.stage.trimEnd()}: ${percent}% (${shown.done}/${shown.all} ${shown.unit}, ${shown.rate}/s, ` +
          `left ${shown.left}) ${shown.values}\n`,
      );
    }
    if (event.done >= event.total) {
      stages.delete(event.stage);
      if (stage.bar) finished.push(stage.bar);
      while (finished.length > KEPT_BARS) bars!.remove(finished.shift()!);
    }
  };

  return {
    report,
    log,
    stop: () => bars?.stop(),
  };
}
