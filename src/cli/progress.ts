import { type Bar, MultiBar, Presets } from 'cli-progress';
import type { OnProgress, ProgressEvent } from '../util/progress.ts';
import { duration, progressLine } from './progress-line.ts';

export { duration };

/**
 * Progress on standard error: on a terminal a line per stage that is redrawn, elsewhere a line now and then (so that logs
 * stay readable), nothing when quiet. There are no colours, so that NO_COLOR has nothing to turn off.
 */
export interface Progress {
  report: OnProgress;
  /** Prints a line above the bars. */
  log(line: string): void;
  stop(): void;
}

/** Seconds between two lines of one stage where there is no terminal. */
const LINE_EVERY = 15;

/** Seconds after which a stage is first told of there; one that ends before is not. */
const FIRST_AFTER = 1.5;

/** Seconds that a stage has to take there for its end to be worth a line. */
const SHORT = 2;

/** Bars of finished stages that stay on the screen. */
const KEPT_BARS = 6;

/** Clears what a bar left of its line. */
const CLEAR = '\u001b[0K';

/** Of a line that goes into a file. */
const LOG_WIDTH = 100;

interface Stage {
  bar: Bar | undefined;
  started: number;
  /** Where this run of the stage began: a resumed one does not begin at 0. */
  from: number;
  last: ProgressEvent;
  /** Where there is no terminal: until the next line. */
  next: NodeJS.Timeout | undefined;
}

/** A terminal can be drawn on if it is one and not a dumb one. */
function drawable(stream: NodeJS.WriteStream): boolean {
  return Boolean(stream.isTTY) && process.env.TERM !== 'dumb';
}

interface ProgressOptions {
  quiet?: boolean;
  stream?: NodeJS.WriteStream;
}

export function createProgress({ quiet = false, stream = process.stderr }: ProgressOptions = {}): Progress {
  const stages = new Map<string, Stage>();
  const finished: Bar[] = [];
  const bars =
    !quiet && drawable(stream)
      ? new MultiBar(
          {
            stream,
            // A full line would make some terminals begin the next one.
            format: (_, __, { event, rate }: { event: ProgressEvent; rate: number }) =>
              progressLine(event, rate, (stream.columns || 80) - 1),
            // Lines fit; messages between them may be longer and are to be seen whole.
            linewrap: true,
            hideCursor: true,
            clearOnComplete: false,
            stopOnComplete: false,
          },
          Presets.shades_classic,
        )
      : undefined;

  const rateOf = ({ last, from, started }: Stage, now: number) =>
    now > started ? (1000 * (last.done - from)) / (now - started) : 0;
  const print = (stage: Stage, now: number) => {
    stream.write(`${progressLine(stage.last, rateOf(stage, now), LOG_WIDTH, false).trimStart()}\n`);
  };

  /** Prints the stage after some seconds and then now and then, also when nothing is heard of it. */
  const wait = (stage: Stage, seconds: number) => {
    clearTimeout(stage.next);
    stage.next = setTimeout(() => {
      print(stage, performance.now());
      wait(stage, LINE_EVERY);
    }, 1000 * seconds).unref();
  };

  let drawn = false;
  const begin = (event: ProgressEvent, now: number): Stage => {
    drawn = true;
    const stage: Stage = {
      bar: bars?.create(event.total, event.done, { event, rate: 0 }),
      started: now,
      from: event.done,
      last: event,
      next: undefined,
    };
    if (!bars) wait(stage, FIRST_AFTER);
    return stage;
  };

  const log = (line: string) => {
    if (quiet) return;
    if (!bars || !drawn) {
      stream.write(`${line}\n`);
      return;
    }
    bars.log(`${line.replaceAll('\n', `${CLEAR}\n`)}${CLEAR}\n`);
    // At once: what is only noted is lost when the bars stop before they are drawn again.
    bars.update();
  };

  const report: OnProgress = (event) => {
    if (quiet) return;
    if (event.notice) {
      log(`${event.stage}: ${event.notice}`);
      return;
    }
    const now = performance.now();
    const stage = stages.get(event.stage) ?? begin(event, now);
    stages.set(event.stage, stage);
    // Between two steps the loss is that of the last one.
    stage.last = { ...event, values: event.values ?? stage.last.values, note: event.note ?? stage.last.note };
    const ended = event.done >= event.total;
    if (stage.bar) {
      stage.bar.setTotal(event.total);
      stage.bar.update(event.done, { event: stage.last, rate: rateOf(stage, now) });
    } else if (ended && now - stage.started > 1000 * SHORT) {
      print(stage, now);
    }
    if (ended) {
      clearTimeout(stage.next);
      stages.delete(event.stage);
      if (stage.bar) finished.push(stage.bar);
      while (finished.length > KEPT_BARS) bars!.remove(finished.shift()!);
    }
  };

  return {
    report,
    log,
    stop: () => {
      for (const { next } of stages.values()) clearTimeout(next);
      bars?.stop();
    },
  };
}
