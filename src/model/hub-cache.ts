/** The cache that the Hub's Python tools share: files as blobs by hash, snapshots of links to them, listings by commit. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ListFileEntry } from '@huggingface/hub';
import { writeFileAtomic } from '../util/files.ts';
import { Folder } from './folder.ts';
import { cacheFolder } from './hub-settings.ts';
import { isObject } from './json-fields.ts';
import { readJsonObject } from './json-file.ts';
import { placementFile, TOKENIZER_FILES } from './model-files.ts';
import { INDEX, SINGLE, weightFiles } from './read-checkpoint.ts';

/** What becomes part of a path has to be a hash: a commit, a git blob or a SHA-256. */
export const HASH = /^[0-9a-f]{40}([0-9a-f]{24})?$/;

/** The files of a model beside its weights. */
export const SMALL_FILES = new Set(['config.json', 'generation_config.json', INDEX, ...TOKENIZER_FILES]);

interface Snapshot {
  folder: string;
  /** Files of the model that it lacks. */
  missing: string[];
}

export type RepoKind = 'model' | 'dataset';

export function storageOf(repo: string, kind: RepoKind): string {
  return join(cacheFolder(), [`${kind}s`, ...repo.split('/')].join('--'));
}

/** The commit of a branch, tag or commit, as far as the cache knows it. */
export function cachedCommit(storage: string, revision: string): string | undefined {
  const ref = join(storage, 'refs', revision);
  const sha = HASH.test(revision) ? revision : existsSync(ref) ? readFileSync(ref, 'utf8').trim() : '';
  return HASH.test(sha) ? sha : undefined;
}

/**
 * The snapshot of a branch, tag or commit, whole or not; undefined where there is none.
 *
 * @param placement the name of one that belongs to it, too
 */
export function cachedSnapshot(repo: string, revision = 'main', placement?: string): Snapshot | undefined {
  const storage = storageOf(repo, 'model');
  const sha = cachedCommit(storage, revision);
  if (sha === undefined) return undefined;
  const folder = join(storage, 'snapshots', sha);
  if (!existsSync(folder)) return undefined;
  const known = readListing(storage, sha);
  // Without a listing a tokenizer is expected, unless another tool has found that there is none.
  const without = existsSync(join(storage, '.no_exist', sha, 'tokenizer.json'));
  const small = known?.filter((name) => SMALL_FILES.has(name) && name !== INDEX) ?? [
    'config.json',
    ...(without ? [] : ['tokenizer.json']),
  ];
  const placements = placement === undefined ? [] : [placementFile(placement)];
  const wanted = [...small, ...placements, ...weightFiles(new Folder(folder))];
  return { folder, missing: wanted.filter((name) => !existsSync(join(folder, name))) };
}

/** The names of a commit's files, where a tool has kept them. */
export function readListing(storage: string, sha: string): string[] | undefined {
  const path = listingOf(storage, sha);
  if (!existsSync(path)) return undefined;
  const { format_version: version, files } = readJsonObject(path);
  return version === FORMAT && isObject(files) ? Object.keys(files) : undefined;
}

/** Of huggingface_hub's listings (its _tree_cache.py). */
const FORMAT = 1;

function listingOf(storage: string, sha: string): string {
  return join(storage, 'trees', `${sha}.json`);
}

/** Keeps what a commit consists of: it never changes. */
export function writeListing(storage: string, sha: string, entries: readonly ListFileEntry[]): void {
  const files = Object.fromEntries(
    entries.map(({ path, size, oid, lfs, xetHash }) => [
      path,
      {
        size,
        blob_id: oid,
        ...(lfs ? { lfs_sha256: lfs.oid, lfs_size: lfs.size } : {}),
        ...(xetHash ? { xet_hash: xetHash } : {}),
      },
    ]),
  );
  writeFileAtomic(listingOf(storage, sha), JSON.stringify({ format_version: FORMAT, files }, null, 1));
}

/** Of the files of a repository, those that say where the weights are; empty where it has none that are read. */
export function weightsOf(names: readonly string[]): { single: boolean; index: boolean; others: string[] } {
  return {
    single: names.includes(SINGLE),
    index: names.includes(INDEX),
    others: names.filter((name) => /\.(safetensors|bin|pt|pth|gguf|ckpt|msgpack|h5)$/.test(name)),
  };
}
