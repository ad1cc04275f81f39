/** Models of the Hugging Face Hub, in the cache that its Python tools use. */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { InputError } from '../util/errors.ts';
import { writeFileAtomic } from '../util/files.ts';
import { Folder } from './folder.ts';
import { cachedSnapshot, SMALL_FILES, weightsOf, writeListing } from './hub-cache.ts';
import { HubRepository, NotGiven } from './hub-repository.ts';
import { cacheFolder, offlineBy } from './hub-settings.ts';
import { type HubOptions, isRepo, type OpenOptions, PLACEMENTS } from './model-files.ts';
import { INDEX, SINGLE, weightFiles } from './read-checkpoint.ts';

/**
 * The folder of a model: the path itself when it is a folder, else the newest cached snapshot of the repository of that
 * name, else its download. A snapshot that lacks files is completed.
 *
 * @throws InputError when it is neither, or cannot be had
 */
export async function resolveModel(pathOrRepo: string, options: OpenOptions = {}): Promise<string> {
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
  const cached = cachedSnapshot(pathOrRepo, options.revision, options.placement);
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
 * Downloads the configuration, weights, tokenizer, generation settings and placements of a model as they are now; files that the
 * cache has are not loaded again, an interrupted one goes on. Gives the snapshot's folder.
 *
 * @throws InputError when the repository cannot be reached or is no model in safetensors, or a file arrives damaged
 */
export async function pull(repo: string, options: OpenOptions = {}): Promise<string> {
  if (!isRepo(repo)) {
    throw new InputError(`${repo} is not the name of a model, as in org/model`);
  }
  const { revision = 'main', placement } = options;
  checkRevision(revision);
  const variable = offlineBy();
  if (variable) return offline(repo, revision, variable, placement);
  return download(repo, revision, options);
}

function checkRevision(revision = 'main'): void {
  if (revision.split(/[/\\]/).includes('..')) throw new InputError(`${revision} is no branch, tag or commit`);
}

function offline(repo: string, revision: string, variable: string, placement?: string): string {
  const cached = cachedSnapshot(repo, revision, placement);
  if (cached?.missing.length === 0) return cached.folder;
  const lacking = cached ? ` as a whole: it lacks ${cached.missing.join(', ')}` : '';
  throw new NotGiven(`${repo} (${revision}) is not in ${cacheFolder()}${lacking}, and ${variable} is set`);
}

const PLACEMENT = new RegExp(`^${PLACEMENTS}/[^/]+\\.json$`);

/** The files of a model as they are at a branch, tag or commit. */
async function download(repo: string, revision: string, options: HubOptions): Promise<string> {
  const hub = new HubRepository(repo, 'model', options);
  try {
    const { sha, files } = await hub.list(revision);
    const snapshot = hub.snapshot(sha);
    const { single, index, others } = weightsOf([...files.keys()].filter((name) => !name.includes('/')));
    if (!files.has('config.json') || !(single || index)) {
      const hint = others.length > 0 ? `; it has ${others.join(', ')}, which are not read` : '';
      throw new InputError(
        `${repo} (${revision}) on ${hub.hubUrl} has no config.json with ${SINGLE}, or with ${INDEX}${hint}`,
      );
    }
    const wanted = [...files.values()].filter(
      ({ path }) => (SMALL_FILES.has(path) && !(single && path === INDEX)) || PLACEMENT.test(path),
    );
    // Which files have the weights, the index says, whatever they are called.
    if (!single) await hub.fetch(files.get(INDEX)!, sha);
    for (const name of single ? [SINGLE] : weightFiles(new Folder(snapshot))) {
      const entry = files.get(name);
      if (!entry) throw new InputError(`${repo} (${revision}): ${INDEX} names ${name}, which is not there`);
      wanted.push(entry);
    }
    await hub.fetchAll(wanted, sha);
    writeListing(hub.storage, sha, [...files.values()]);
    // Last, so that a name never points to a snapshot with files missing.
    if (revision !== sha) writeFileAtomic(join(hub.storage, 'refs', revision), sha);
    return snapshot;
  } catch (error) {
    throw await hub.explained(error, revision);
  }
}
