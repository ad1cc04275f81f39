import { type ChildProcess, spawn } from 'node:child_process';
import type { RunProgress } from '../search/run/progress.ts';
import type { Unit } from '../search/run/stage.ts';
import { InputError } from '../util/errors.ts';
import type { OnProgress, ProgressEvent } from '../util/progress.ts';
import type { Common } from './command.ts';

/**
 * Units of a run done by processes of their own, several at a time: on a small model two threads of one process help
 * little, two processes nearly double the rate, and what one of them holds is freed when it ends.
 */

export interface WorkerOptions {
  /** The command line of a unit, after the program: `run recipe.json --unit ID ...` */
  args(unit: Unit): string[];
  /** Processes side by side. */
  jobs: number;
  progress: RunProgress;
  signal: AbortSignal;
}

/**
 * @throws InputError with what a unit wrote to standard error when it failed; the others are stopped before, and
 *   keep their states
 */
export async function performInWorkers(units: readonly Unit[], options: WorkerOptions): Promise<void> {
  const { jobs, progress, signal } = options;
  const waiting = [...units];
  const children = new Set<ChildProcess>();
  const stop = () => {
    for (const child of children) child.kill('SIGINT');
  };
  signal.addEventListener('abort', stop);
  const work = async () => {
    for (let unit = waiting.shift(); unit && !signal.aborted; unit = waiting.shift()) {
      await performOne(unit, options, children);
      progress.finish(unit);
    }
  };
  try {
    const results = await Promise.allSettled(
      Array.from({ length: Math.min(jobs, units.length) }, () =>
        work().catch((error: unknown) => {
          waiting.length = 0;
          stop();
          throw error;
        }),
      ),
    );
    signal.throwIfAborted();
    // The first to fail is to blame: those after it were stopped.
    const failed = results
      .filter((result) => result.status === 'rejected')
      .map(({ reason }) => reason as Error);
    const culprit = failed.find((error) => !(error instanceof Stopped)) ?? failed[0];
    if (culprit) throw culprit;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

class Stopped extends Error {}

function performOne(
  unit: Unit,
  { args, progress }: WorkerOptions,
  children: Set<ChildProcess>,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...process.execArgv, process.argv[1]!, ...args(unit)], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    children.add(child);
    const report = progress.of(unit);
    child.on('message', (event) => report(event as ProgressEvent));
    let said = '';
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-4000);
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      children.delete(child);
      if (code === 0) resolve();
      else if (code === 130 || signal === 'SIGINT') reject(new Stopped(`${unit.id} was stopped`));
      else
        reject(
          new InputError(
            `${unit.id} failed (${signal ?? `exit code ${code}`}): ${said.trim().replace(/^postnas: /, '')}`,
          ),
        );
    });
  });
}

/** How long a worker without a parent may take to save its state, in ms: a run that is begun anew needs its folder. */
const LAST = 5000;

/**
 * Runs a unit in the process of a worker: its parent shows the progress, and when the parent is gone, even before the
 * unit began, the worker stops as by Ctrl-C, and after five seconds at once. In a process without such a parent the progress is shown here.
 */
export async function asWorker(
  { progress }: Common,
  run: (onProgress: OnProgress) => Promise<void>,
): Promise<void> {
  if (!process.send) return run(progress.report);
  const orphaned = () => {
    process.kill(process.pid, 'SIGINT');
    setTimeout(() => process.exit(130), LAST).unref();
  };
  process.on('disconnect', orphaned);
  if (!process.connected) orphaned();
  try {
    await run((event) => process.connected && process.send!(event));
  } finally {
    process.off('disconnect', orphaned);
    if (process.connected) process.disconnect();
  }
}
