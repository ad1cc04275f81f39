import { accessSync, constants, type Stats, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { InputError } from '../util/errors.ts';
import { systemMeaning } from '../util/system-errors.ts';

/**
 * Paths that options and arguments name are looked at before any work is begun: whether there is such a file or folder,
 * or whether it can be made.
 *
 * @param name what the message begins with: '--data', or '<file>' for an argument
 * @param expected what belongs there: 'a text file', 'a folder'
 */
type PathParser = (name: string, expected: string) => (path: string) => string;

/** A file that is read: a device or a pipe will do. */
export const fileToRead: PathParser = (name, expected) => (path) => {
  const found = existing(name, path, expected);
  if (found.isDirectory()) refuse(name, path, 'it is a folder', expected);
  check(name, path, expected, () => accessSync(path, constants.R_OK));
  return path;
};

/** A folder that is read. */
export const folderToRead: PathParser = (name, expected) => (path) => {
  if (!existing(name, path, expected).isDirectory()) refuse(name, path, 'it is a file', expected);
  check(name, path, expected, () => accessSync(path, constants.R_OK | constants.X_OK));
  return path;
};

/** A file or a folder that is read. */
export const fileOrFolderToRead: PathParser = (name, expected) => (path) => {
  existing(name, path, expected);
  check(name, path, expected, () => accessSync(path, constants.R_OK));
  return path;
};

/** A file that is written; it may be there or not, as the folders above it. */
export const fileToWrite: PathParser = (name, expected) => (path) => {
  const found = lookAt(name, path, expected);
  if (path.endsWith('/') || found?.isDirectory()) refuse(name, path, 'it is a folder', expected);
  checkPlace(name, found ? path : dirname(resolve(path)), expected, !!found);
  return path;
};

/** A folder that is written to; it may be there or not, as those above it. */
export const folderToWrite: PathParser = (name, expected) => (path) => {
  const found = lookAt(name, path, expected);
  if (found && !found.isDirectory()) refuse(name, path, 'it is a file', expected);
  checkPlace(name, resolve(path), expected, false);
  return path;
};

/** The nearest folder that is there must take new files. */
function checkPlace(name: string, path: string, expected: string, itself: boolean): void {
  let place = path;
  for (; !itself && !lookAt(name, place, expected); place = dirname(place));
  if (!itself && !statSync(place).isDirectory()) refuse(name, path, `${place} is a file`, expected);
  check(name, path, expected, () => accessSync(place, constants.W_OK));
}

function existing(name: string, path: string, expected: string): Stats {
  return lookAt(name, path, expected) ?? refuse(name, path, 'no such file or folder', expected);
}

/** Undefined where nothing is. */
function lookAt(name: string, path: string, expected: string): Stats | undefined {
  if (path === '') refuse(name, "''", 'it is empty', expected);
  return check(name, path, expected, () => statSync(path, { throwIfNoEntry: false }));
}

function check<T>(name: string, path: string, expected: string, look: () => T): T {
  try {
    return look();
  } catch (error) {
    const meaning = systemMeaning(error);
    if (meaning === undefined) throw error;
    return refuse(name, path, meaning, expected);
  }
}

function refuse(name: string, path: string, what: string, expected: string): never {
  throw new InputError(`${name} ${path}: ${what}; expected ${expected}`);
}
