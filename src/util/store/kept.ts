import { existsSync, readFileSync, renameSync } from 'node:fs';
import { removeLeftovers, writeFileAtomic } from '../files.ts';
import { differences } from './differences.ts';
import { canonical, hashOf, type Identity, without } from './identity.ts';
import { OtherWorkError } from './other-work.ts';

/**
 * Work that is kept in a file with what it depends on. One policy for all: what fits is used; what does not is neither
 * used nor touched, but refused with the fields that differ; what is damaged is said and laid aside.
 */

/** Of the file's layout. */
const FORMAT = 'postnas-kept-1';

interface Kept {
  format: typeof FORMAT;
  identity: Identity;
  /** Of identity and value. */
  check: string;
  /** Absent while the work goes on. */
  value?: unknown;
}

/** Is told of a damaged file. */
type OnNotice = (line: string) => void;

interface RememberOptions {
  onNotice?: OnNotice | undefined;
  /** Whether what `make` left elsewhere, such as a model, is still there: if not, it is made again. */
  isWhole?: () => boolean;
}

/**
 * What `make` gives, kept in a file: made once, then read.
 *
 * @param identity everything it depends on
 * @throws OtherWorkError when the file keeps work of another identity
 */
export async function remember<T>(
  path: string,
  identity: Identity,
  make: () => Promise<T>,
  { onNotice, isWhole = () => true }: RememberOptions = {},
): Promise<T> {
  const kept = recall<T>(path, identity, onNotice);
  if (kept !== undefined && isWhole()) return kept;
  if (kept !== undefined) onNotice?.(`${path}: what belongs to it is not there any more: made anew`);
  const value = await make();
  keep(path, identity, value);
  return value;
}

/** Keeps a value of plain data with what it depends on, and a check sum, in place of what the file keeps. */
export function keep(path: string, identity: Identity, value: unknown): void {
  removeLeftovers(path);
  write(path, identity, value);
}

function write(path: string, identity: Identity, value: unknown): void {
  const kept: Kept = { format: FORMAT, identity, check: hashOf(identity, value), value };
  writeFileAtomic(path, `${JSON.stringify(kept)}\n`);
}

/**
 * Says in a file that work on this identity has begun, unless the file says so already.
 *
 * @throws OtherWorkError when it keeps work of another
 */
export function begin(path: string, identity: Identity, onNotice?: OnNotice): void {
  // Others may do the same at this moment: what they write beside it stays.
  if (!read(path, identity, onNotice)) write(path, identity, undefined);
}

/**
 * What was kept: undefined if nothing was, or if the work was only begun.
 *
 * @throws OtherWorkError when the file keeps work of another identity
 */
export function recall<T>(path: string, identity: Identity, onNotice?: OnNotice): T | undefined {
  return read(path, identity, onNotice)?.value as T | undefined;
}

function read(path: string, identity: Identity, onNotice?: OnNotice): Kept | undefined {
  if (!existsSync(path)) return undefined;
  const text = readFileSync(path, 'utf8');
  try {
    const kept = parsed(path, text);
    if (kept.check !== hashOf(kept.identity, kept.value)) throw new Error('its check sum is another');
    if (canonical(kept.identity) === canonical(identity)) return kept;
    if (isPartOf(kept.identity, identity)) return { ...kept, value: undefined };
    throw new OtherWorkError(path, differences(kept.identity, identity));
  } catch (error) {
    if (error instanceof OtherWorkError) throw error;
    renameSync(path, `${path}.damaged`);
    onNotice?.(
      `${path} is damaged (${(error as Error).message}) and laid aside as ${path}.damaged: made anew`,
    );
    return undefined;
  }
}

/**
 * How the work that a file keeps differs, without a word on damage, which is for whoever reads it.
 *
 * @param except fields that make no difference
 * @returns a line for each field; undefined if nothing is there that could be read
 */
export function misfit(
  path: string,
  identity: Identity,
  except: readonly string[] = [],
): string[] | undefined {
  try {
    const { identity: all } = parsed(path, readFileSync(path, 'utf8'));
    const [kept, now] = [without(all, ...except), without(identity, ...except)];
    return isPartOf(kept, now) ? [] : differences(kept, now);
  } catch (error) {
    return error instanceof OtherWorkError ? [...error.differences] : undefined;
  }
}

/**
 * Whether the same is to be done with more seeds: what was put together of the earlier ones is no answer then, but their
 * work is part of it, and nothing is lost when the whole takes its place.
 */
function isPartOf(kept: Identity, identity: Identity): boolean {
  const [were, are] = [kept.seeds, identity.seeds];
  if (!Array.isArray(were) || !Array.isArray(are) || !were.every((seed) => are.includes(seed))) return false;
  return canonical(without(kept, 'seeds')) === canonical(without(identity, 'seeds'));
}

/** @throws OtherWorkError for a file of another version, any other Error for one that is damaged */
function parsed(path: string, text: string): Kept {
  const kept = JSON.parse(text) as Partial<Record<keyof Kept, unknown>> | null;
  const { format, identity } = kept ?? {};
  if (format === FORMAT && typeof identity === 'object' && identity !== null) return kept as Kept;
  // Up to version 0.1.0 a file had a hash of what it depends on, and no format.
  const earlier = format === undefined && typeof identity === 'string';
  const other = typeof format === 'string' && format !== FORMAT && /^postnas-kept-\d+$/.test(format);
  if (!earlier && !other) throw new Error('it is no kept work');
  throw new OtherWorkError(path, [
    earlier
      ? 'it is of an earlier version of postnas, which did not say what its work depends on'
      : `it is of another version of postnas (${String(format)}, this one has ${FORMAT})`,
  ]);
}
