import { relative } from 'node:path';
import type { Command } from 'commander';
import { OtherStagesError } from '../search/run/check-kept.ts';
import { InputError } from '../util/errors.ts';
import { checkFree } from '../util/folder-lock.ts';
import { OtherWorkError } from '../util/store/other-work.ts';
import { Interrupted } from './failure.ts';
import { resolveAliases } from './options.ts';
import { createProgress, type Progress } from './progress.ts';
import { checkOwn, type Leftovers, removeRun } from './restart.ts';

/** What every command does alike: progress, --json, Ctrl-C, and for trainings --restart. */

export interface Common {
  progress: Progress;
  /** Aborted by Ctrl-C or SIGTERM. */
  signal: AbortSignal;
  json: boolean;
  /** Prints the result: the object with --json, else the text. */
  result(data: unknown, text: string): void;
}

/** How a command ends by Ctrl-C. */
export interface Stopping {
  /** What is said at once. */
  first?: string;
  /** What is said when it has stopped. */
  end: string;
}

const STOPPED: Stopping = { end: 'stopped' };

const RESUMES: Stopping = {
  first: 'stopping after this step (Ctrl-C again to stop at once)',
  end: 'stopped; the last good state is kept: run the same command again to go on',
};

interface Printing {
  json?: boolean;
  quiet?: boolean;
}

/** Adds --json and --quiet to a command and runs its action with what they stand for. */
export function action<O extends object>(
  command: Command,
  run: (common: Common, options: O, args: string[]) => Promise<void>,
  stopping: Stopping = STOPPED,
): Command {
  return command
    .option('--json', 'print the result as JSON on standard output')
    .option('--quiet', 'show no progress')
    .action(async (...given: unknown[]) => {
      const self = given.pop() as Command;
      resolveAliases(self);
      const options = self.opts<O & Printing>();
      const progress = createProgress({ quiet: options.quiet ?? false });
      const controller = new AbortController();
      const stop = (signal: NodeJS.Signals) => {
        // A second Ctrl-C does not wait for the state to be saved.
        if (controller.signal.aborted) process.exit(130);
        if (stopping.first) progress.log(stopping.first);
        controller.abort(new Interrupted(stopping.end, signal));
      };
      process.on('SIGINT', stop);
      process.on('SIGTERM', stop);
      try {
        await run(
          {
            progress,
            signal: controller.signal,
            json: options.json ?? false,
            result: (data, text) => {
              progress.stop();
              process.stdout.write(options.json ? `${JSON.stringify(data, null, 2)}\n` : `${text}\n`);
            },
          },
          options,
          self.args,
        );
      } catch (error) {
        if ((error as Error).name !== 'AbortError' || error instanceof Interrupted) throw error;
        throw new Interrupted(stopping.end);
      } finally {
        progress.stop();
        process.off('SIGINT', stop);
        process.off('SIGTERM', stop);
      }
    });
}

interface Resuming<O> {
  writes?(options: O): boolean;
  restarted?(options: O): Leftovers | undefined;
}

/**
 * The same for a command that keeps its states in a folder and goes on from them when it is run again: adds --restart.
 *
 * @param leftovers the files that the command writes into its folder
 * @param folderOf that folder; it is refused before anything else when a process is at work in it, or when another
 *   command has written it
 * @param run calls `begin` when its options are known to be good, so that a mistake in them loses nothing: with --restart
 *   that removes the earlier run
 * @param more `writes` says whether the command takes the folder for itself, with these options; `restarted` which files
 *   its options want removed though --restart is not given
 */
export function resumingAction<O extends object>(
  command: Command,
  leftovers: Leftovers | ((options: O, args: string[]) => Leftovers),
  folderOf: (options: O, args: string[]) => string,
  run: (common: Common, options: O, args: string[], begin: () => void) => Promise<void>,
  { writes = () => true, restarted = () => undefined }: Resuming<O> = {},
): Command {
  command.option('--restart', 'remove what this command left in the folder of --out, and begin anew');
  return action<O & { restart?: boolean }>(
    command,
    async (common, options, args) => {
      const out = folderOf(options, args);
      const own = typeof leftovers === 'function' ? leftovers(options, args) : leftovers;
      if (writes(options)) {
        checkFree(out);
        checkOwn(out, own);
      }
      const begin = () => {
        const removed = options.restart ? own : restarted(options);
        if (!removed) return;
        // Someone may have come since.
        checkFree(out);
        removeRun(out, removed, common.progress.log);
      };
      try {
        await run(common, options, args, begin);
      } catch (error) {
        if (error instanceof OtherWorkError) throw refusal(out, error);
        throw error;
      }
    },
    RESUMES,
  );
}

/** What was found in a run's folder, what differs, and what can be done about it with the least loss. */
function refusal(out: string, error: OtherWorkError): InputError {
  const lines = error.differences.map((line) => `\n  ${line}`).join('');
  if (!(error instanceof OtherStagesError)) {
    const file = relative(out, error.path);
    return new InputError(
      `${out} holds a run with other settings (${file}):${lines}\n` +
        'Give another --out, or --restart to remove that run and begin anew.',
    );
  }
  const { stages, fitting } = error;
  const kept =
    fitting.length > 0
      ? `\n--restart-from ${stages.join(',')} removes the work of that and of the stages that use it, and keeps ` +
        `${fitting.join(', ')}.`
      : '';
  return new InputError(
    `${out} holds a run with other settings:${lines}${kept}\n` +
      'Give another --out, or --restart to remove that run and begin anew.',
  );
}
