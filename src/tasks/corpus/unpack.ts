import { createHash } from 'node:crypto';
import { createReadStream, existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { InputError } from '../../util/errors.ts';
import { hashOf } from '../../util/store/identity.ts';
import { systemMeaning } from '../../util/system-errors.ts';
import { cacheFolder, FORMAT, rememberOf } from './cache.ts';
import { withFile } from './file.ts';
import type { CorpusFile } from './names.ts';
import { parquetLines } from './parquet.ts';

/**
 * Files that can be read from any place. Plain text and lines of JSON are such files; what is packed, a list in JSON, and
 * what comes from a pipe are written to the user's cache folder as one of the two, once for each content.
 */

interface Seekable {
  path: string;
  /** Lines of JSON; otherwise plain text. */
  records: boolean;
}

/** Bytes of a list in JSON, which is parsed as a whole. */
const LARGEST_LIST = 2 ** 29 - 2 ** 24;

/**
 * @param field the one with the text, of which a Parquet file has the values apart
 * @throws InputError for what cannot be read or unpacked, and where the cache folder cannot be written to
 */
export async function seekable(
  file: CorpusFile,
  field: string | undefined,
  signal: AbortSignal | undefined,
): Promise<Seekable> {
  const { path, format, gzip } = file;
  const records = format !== 'text';
  if (!statSync(path).isFile()) {
    const read = piped.get(path) ?? unpacked(file, field, undefined, signal);
    piped.set(path, read);
    return read;
  }
  const lines = format === 'jsonl' || (format === 'list' && !gzip && !(await isList(path)));
  if (!gzip && (format === 'text' || lines)) return { path, records };
  return unpacked(file, field, await contentOf(path, signal), signal);
}

/** What came from pipes: they can be read only once. */
const piped = new Map<string, Promise<Seekable>>();

/** Lines of JSON are often called .json, too. */
async function isList(path: string): Promise<boolean> {
  return withFile(path, path, async (file) => !/^\uFEFF?\s*\{/.test(file.head(1 << 10).toString('utf8')));
}

/** A hash of all bytes of a file. */
function contentOf(path: string, signal: AbortSignal | undefined): Promise<string> {
  return withFile(path, path, async ({ bytes, modified }) =>
    rememberOf('content', hashOf(FORMAT, path, bytes, modified), bytes, async () => {
      const hash = createHash('sha256');
      for await (const block of reading(path, false)) {
        signal?.throwIfAborted();
        hash.update(block);
      }
      return hash.digest('hex');
    }),
  );
}

/** @param content undefined for what can be read only once */
async function unpacked(
  file: CorpusFile,
  field: string | undefined,
  content: string | undefined,
  signal: AbortSignal | undefined,
): Promise<Seekable> {
  const { path, format } = file;
  const records = format !== 'text';
  const ending = records ? 'jsonl' : 'txt';
  const placeOf = (identity: string) => join(cacheFolder(), `unpacked-${identity}.${ending}`);
  const known = content === undefined ? undefined : placeOf(hashOf(FORMAT, content, format, field ?? null));
  if (known !== undefined && existsSync(known)) return { path: known, records };
  const beside = placeOf(`${process.pid}-${hashOf(path)}`);
  const hash = createHash('sha256');
  try {
    // Texts may be private.
    mkdirSync(dirname(beside), { recursive: true, mode: 0o700 });
    const out = await open(beside, 'w');
    try {
      for await (const part of inLargeParts(contents(file, field))) {
        signal?.throwIfAborted();
        hash.update(part);
        await out.writeFile(part);
      }
    } finally {
      await out.close();
    }
    const place = known ?? placeOf(hashOf(FORMAT, hash.digest('hex')));
    renameSync(beside, place);
    return { path: place, records };
  } catch (error) {
    if (existsSync(beside)) rmSync(beside);
    throw explained(error, path, beside);
  }
}

/** Lines by the thousand, which are written faster. */
async function* inLargeParts(parts: AsyncIterable<Uint8Array | string>): AsyncGenerator<Uint8Array | string> {
  let lines = '';
  for await (const part of parts) {
    if (typeof part !== 'string') yield part;
    else lines += part;
    if (lines.length < 1 << 20) continue;
    yield lines;
    lines = '';
  }
  yield lines;
}

function explained(error: unknown, path: string, beside: string): unknown {
  const { code, path: at } = error as NodeJS.ErrnoException;
  if (code?.startsWith('Z_')) {
    return new InputError(`${path}: ${(error as Error).message}; expected a file packed by gzip`);
  }
  const meaning = systemMeaning(error);
  if (meaning === undefined) return error;
  if (at === path) return new InputError(`${path}: ${meaning}; expected a text file`);
  return new InputError(
    `cannot unpack ${path} to ${dirname(beside)}: ${meaning}; XDG_CACHE_HOME names another cache folder`,
  );
}

/** Plain text, or lines of JSON. */
async function* contents(
  { path, format, gzip }: CorpusFile,
  field: string | undefined,
): AsyncGenerator<Uint8Array | string> {
  if (format === 'parquet') {
    yield* parquetLines(path, path, field);
  } else if (format === 'list') {
    yield* listLines(path, reading(path, gzip));
  } else {
    yield* reading(path, gzip);
  }
}

function reading(path: string, gzip: boolean): Readable {
  const stream = createReadStream(path, { highWaterMark: 1 << 20 });
  if (!gzip) return stream;
  const unpacked = createGunzip();
  stream.on('error', (error) => unpacked.destroy(error));
  return stream.pipe(unpacked);
}

/** The items of a list on lines of their own. */
async function* listLines(path: string, bytes: Readable): AsyncGenerator<Uint8Array | string> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of bytes as AsyncIterable<Buffer>) {
    parts.push(part);
    length += part.length;
    if (length > LARGEST_LIST) {
      throw new InputError(
        `${path}: a list in JSON of more than ${Math.floor(LARGEST_LIST / 1e6)} MB; expected a record on each line (.jsonl)`,
      );
    }
  }
  const whole = Buffer.concat(parts);
  const text = whole.toString('utf8').replace(/^\uFEFF/, '');
  // Lines of JSON by another name, packed.
  if (/^\s*\{/.test(text)) {
    yield whole;
    return;
  }
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch (error) {
    throw new InputError(`${path}: ${(error as Error).message}; expected a list of records in JSON`);
  }
  if (!Array.isArray(list)) throw new InputError(`${path}: expected a list of records in JSON`);
  for (const item of list) yield `${JSON.stringify(item)}\n`;
}
