import { readdirSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { InputError } from '../../util/errors.ts';
import { systemMeaning } from '../../util/system-errors.ts';

/** Which files a corpus has: of the names that people give, which are files, folders and globs. */

/** How a file's bytes become texts. */
type Format = 'text' | 'jsonl' | 'list' | 'parquet';

export interface CorpusFile {
  /** As people know it: by the name that they gave, or below the folder that they gave. */
  path: string;
  format: Format;
  gzip: boolean;
}

const FORMATS: readonly [RegExp, Format][] = [
  [/\.txt$/i, 'text'],
  [/\.(jsonl|ndjson)$/i, 'jsonl'],
  [/\.json$/i, 'list'],
  [/\.parquet$/i, 'parquet'],
];
const KNOWN = '.txt, .jsonl, .ndjson, .json and .parquet, the first four also with .gz';
/** What would otherwise be read as text, and be refused for a byte of it. */
const REFUSED = /\.(zst|zstd|xz|bz2|lz4|zip|7z|tar|tgz|arrow|feather)$/i;

/** Undefined for a name that says nothing. */
function formatOf(path: string): Format | undefined {
  const name = path.replace(/\.gz$/i, '');
  return FORMATS.find(([ending]) => ending.test(name))?.[1];
}

/**
 * The files of a corpus, each once. A folder stands for all files below it whose ending is known, those of others are left
 * out; a file that is named itself, or that a glob finds, is read as plain text if its ending is another.
 *
 * @param given files, folders and globs with `*`, `?`, `**`, `{a,b}` and `[abc]`
 * @throws InputError for what does not exist, for a folder or glob without files, and for endings that are not supported
 */
export function corpusFiles(given: string | readonly string[]): CorpusFile[] {
  const files = new Map<string, CorpusFile>();
  for (const name of [given].flat()) {
    for (const file of filesOf(name)) {
      const real = realPath(file.path);
      if (!files.has(real)) files.set(real, file);
    }
  }
  return [...files.values()];
}

/** A pipe has no place in the file system. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/** Whether a name stands for something that is there. */
export function namesFiles(name: string): boolean {
  try {
    return filesOf(name).length > 0;
  } catch (error) {
    if (error instanceof InputError) return false;
    throw error;
  }
}

/** Whether a name stands for the files of a folder or of a glob, as far as can be seen. */
export function namesSeveral(name: string): boolean {
  try {
    const found = statSync(name, { throwIfNoEntry: false });
    return found?.isDirectory() ?? isGlob(name);
  } catch {
    return false;
  }
}

/** Whether a text comes from a pipe, which only one process can read, once. */
export function isPiped(name: string): boolean {
  const found = statSync(name, { throwIfNoEntry: false });
  return found !== undefined && !found.isFile() && !found.isDirectory();
}

function filesOf(name: string): CorpusFile[] {
  if (name === '') throw new InputError("'' is no name of a text: expected a file, a folder or a glob");
  const found = look(name);
  if (!found && isGlob(name)) {
    const matching = matches(name);
    if (matching.length === 0) throw new InputError(`${name}: no file matches it; expected texts`);
    return matching.flatMap((path) => (look(path)?.isDirectory() ? below(path) : [named(path)]));
  }
  if (!found) throw new InputError(`${name}: no such file or folder; expected a text file`);
  return found.isDirectory() ? below(name) : [named(name)];
}

const isGlob = (name: string) => /[*?{[]/.test(name);

function look(path: string) {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    throw new InputError(
      `${path}: ${systemMeaning(error) ?? (error as Error).message}; expected a text file`,
    );
  }
}

function named(path: string): CorpusFile {
  const [, ending] = REFUSED.exec(path) ?? [];
  if (ending !== undefined) {
    throw new InputError(
      `${path}: .${ending} is not supported; expected ${KNOWN}, or another file of plain text`,
    );
  }
  const format = formatOf(path) ?? 'text';
  const gzip = /\.gz$/i.test(path);
  if (gzip && format === 'parquet') {
    throw new InputError(`${path}: a .parquet file is compressed inside; unpack it`);
  }
  return { path, format, gzip };
}

function below(folder: string): CorpusFile[] {
  const files = texts(folder);
  if (files.length === 0) throw new InputError(`${folder}: it has no texts; expected files with ${KNOWN}`);
  return files;
}

/** @param above where it is and where the folders above it are: a link that leads back to one of them is left out */
function texts(folder: string, above: readonly string[] = []): CorpusFile[] {
  const here = realPath(folder);
  if (above.includes(here)) return [];
  return list(folder).flatMap((name): CorpusFile[] => {
    const path = join(folder, name);
    const found = look(path);
    if (found?.isDirectory()) return texts(path, [...above, here]);
    // A text that is packed in a way that is not supported is refused, not left out.
    return found && formatOf(path.replace(REFUSED, '')) !== undefined ? [named(path)] : [];
  });
}

/** What is hidden is left out, as by a shell. */
function list(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => !name.startsWith('.'))
      .sort();
  } catch (error) {
    throw new InputError(
      `${folder}: ${systemMeaning(error) ?? (error as Error).message}; expected a folder of texts`,
    );
  }
}

/** The paths that a glob matches, in order. */
function matches(glob: string): string[] {
  const all = alternatives(glob).flatMap((pattern) => {
    const parts = pattern.split(/[\\/]+/);
    const absolute = parts[0] === '';
    return walk(absolute ? '/' : '', absolute ? parts.slice(1) : parts);
  });
  return [...new Set(all)].filter((path) => look(path)).sort();
}

/** @param above the folders that `**` has come through: a link that leads back to one of them is left out */
function walk(place: string, [part, ...rest]: readonly string[], above: readonly string[] = []): string[] {
  if (part === undefined) return [place];
  if (part === '') return walk(place, rest);
  const at = (name: string) => (place === '' ? name : join(place, name));
  const inside = () => {
    const here = place === '' ? '.' : place;
    return look(here)?.isDirectory() ? list(here) : [];
  };
  if (part === '**') {
    const here = realPath(place === '' ? '.' : place);
    if (above.includes(here)) return [];
    const deeper = inside().filter((name) => look(at(name))?.isDirectory());
    return [
      ...walk(place, rest),
      ...deeper.flatMap((name) => walk(at(name), ['**', ...rest], [...above, here])),
    ];
  }
  if (!/[*?[]/.test(part)) return look(at(part)) ? walk(at(part), rest) : [];
  const pattern = segmentPattern(part);
  return inside()
    .filter((name) => pattern.test(name) && (rest.length === 0 || look(at(name))?.isDirectory()))
    .flatMap((name) => walk(at(name), rest));
}

/** `{a,b}` written out. */
function alternatives(glob: string): string[] {
  const [all, inner] = /\{([^{}]*)\}/.exec(glob) ?? [];
  if (all === undefined || inner === undefined) return [glob];
  return inner.split(',').flatMap((each) => alternatives(glob.replace(all, () => each)));
}

function segmentPattern(part: string): RegExp {
  const source = part.replace(/\[!?[^\]]+\]|[*?]|[^*?[]+|\[/g, (token) => {
    if (token === '*') return '.*';
    if (token === '?') return '.';
    if (token.length > 1 && token.startsWith('['))
      return token.replace(/^\[!/, '[^').replaceAll('\\', '\\\\');
    return token.replace(/[.+^${}()|[\]\\]/g, '\\$&');
  });
  try {
    return new RegExp(`^${source}$`, 's');
  } catch {
    throw new InputError(`${part} is no pattern of names; expected * ? ** {a,b} [abc] [a-z] [!a-z]`);
  }
}
