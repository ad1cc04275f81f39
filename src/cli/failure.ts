import { GraphError } from '../graph/index.ts';
import { InputError } from '../util/errors.ts';
import { systemMeaning } from '../util/system-errors.ts';

/** Work that was ended by Ctrl-C or SIGTERM; the message says how things stand. */
export class Interrupted extends Error {
  override name = 'AbortError';

  constructor(
    message: string,
    readonly by?: NodeJS.Signals,
  ) {
    super(message);
  }
}

/**
 * Says on standard error why a command ended and returns its exit code: 1 when the input, the machine or postnas was at
 * fault, 130 after Ctrl-C.
 */
export function reportFailure(error: unknown): number {
  const { text, code } = failureOf(error);
  process.stderr.write(`${text}\n`);
  return code;
}

export function failureOf(error: unknown): { text: string; code: number } {
  const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
  if (name === 'AbortError') {
    return { text: error instanceof Interrupted ? message : 'stopped', code: 130 };
  }
  if (error instanceof InputError || error instanceof GraphError) {
    return { text: `postnas: ${message}`, code: 1 };
  }
  const meaning = systemMeaning(error);
  if (meaning !== undefined) {
    const { path } = error as NodeJS.ErrnoException;
    return { text: `postnas: ${path === undefined ? '' : `${path}: `}${meaning}`, code: 1 };
  }
  const text =
    `postnas: ${stack ?? message}\n\nThis is a fault in postnas, not in what it was given. Please report it where you got ` +
    'postnas from, with the command and the lines above.';
  return { text, code: 1 };
}
