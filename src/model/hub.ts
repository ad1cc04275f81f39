/** Models of the Hugging Face Hub, in the cache that its Python tools use. */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { downloadFile, HubApiError, type ListFileEntry, listFiles, modelInfo } from '@huggingface/hub';
import { InputError } from '../util/errors.ts';
import { writeFileAtomic } from '../util/files.ts';
import { Folder } from './folder.ts';
import { cachedSnapshot, HASH, SMALL_FILES, storageOf, weightsOf, writeListing } from './hub-cache.ts';
import { fetchBlob, linkFile } from './hub-download.ts';
import { accessToken, cacheFolder, endpoint, offlineBy } from './hub-settings.ts';
import { type HubOptions, isRepo } from './model-files.ts';
import { INDEX, SINGLE, weightFiles } from './read-checkpoint.ts';

/**
 * The folder of a model: the path itself when it is a folder, else the newest cached snapshot of the repository of that
 * name, else its download. A snapshot that lacks files is completed.
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
  checkRevision(options.revision);
  const cached = cachedSnapshot(pathOrRepo, options.revision);
  if (cached?.missing.length === 0) return cached.folder;
  try {
    return await pull(pathOrRepo, options);
  } catch (error) {
    // Most names of this form that the Hub does not give are paths with a slip.
    if (!(error instanceof NotGiven) || cached) throw error;
    throw new InputError(`there is no folder ${pathOrRepo} here, and ${error.message}`, { cause: error });
  }
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
  const { revision = 'main' } = options;
  checkRevision(revision);
  const variable = offlineBy();
  if (variable) return offline(repo, revision, variable);
  const hubUrl = options.hubUrl?.replace(/\/+$/, '') ?? endpoint();
  try {
    return await new Download(repo, hubUrl, options).run(revision);
  } catch (error) {
    options.signal?.throwIfAborted();
    throw explained(error, repo, revision, hubUrl);
  }
}

function checkRevision(revision = 'main'): void {
  if (revision.split(/[/\\]/).includes('..')) throw new InputError(`${revision} is no branch, tag or commit`);
}

function offline(repo: string, revision: string, variable: string): string {
  const cached = cachedSnapshot(repo, revision);
  if (cached?.missing.length === 0) return cached.folder;
  const lacking = cached ? ` as a whole: it lacks ${cached.missing.join(', ')}` : '';
  throw new NotGiven(`${repo} (${revision}) is not in ${cacheFolder()}${lacking}, and ${variable} is set`);
}

/** The files of one commit, on their way into the cache. */
class Download {
  private readonly storage: string;
  private readonly access;

  constructor(
    private readonly repo: string,
    hubUrl: string,
    private readonly options: HubOptions,
  ) {
    const { signal } = options;
    this.storage = storageOf(repo);
    this.access = {
      hubUrl,
      accessToken: accessToken(),
      fetch: ((input, init) => fetch(input, { ...init, signal })) as typeof fetch,
    };
  }

  async run(revision: string): Promise<string> {
    const { repo, access, storage } = this;
    const { sha } = await modelInfo({ name: repo, revision, additionalFields: ['sha'], ...access });
    const snapshot = join(storage, 'snapshots', this.checkedHash(sha));
    const files = new Map<string, ListFileEntry>();
    for await (const entry of listFiles({ repo, revision: sha, ...access })) {
      if (entry.type === 'file') files.set(entry.path, entry);
    }
    const { single, index, others } = weightsOf([...files.keys()]);
    if (!files.has('config.json') || !(single || index)) {
      const hint = others.length > 0 ? `; it has ${others.join(', ')}, which are not read` : '';
      throw new InputError(
        `${repo} (${revision}) on ${access.hubUrl} has no config.json with ${SINGLE}, or with ${INDEX}${hint}`,
      );
    }
    const wanted = [...files.values()].filter(
      ({ path }) => SMALL_FILES.has(path) && !(single && path === INDEX),
    );
    // Which files have the weights, the index says, whatever they are called.
    if (!single) await this.fetch(files.get(INDEX)!, sha, snapshot);
    for (const name of single ? [SINGLE] : weightFiles(new Folder(snapshot))) {
      const entry = files.get(name);
      if (!entry) throw new InputError(`${repo} (${revision}): ${INDEX} names ${name}, which is not there`);
      wanted.push(entry);
    }
    const total = wanted.reduce((sum, { size }) => sum + size, 0);
    let done = 0;
    for (const entry of wanted) {
      const stage = `download ${entry.path}`;
      const report = (loaded: number) =>
        this.options.onProgress?.({ stage, done: done + loaded, total, unit: 'bytes' });
      await this.fetch(entry, sha, snapshot, report);
      report(entry.size);
      done += entry.size;
    }
    writeListing(storage, sha, [...files.values()]);
    // Last, so that a name never points to a snapshot with files missing.
    if (revision !== sha) writeFileAtomic(join(storage, 'refs', revision), sha);
    return snapshot;
  }

  /** @param report is told of the bytes that are there */
  private async fetch(
    entry: ListFileEntry,
    sha: string,
    snapshot: string,
    report?: (bytes: number) => void,
  ): Promise<void> {
    const { repo, access, storage } = this;
    const { path } = entry;
    const blob = join(storage, 'blobs', this.checkedHash(entry.lfs?.oid ?? entry.xetHash ?? entry.oid));
    if (!existsSync(blob)) {
      const remote = await downloadFile({ repo, path, revision: sha, ...access });
      if (!remote) throw new InputError(`${repo}: ${path} is listed but not there`);
      let loaded = 0;
      await fetchBlob(remote, blob, `${repo}: ${path}`, entry, this.options.signal, (bytes) => {
        loaded += bytes;
        report?.(loaded);
      });
    }
    const link = join(snapshot, path);
    if (!existsSync(link)) await linkFile(blob, link);
  }

  private checkedHash(hash: string | undefined): string {
    if (hash !== undefined && HASH.test(hash)) return hash;
    throw new InputError(`${this.repo}: the Hub names ${JSON.stringify(hash)} where a hash is expected`);
  }
}

/** The Hub does not have the model, or is out of reach. */
class NotGiven extends InputError {}

function explained(error: unknown, repo: string, revision: string, hubUrl: string): unknown {
  if (error instanceof HubApiError && [401, 403, 404].includes(error.statusCode)) {
    return new NotGiven(
      `${hubUrl} gives no ${repo} (${revision}): ${error.statusCode}. It does not exist, or is private or gated: set HF_TOKEN`,
    );
  }
  if (error instanceof HubApiError)
    return new NotGiven(`${hubUrl} answers ${error.statusCode} for ${repo}: ${error.message}`);
  if (error instanceof TypeError) {
    const cause = error.cause instanceof Error ? `: ${error.cause.message}` : '';
    return new NotGiven(`cannot load ${repo} from ${hubUrl}: ${error.message}${cause}`);
  }
  return error;
}
