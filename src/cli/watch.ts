import { Option } from 'commander';
import type { RunPlan } from '../report/live/status.ts';
import type { StageName, Unit } from '../search/run/stage.ts';
import type { RunObserver } from '../search/run.ts';
import type { OnProgress } from '../util/progress.ts';
import type { Common } from './command.ts';
import { portOption } from './options.ts';

/** The page of a run while it goes on: `--watch` and `--port`. */

export interface WatchOptions {
  watch?: boolean;
  port: number;
}

export function watchOptions(): Option[] {
  return [new Option('--watch', 'show the run on a page of this machine while it goes on'), portOption(7878)];
}

/** What a run tells of itself. */
export interface Watcher {
  onProgress: OnProgress;
  begin: NonNullable<RunObserver['begin']>;
  skip(stage: StageName): void;
  found: NonNullable<RunObserver['found']>;
  unitDone(unit: Unit): void;
}

/**
 * Runs something that is looked at, if that is wanted: the page is there before it begins and closes with it.
 *
 * @param out folder of the run
 * @throws InputError if the port is taken
 */
export async function watched<T>(
  { progress }: Common,
  { watch, port }: WatchOptions,
  out: string,
  plan: RunPlan,
  run: (watcher?: Watcher) => Promise<T>,
): Promise<T> {
  if (!watch) return run();
  // Charting is loaded when it is needed: that takes a second.
  const [{ LiveRun }, { TrainLogs }, { servePage }] = await Promise.all([
    import('../report/live/live-run.ts'),
    import('../report/live/train-logs.ts'),
    import('../report/live/server.ts'),
  ]);
  const live = new LiveRun(plan, new TrainLogs(out));
  let told = '';
  const page = await servePage(
    () => live.page(),
    port,
    (error) => {
      const { message } = error as Error;
      if (message !== told) progress.log(`the page of the run cannot be made: ${message}`);
      told = message;
    },
  );
  progress.log(`the run as a page: ${page.url}`);
  let finished = false;
  try {
    const result = await run(live);
    finished = true;
    return result;
  } finally {
    live.ended(finished ? 'finished' : 'stopped');
    await page.close(finished);
  }
}
