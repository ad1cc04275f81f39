import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { join, sep } from 'node:path';

/**
 * The losses of all trainings of a run, read from the logs that they leave in its folder: a line per step, those of
 * earlier calls and of other processes included. Only what is new is read again.
 */

export interface Curve {
  /** 'placement', 'blocks', ... */
  stage: string;
  /** 'gla, seed 1' */
  name: string;
  /** 'align', 'supernet', 'train', 'features', ... */
  phase: string;
  points: readonly LossPoint[];
  /** Of the last step, in milliseconds since 1970. */
  written: number;
}

export interface LossPoint {
  /** From 1. */
  step: number;
  loss: number;
}

interface Log extends Curve {
  points: LossPoint[];
  /** Which file it is: one that was written anew has another number. */
  inode: number;
  read: number;
  /** The beginning of a line that was not whole yet. */
  rest: string;
}

export class TrainLogs {
  private readonly logs = new Map<string, Log>();

  /** @param folder of the run; it may be made later */
  constructor(private readonly folder: string) {}

  /** In the order of their paths. */
  read(): Curve[] {
    const paths = logFiles(this.folder);
    for (const path of this.logs.keys()) if (!paths.includes(path)) this.logs.delete(path);
    for (const path of paths) this.follow(path);
    return [...this.logs.values()].filter(({ points }) => points.length > 0);
  }

  private follow(path: string): void {
    const file = join(this.folder, path);
    const found = statSync(file, { throwIfNoEntry: false });
    if (!found) return;
    let log = this.logs.get(path);
    if (!log || log.inode !== found.ino || log.read > found.size) {
      log = { ...nameOf(path), points: [], inode: found.ino, read: 0, rest: '', written: 0 };
      this.logs.set(path, log);
    }
    if (log.read === found.size) return;
    const lines = (log.rest + textOf(file, log.read, found.size)).split('\n');
    log.read = found.size;
    log.rest = lines.pop()!;
    log.written = found.mtimeMs;
    log.points.push(...lines.flatMap(pointOf));
  }
}

function logFiles(folder: string): string[] {
  if (!statSync(folder, { throwIfNoEntry: false })) return [];
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith(`${sep}log.jsonl`))
    .sort();
}

/** 'blocks/seed-1/gla/train/log.jsonl' -> stage blocks, gla, seed 1, phase train */
function nameOf(path: string): Pick<Curve, 'stage' | 'name' | 'phase'> {
  const [stage = '', ...parts] = path.split(sep).slice(0, -1);
  const phase = parts.pop() ?? '';
  const seeds = parts.flatMap((part) => /^seed-(\d+)$/.exec(part)?.[1] ?? []);
  const names = parts.filter((part) => !/^seed-\d+$/.test(part));
  return { stage, phase, name: [...names, ...seeds.map((seed) => `seed ${seed}`)].join(', ') };
}

function textOf(file: string, from: number, to: number): string {
  const buffer = Buffer.alloc(to - from);
  const fd = openSync(file, 'r');
  try {
    // Logs are ASCII: no letter is cut in two.
    return buffer.subarray(0, readSync(fd, buffer, 0, buffer.length, from)).toString('latin1');
  } finally {
    closeSync(fd);
  }
}

function pointOf(line: string): LossPoint[] {
  try {
    const { step, loss } = JSON.parse(line) as { step: number; loss?: number | null };
    // A step without a finite loss has null, an evaluation has none.
    return typeof loss === 'number' ? [{ step, loss }] : [];
  } catch {
    // Cut off by a kill or a full disk.
    return [];
  }
}
