import { InputError } from '../errors.ts';

/** Work was found that was done with other settings: it is not used, and not touched. */
export class OtherWorkError extends InputError {
  /**
   * @param path the file that keeps it
   * @param differences a line for each setting: 'rows: 8 -> 4'
   */
  constructor(
    readonly path: string,
    readonly differences: readonly string[],
  ) {
    super(
      `${path} was saved by a run with other settings:${differences.map((line) => `\n  ${line}`).join('')}\n` +
        'Delete it to begin anew, give the settings it was begun with, or another folder.',
    );
  }
}
