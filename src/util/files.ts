import {
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { InputError } from './errors.ts';
import { systemMeaning } from './system-errors.ts';

/**
 * Writes a file beside its place and renames it there, so that a kill or a full disk leaves the last good
 * version. Parts are written in order without being joined in memory. Folders are made as needed. A device or a pipe,
 * such as /dev/null, is written to as it is.
 *
 * @param previous a name under which the version before is kept; at no moment is there none under `path`
 * @throws InputError naming the file when the system refuses: no space left, no permission, no folder
 */
export function writeFileAtomic(
  path: string,
  parts: string | Uint8Array | Iterable<Uint8Array>,
  previous?: string,
): void {
  const beside = isFileOrNothing(path) ? `${path}.${process.pid}.tmp` : path;
  try {
    mkdirSync(dirname(path), { recursive: true });
    const fd = openSync(beside, 'w');
    try {
      const list =
        typeof parts === 'string' ? [Buffer.from(parts)] : parts instanceof Uint8Array ? [parts] : parts;
      for (const part of list) {
        for (let at = 0; at < part.byteLength; ) at += writeSync(fd, part, at, part.byteLength - at);
      }
      if (beside !== path) fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    if (beside !== path) {
      if (previous !== undefined && existsSync(path)) keepAs(previous, path);
      renameSync(beside, path);
    }
  } catch (error) {
    if (beside !== path && existsSync(beside)) rmSync(beside);
    throw explained(error, path);
  }
}

/** A second name for a file; a copy where the file system has one name for each. */
function keepAs(name: string, path: string): void {
  rmSync(name, { force: true });
  try {
    linkSync(path, name);
  } catch {
    copyFileSync(path, name);
  }
}

/** Deletes what other processes left beside a file when they were killed while they wrote it. None may still do so. */
export function removeLeftovers(path: string): void {
  const folder = dirname(path);
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder)) {
    if (!name.startsWith(`${basename(path)}.`)) continue;
    const [, pid] = /^\.(\d+)\.tmp$/.exec(name.slice(basename(path).length)) ?? [];
    if (pid !== undefined && Number(pid) !== process.pid) rmSync(join(folder, name), { force: true });
  }
}

/** The same for all that such processes wrote in a folder and below it: files of the kinds that a run has. */
export function removeLeftoversBelow(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) removeLeftoversBelow(path);
    else {
      const [, pid] = /\.(?:jsonl?|html|safetensors|lock)\.(\d+)\.tmp$/.exec(entry.name) ?? [];
      if (pid !== undefined && Number(pid) !== process.pid) rmSync(path, { force: true });
    }
  }
}

/** As writeFileAtomic, but the event loop turns between the parts, so that `signal` can end a long write. */
export async function writeFileAtomicAsync(
  path: string,
  parts: Iterable<Uint8Array>,
  signal?: AbortSignal,
): Promise<void> {
  const beside = `${path}.${process.pid}.tmp`;
  try {
    await mkdir(dirname(path), { recursive: true });
    const file = await open(beside, 'w');
    try {
      for (const part of parts) {
        signal?.throwIfAborted();
        for (let at = 0; at < part.byteLength; ) {
          // A single write is limited to 2 GB by the system.
          at += (await file.write(part, at, Math.min(part.byteLength - at, 1 << 30))).bytesWritten;
        }
      }
      signal?.throwIfAborted();
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(beside, path);
  } catch (error) {
    if (existsSync(beside)) await rm(beside);
    throw explained(error, path);
  }
}

/** Whether what is written can take the place of what is there. */
function isFileOrNothing(path: string): boolean {
  return !existsSync(path) || statSync(path).isFile();
}

/** Refusals by the system name what was to be written; anything else passes. */
function explained(error: unknown, path: string): unknown {
  const meaning = systemMeaning(error);
  return meaning === undefined ? error : new InputError(`cannot write ${path}: ${meaning}`);
}
