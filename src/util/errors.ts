/**
 * A mistake in what the user gave (a file, an option, a checkpoint): the message names the value and what was
 * expected, so the command line prints it without a stack trace and exits with code 1.
 */
export class InputError extends Error {
  override name = 'InputError';
}
