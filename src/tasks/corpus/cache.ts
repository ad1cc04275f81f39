import { homedir } from 'node:os';
import { join } from 'node:path';
import { InputError } from '../../util/errors.ts';
import { keep, recall } from '../../util/store/kept.ts';

/**
 * What is known of large texts is kept in the user's cache folder, so that 50 GB are not read again at each start. A file
 * with the same path, size and modification time is taken for the same: what changes a file and keeps all three is not
 * noticed. Small files are read anew.
 */

/** Bytes from which on it is worth it: below, a file is read in about a second. */
const LARGE = 1 << 26;

/** Of the way texts are read: what was kept by another way is not used. */
export const FORMAT = 1;

/** `$XDG_CACHE_HOME/postnas/texts`, by default below ~/.cache. */
export function cacheFolder(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'postnas', 'texts');
}

/** What `make` gives of files with so many bytes, kept if they are many. */
export async function rememberOf<T>(
  kind: string,
  identity: string,
  bytes: number,
  make: () => Promise<T>,
): Promise<T> {
  if (bytes < LARGE) return make();
  const path = join(cacheFolder(), `${kind}-${identity}.json`);
  const kept = recall<T>(path, { identity });
  if (kept !== undefined) return kept;
  const value = await make();
  try {
    keep(path, { identity }, value);
  } catch (error) {
    // Where nothing can be kept, it is found out again next time.
    if (!(error instanceof InputError)) throw error;
  }
  return value;
}
