import { isUtf8 } from 'node:buffer';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { InputError } from '../../util/errors.ts';
import { systemMeaning } from '../../util/system-errors.ts';

/** Files that are read in part, from any place, in bounded memory. */

/** What tells a file from what it was: of another content with the same size and time nothing is known. */
export interface FileState {
  bytes: number;
  /** Modification time in nanoseconds. */
  modified: string;
}

export interface OpenFile extends FileState {
  /** As people know it. */
  name: string;
  /** Its first bytes. */
  head(count: number): Buffer;
  /** What is in it from a byte on, in blocks of their own memory. */
  blocks(from: number): Generator<Buffer>;
}

/** Bytes that are read at once: few first, since often little is wanted. */
const FIRST_BLOCK = 1 << 15;
const LARGEST_BLOCK = 1 << 18;

/**
 * Opens a file for as long as `use` takes.
 *
 * @param onBytes is told of everything that is read as blocks
 */
export async function withFile<T>(
  path: string,
  name: string,
  use: (file: OpenFile) => Promise<T>,
  onBytes?: (bytes: Buffer) => void,
): Promise<T> {
  const { file, close } = openFile(path, name, onBytes);
  try {
    return await use(file);
  } finally {
    close();
  }
}

/** @throws InputError where they differ */
export function checkSame(now: FileState, before: FileState, name: string): void {
  if (now.bytes === before.bytes && now.modified === before.modified) return;
  const how =
    now.bytes === before.bytes ? 'it was written to' : `it had ${before.bytes} bytes and has ${now.bytes}`;
  throw new InputError(`${name} was changed while it was in use: ${how}; start again with a text that stays`);
}

const unreadable = (error: unknown, name: string) =>
  new InputError(`${name}: ${systemMeaning(error) ?? (error as Error).message}; expected a text file`);

/** @throws InputError for a file that cannot be read */
export function openFile(
  path: string,
  name: string,
  onBytes?: (bytes: Buffer) => void,
): { file: OpenFile; close: () => void } {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    throw unreadable(error, name);
  }
  const file: OpenFile = {
    ...stateOf(fd),
    name,
    head(count) {
      const bytes = Buffer.alloc(count);
      return bytes.subarray(0, readAt(fd, name, bytes, 0));
    },
    *blocks(from) {
      for (let at = from, size = FIRST_BLOCK; ; size = Math.min(2 * size, LARGEST_BLOCK)) {
        const block = Buffer.allocUnsafe(size);
        const count = readAt(fd, name, block, at);
        if (count === 0) return;
        at += count;
        onBytes?.(block.subarray(0, count));
        yield block.subarray(0, count);
      }
    },
  };
  return { file, close: () => closeSync(fd) };
}

function readAt(fd: number, name: string, block: Buffer, at: number): number {
  try {
    return readSync(fd, block, 0, block.length, at);
  } catch (error) {
    throw unreadable(error, name);
  }
}

function stateOf(fd: number): FileState {
  const { size, mtimeNs } = fstatSync(fd, { bigint: true });
  return { bytes: Number(size), modified: String(mtimeNs) };
}

/** @throws InputError for bytes that are no UTF-8, saying where */
export function decode(bytes: Buffer, file: OpenFile, at: number): string {
  if (isUtf8(bytes)) return bytes.toString('utf8');
  let good = 0;
  for (let width = 0; ; good += width) {
    const lead = bytes[good]!;
    width = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (!isUtf8(bytes.subarray(good, good + width))) break;
  }
  const wide = at + good < 2 && [0xfe, 0xff].includes(bytes[0]!) ? ' (it looks like UTF-16)' : '';
  throw new InputError(`${file.name}: the byte at ${at + good} is no UTF-8${wide}; expected text in UTF-8`);
}

/** The last place up to `end` where no character is cut through, in what is UTF-8. */
export function boundary(bytes: Buffer, end: number): number {
  if (end >= bytes.length) return bytes.length;
  let at = end;
  while (at > 0 && end - at < 3 && (bytes[at]! & 0xc0) === 0x80) at--;
  return (bytes[at]! & 0xc0) === 0x80 ? end : at;
}

/** Where the text begins: behind a byte order mark, if there is one. */
export function beginning(file: OpenFile): number {
  return file.head(3).equals(Buffer.from([0xef, 0xbb, 0xbf])) ? 3 : 0;
}
