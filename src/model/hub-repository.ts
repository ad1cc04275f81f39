import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { ListFileEntry } from '@huggingface/hub';
import { InputError } from '../util/errors.ts';
import { HASH, type RepoKind, storageOf } from './hub-cache.ts';
import { fetchBlob, linkFile } from './hub-download.ts';
import { accessToken, endpoint } from './hub-settings.ts';
import type { HubOptions } from './model-files.ts';

/** Loaded where something is asked of the Hub: most commands ask nothing, and would start later for it. */
const client = () => import('@huggingface/hub');

/** The Hub does not have the repository, or is out of reach. */
export class NotGiven extends InputError {}

/** A repository of the Hub, and where the cache has it. */
export class HubRepository {
  readonly storage: string;
  readonly hubUrl: string;
  private readonly access;

  constructor(
    private readonly name: string,
    private readonly kind: RepoKind,
    private readonly options: HubOptions,
  ) {
    const { signal } = options;
    this.storage = storageOf(name, kind);
    this.hubUrl = options.hubUrl?.replace(/\/+$/, '') ?? endpoint();
    this.access = {
      hubUrl: this.hubUrl,
      accessToken: accessToken(),
      fetch: ((input, init) => fetch(input, { ...init, signal })) as typeof fetch,
    };
  }

  /** The commit of a branch or tag, and its files by their paths. */
  async list(revision: string): Promise<{ sha: string; files: Map<string, ListFileEntry> }> {
    const { name, kind, access } = this;
    const { datasetInfo, listFiles, modelInfo } = await client();
    const asked = { name, revision, ...access };
    const { sha } =
      kind === 'model'
        ? await modelInfo({ ...asked, additionalFields: ['sha'] })
        : await datasetInfo({ ...asked, additionalFields: ['sha'] });
    const files = new Map<string, ListFileEntry>();
    const repo = { type: kind, name };
    const all = { repo, revision: this.checkedHash(sha), recursive: true, ...access };
    for await (const entry of listFiles(all)) {
      if (entry.type === 'file') files.set(entry.path, entry);
    }
    return { sha, files };
  }

  snapshot(sha: string): string {
    return join(this.storage, 'snapshots', sha);
  }

  /** Brings files into the cache, and says how many bytes are there. */
  async fetchAll(wanted: readonly ListFileEntry[], sha: string): Promise<void> {
    const total = wanted.reduce((sum, { size }) => sum + size, 0);
    let done = 0;
    for (const entry of wanted) {
      const stage = `download ${entry.path}`;
      const report = (loaded: number) =>
        this.options.onProgress?.({ stage, done: done + loaded, total, unit: 'bytes' });
      await this.fetch(entry, sha, report);
      report(entry.size);
      done += entry.size;
    }
  }

  /** @param report is told of the bytes that are there */
  async fetch(entry: ListFileEntry, sha: string, report?: (bytes: number) => void): Promise<void> {
    const { name, kind, access, storage } = this;
    const { path } = entry;
    const blob = join(storage, 'blobs', this.checkedHash(entry.lfs?.oid ?? entry.xetHash ?? entry.oid));
    if (!existsSync(blob)) {
      const { downloadFile } = await client();
      const remote = await downloadFile({ repo: { type: kind, name }, path, revision: sha, ...access });
      if (!remote) throw new InputError(`${name}: ${path} is listed but not there`);
      let loaded = 0;
      await fetchBlob(remote, blob, `${name}: ${path}`, entry, this.options.signal, (bytes) => {
        loaded += bytes;
        report?.(loaded);
      });
    }
    const link = join(this.snapshot(sha), path);
    if (!existsSync(link)) await linkFile(blob, link);
  }

  private checkedHash(hash: string | undefined): string {
    if (hash !== undefined && HASH.test(hash)) return hash;
    throw new InputError(`${this.name}: the Hub names ${JSON.stringify(hash)} where a hash is expected`);
  }

  /** An error in words for people; NotGiven where the repository cannot be had. */
  async explained(error: unknown, revision: string): Promise<unknown> {
    const { name, hubUrl } = this;
    this.options.signal?.throwIfAborted();
    const { HubApiError } = await client();
    if (error instanceof HubApiError && [401, 403, 404].includes(error.statusCode)) {
      return new NotGiven(
        `${hubUrl} gives no ${name} (${revision}): ${error.statusCode}. It does not exist, or is private or gated: set HF_TOKEN`,
      );
    }
    if (error instanceof HubApiError)
      return new NotGiven(`${hubUrl} answers ${error.statusCode} for ${name}: ${error.message}`);
    if (error instanceof TypeError) {
      const cause = error.cause instanceof Error ? `: ${error.cause.message}` : '';
      return new NotGiven(`cannot load ${name} from ${hubUrl}: ${error.message}${cause}`);
    }
    return error;
  }
}
