import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { InputError } from '../util/errors.ts';
import { writeFileAtomic } from '../util/files.ts';
import { systemMeaning } from '../util/system-errors.ts';

/** What was measured on held-out data after so many steps. */
export interface Measurement {
  step: number;
  /** Seconds of training until then. */
  at: number;
  /** What is to fall. */
  objective: number;
  [value: string]: number;
}

interface LogEntry {
  step: number;
  loss?: number | null;
  seconds?: number;
  heldOut?: Omit<Measurement, 'step'>;
  [value: string]: unknown;
}

/** A line of JSON per step and per measurement. Lines after the step that a run resumes from are dropped: they will be written again. */
export class StepLog {
  /** The loss of each step so far; NaN where it was not finite. */
  private readonly losses: number[] = [];
  /** In order. */
  readonly measurements: Measurement[] = [];
  /** What the steps so far took. */
  seconds = 0;

  constructor(
    private readonly path: string | undefined,
    resumedAt: number,
  ) {
    if (!path) return;
    const before = existsSync(path) ? readFileSync(path, 'utf8').split('\n') : [];
    const kept = before.filter((line) => {
      const entry = parsed(line);
      if (!entry || entry.step > resumedAt) return false;
      this.note(entry);
      return true;
    });
    writeFileAtomic(path, kept.map((line) => `${line}\n`).join(''));
  }

  add(entry: LogEntry): void {
    this.note(entry);
    if (!this.path) return;
    try {
      appendFileSync(this.path, `${JSON.stringify(entry)}\n`);
    } catch (error) {
      throw new InputError(`cannot write ${this.path}: ${systemMeaning(error) ?? (error as Error).message}`);
    }
  }

  private note({ step, loss, seconds = 0, heldOut }: LogEntry): void {
    this.seconds += seconds;
    if (heldOut) this.measurements.push({ step, ...(heldOut as Omit<Measurement, 'step'>) } as Measurement);
    // JSON has null for what is not finite.
    if (loss !== undefined) this.losses.push(loss ?? Number.NaN);
  }

  /** The mean of those of the last `count` losses that are finite; 0 without any. */
  loss(count: number): number {
    const tail = this.losses.slice(-Math.max(1, count)).filter(Number.isFinite);
    return tail.reduce((a, b) => a + b, 0) / Math.max(1, tail.length);
  }
}

/** The entry of a line; null for the end of the file, or for a line that a kill or a full disk cut off. */
function parsed(line: string): LogEntry | null {
  try {
    return JSON.parse(line) as LogEntry;
  } catch {
    return null;
  }
}
