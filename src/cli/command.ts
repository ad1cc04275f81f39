import { type Command, InvalidArgumentError, Option } from 'commander';
import { WRITTEN_DTYPES, type WrittenDtype } from '../model/safetensors.ts';
import { KV_DTYPES } from '../runtime/kv-blocks.ts';
import { createProgress, type Progress } from './progress.ts';

/** What every command does alike: progress, --json, Ctrl-C. */

export interface Common {
  progress: Progress;
  /** Aborted by Ctrl-C or SIGTERM. */
  signal: AbortSignal;
  json: boolean;
  /** Prints the result: the object with --json, else the text. */
  result(data: unknown, text: string): void;
}

/** Adds --json and --quiet to a command and runs its action with what they stand for. */
export function action<O extends object>(
  command: Command,
  run: (common: Common, options: O, args: string[]) => Promise<void>,
): Command {
  return command
    .option('--json', 'print the result as JSON on standard output')
    .option('--quiet', 'no progress')
    .action(async (...given: unknown[]) => {
      const self = given.pop() as Command;
      const options = self.opts<O & { json?: boolean; quiet?: boolean }>();
      const progress = createProgress({ quiet: options.quiet ?? false });
      const controller = new AbortController();
      const stop = () => {
        // A second Ctrl-C does not wait for the state to be saved.
        if (controller.signal.aborted) process.exit(130);
        progress.log('stopping after this step (Ctrl-C again to stop at once)');
        controller.abort();
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
      } finally {
        progress.stop();
        process.off('SIGINT', stop);
        process.off('SIGTERM', stop);
      }
    });
}

/** The option of commands that run a model: `kvDtype`. */
export function kvDtypeOption(): Option {
  return new Option(
    '--kv-dtype <type>',
    'of the keys and values that attention layers keep: f32, or q8 for full blocks in 8 bits (q8 where weights have few)',
  ).choices(KV_DTYPES);
}

/** Parses a positive whole number given to an option. */
export function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) {
    throw new InvalidArgumentError('Expected a whole number above 0.');
  }
  return value;
}

/** Parses a number of at least 0 given to an option. */
export function decimal(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < 0) {
    throw new InvalidArgumentError('Expected a number of at least 0.');
  }
  return value;
}

/** Parses a number of at least 0 without decimals given to an option, such as a seed. */
export function natural(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isSafeInteger(value) || value < 0) {
    throw new InvalidArgumentError('Expected a whole number of at least 0.');
  }
  return value;
}

/** Parses the type of written weights or of caches given to an option; lower case will do. */
export function weightType(text: string): WrittenDtype {
  const known = WRITTEN_DTYPES.find((dtype) => dtype === text.toUpperCase());
  if (!known) throw new InvalidArgumentError(`Expected one of ${WRITTEN_DTYPES.join(', ')}.`);
  return known;
}
