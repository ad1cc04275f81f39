/** One file from the Hub to a place on disk. */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, existsSync, statSync } from 'node:fs';
import { copyFile, mkdir, rename, rm, symlink } from 'node:fs/promises';
import { dirname, relative, resolve } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import type { ListFileEntry } from '@huggingface/hub';
import { InputError } from '../util/errors.ts';

/**
 * Loads a file beside its place, going on where an earlier attempt ended, and checks what arrived by size and hash.
 *
 * @param what the file, for messages
 * @throws InputError for a file that is not what the Hub says it is; it is not kept
 */
export async function fetchBlob(
  remote: Blob,
  path: string,
  what: string,
  entry: ListFileEntry,
  signal: AbortSignal | undefined,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const { size } = entry;
  const incomplete = `${path}.incomplete`;
  await mkdir(dirname(path), { recursive: true });
  const already = existsSync(incomplete) ? statSync(incomplete).size : 0;
  const start = already < size ? already : 0;
  onBytes(start);
  const counted = new Transform({
    transform(chunk: Uint8Array, _encoding, next) {
      onBytes(chunk.byteLength);
      next(null, chunk);
    },
  });
  const body =
    size === 0 ? Readable.from([]) : Readable.fromWeb(remote.slice(start).stream() as ReadableStream);
  await pipeline(body, counted, createWriteStream(incomplete, { flags: start > 0 ? 'a' : 'w' }), { signal });

  const damage = await damageOf(incomplete, entry);
  if (damage) {
    await rm(incomplete);
    throw new InputError(`${what} was damaged on the way: ${damage}; try again`);
  }
  await rename(incomplete, path);
}

async function damageOf(
  path: string,
  { size, oid, lfs, xetHash }: ListFileEntry,
): Promise<string | undefined> {
  const arrived = statSync(path).size;
  if (arrived !== size) return `${arrived} bytes arrived, expected ${size}`;
  if (lfs) return (await hashOf(path, 'sha256')) === lfs.oid ? undefined : `its SHA-256 is not ${lfs.oid}`;
  if (xetHash) return undefined;
  // Small files are objects of git: their id is the hash of a header and the content.
  return (await hashOf(path, 'sha1', `blob ${size}\0`)) === oid ? undefined : `its git hash is not ${oid}`;
}

async function hashOf(path: string, algorithm: string, before = ''): Promise<string> {
  const hash = createHash(algorithm).update(before);
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/** A relative link, so that the cache can be moved; a copy where the system allows no links. */
export async function linkFile(blob: string, link: string): Promise<void> {
  await mkdir(dirname(link), { recursive: true });
  await rm(link, { force: true });
  try {
    await symlink(relative(dirname(resolve(link)), resolve(blob)), link);
  } catch {
    await copyFile(blob, link);
  }
}
