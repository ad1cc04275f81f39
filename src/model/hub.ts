/**
 * Models of the Hugging Face Hub, in the cache that its Python tools use: files as blobs by hash, snapshots of links to
 * them. The environment variables are theirs too: HF_HOME, HF_HUB_CACHE, HF_TOKEN, HF_TOKEN_PATH, HF_ENDPOINT,
 * HF_HUB_OFFLINE (https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables).
 */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, existsSync, readFileSync, statSync } from 'node:fs';
import { copyFile, mkdir, rename, rm, symlink } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import {
  downloadFile,
  getHFHubCachePath,
  getRepoFolderName,
  HubApiError,
  type ListFileEntry,
  listFiles,
  modelInfo,
} from '@huggingface/hub';
import { InputError } from '../util/errors.ts';
import { writeFileAtomic } from '../util/files.ts';
import { isObject } from './json-fields.ts';
import { readJsonObject } from './json-file.ts';
import { type HubOptions, isRepo, TOKENIZER_FILES } from './model-files.ts';

const WEIGHTS = /^model(-\d{5}-of-\d{5})?\.safetensors$/;
const FILES = new Set([
  'config.json',
  'generation_config.json',
  'model.safetensors.index.json',
  ...TOKENIZER_FILES,
]);
/** What becomes part of a path has to be a hash: a commit, a git blob or a SHA-256. */
const HASH = /^[0-9a-f]{40}([0-9a-f]{24})?$/;

/**
 * The folder of a model: the path itself when it is a folder, else the newest cached snapshot of the repository of that
 * name, else its download.
 *
 * @throws InputError when it is neither, or cannot be had
 */
export async function resolveModel(pathOrRepo: string, options: HubOptions = {}): Promise<string> {
  if (existsSync(pathOrRepo)) {
    if (statSync(pathOrRepo).isDirectory()) return pathOrRepo;
    throw new InputError(
      `${pathOrRepo} is a file, a model folder is expected (\`postnas import\` makes one)`,
    );
  }
  if (!isRepo(pathOrRepo)) {
    throw new InputError(`${pathOrRepo} is neither a folder nor the name of a model, as in org/model`);
  }
  return cachedSnapshot(pathOrRepo, options.revision) ?? (await pull(pathOrRepo, options));
}

/**
 * Downloads the configuration, weights, tokenizer and generation settings of a model as they are now; files that the
 * cache has are not loaded again, an interrupted one goes on. Gives the snapshot's folder.
 *
 * @throws InputError when the repository cannot be reached or is no model in safetensors, or a file arrives damaged
 */
export async function pull(repo: string, options: HubOptions = {}): Promise<string> {
  if (!isRepo(repo)) {
    throw new InputError(`${repo} is not the name of a model, as in org/model`);
  }
  const { revision = 'main', onProgress, signal } = options;
  if (revision.split('/').includes('..')) throw new InputError(`${revision} is no branch, tag or commit`);
  if (offline()) {
    const cached = cachedSnapshot(repo, revision);
    if (cached) return cached;
    throw new InputError(`${repo} (${revision}) is not in ${getHFHubCachePath()}, and HF_HUB_OFFLINE is set`);
  }
  const hubUrl = (options.hubUrl ?? endpoint()).replace(/\/+$/, '');
  const access = {
    hubUrl,
    accessToken: token(),
    fetch: ((input, init) => fetch(input, { ...init, signal })) as typeof fetch,
  };
  const storage = storageOf(repo);
  try {
    const { sha } = await modelInfo({ name: repo, revision, additionalFields: ['sha'], ...access });
    const snapshot = join(storage, 'snapshots', checkedHash(repo, sha));
    const wanted: ListFileEntry[] = [];
    for await (const entry of listFiles({ repo, revision: sha, ...access })) {
      if (entry.type === 'file' && (FILES.has(entry.path) || WEIGHTS.test(entry.path))) wanted.push(entry);
    }
    if (
      !wanted.some(({ path }) => WEIGHTS.test(path)) ||
      !wanted.some(({ path }) => path === 'config.json')
    ) {
      throw new InputError(`${repo} (${revision}) on ${hubUrl} has no config.json with model.safetensors`);
    }

    const total = wanted.reduce((sum, { size }) => sum + size, 0);
    let done = 0;
    for (const entry of wanted) {
      const stage = `download ${entry.path}`;
      const link = join(snapshot, entry.path);
      const blob = join(storage, 'blobs', checkedHash(repo, entry.lfs?.oid ?? entry.xetHash ?? entry.oid));
      if (!existsSync(blob)) {
        const remote = await downloadFile({ repo, path: entry.path, revision: sha, ...access });
        if (!remote) throw new InputError(`${repo}: ${entry.path} is listed but not there`);
        let loaded = 0;
        await fetchBlob(remote, blob, `${repo}: ${entry.path}`, entry, signal, (bytes) => {
          loaded += bytes;
          onProgress?.({ stage, done: done + loaded, total, unit: 'bytes' });
        });
      }
      if (!existsSync(link)) await linkFile(blob, link);
      done += entry.size;
      onProgress?.({ stage, done, total, unit: 'bytes' });
    }
    // Last, so that a name never points to a snapshot with files missing.
    if (revision !== sha) writeFileAtomic(join(storage, 'refs', revision), sha);
    return snapshot;
  } catch (error) {
    signal?.throwIfAborted();
    throw explained(error, repo, revision, hubUrl);
  }
}

function offline(): boolean {
  return ['1', 'true', 'yes', 'on'].includes((process.env.HF_HUB_OFFLINE ?? '').toLowerCase());
}

function endpoint(): string {
  return process.env.HF_ENDPOINT || 'https://huggingface.co';
}

/** HF_TOKEN, or the file that `hf auth login` writes. */
function token(): string | undefined {
  const fromEnvironment = process.env.HF_TOKEN?.trim();
  if (fromEnvironment) return fromEnvironment;
  const cacheHome = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  const path =
    process.env.HF_TOKEN_PATH ?? join(process.env.HF_HOME ?? join(cacheHome, 'huggingface'), 'token');
  return existsSync(path) ? readFileSync(path, 'utf8').trim() || undefined : undefined;
}

function storageOf(repo: string): string {
  return join(getHFHubCachePath(), getRepoFolderName({ name: repo, type: 'model' }));
}

/** The cached snapshot of a revision, when every weight file of it is there. */
function cachedSnapshot(repo: string, revision = 'main'): string | undefined {
  const storage = storageOf(repo);
  const ref = join(storage, 'refs', revision);
  const sha = HASH.test(revision) ? revision : existsSync(ref) ? readFileSync(ref, 'utf8').trim() : '';
  const folder = join(storage, 'snapshots', sha);
  if (!HASH.test(sha) || !existsSync(join(folder, 'config.json'))) return undefined;
  if (existsSync(join(folder, 'model.safetensors'))) return folder;
  const index = join(folder, 'model.safetensors.index.json');
  if (!existsSync(index)) return undefined;
  const map = readJsonObject(index).weight_map;
  const files = isObject(map) ? new Set(Object.values(map)) : new Set();
  return files.size > 0 && [...files].every((file) => existsSync(join(folder, String(file))))
    ? folder
    : undefined;
}

function checkedHash(repo: string, hash: string | undefined): string {
  if (hash !== undefined && HASH.test(hash)) return hash;
  throw new InputError(`${repo}: the Hub names ${JSON.stringify(hash)} where a hash is expected`);
}

/** Loads a file beside its place, going on where an earlier attempt ended, and checks what arrived. */
async function fetchBlob(
  remote: Blob,
  path: string,
  what: string,
  { size, lfs }: ListFileEntry,
  signal: AbortSignal | undefined,
  onBytes: (bytes: number) => void,
): Promise<void> {
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

  const arrived = statSync(incomplete).size;
  const damage =
    arrived !== size
      ? `${arrived} bytes arrived, expected ${size}`
      : lfs && (await sha256(incomplete)) !== lfs.oid
        ? `its SHA-256 is not ${lfs.oid}`
        : undefined;
  if (damage) {
    await rm(incomplete);
    throw new InputError(`${what} was damaged on the way: ${damage}; try again`);
  }
  await rename(incomplete, path);
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/** A relative link, so that the cache can be moved; a copy where the system allows no links. */
async function linkFile(blob: string, link: string): Promise<void> {
  await mkdir(dirname(link), { recursive: true });
  await rm(link, { force: true });
  try {
    await symlink(relative(dirname(resolve(link)), resolve(blob)), link);
  } catch {
    await copyFile(blob, link);
  }
}

function explained(error: unknown, repo: string, revision: string, hubUrl: string): unknown {
  if (error instanceof HubApiError && [401, 403, 404].includes(error.statusCode)) {
    return new InputError(
      `${hubUrl} gives no ${repo} (${revision}): ${error.statusCode}. It does not exist, or is private or gated: set HF_TOKEN`,
    );
  }
  if (error instanceof HubApiError)
    return new InputError(`${hubUrl} answers ${error.statusCode} for ${repo}: ${error.message}`);
  if (error instanceof TypeError) {
    const cause = error.cause instanceof Error ? `: ${error.cause.message}` : '';
    return new InputError(`cannot load ${repo} from ${hubUrl}: ${error.message}${cause}`);
  }
  return error;
}
