/** Files of data sets of the Hugging Face Hub, in the cache that its Python tools use. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../util/files.ts';
import { cachedCommit, readListing, writeListing } from './hub-cache.ts';
import { HubRepository, NotGiven } from './hub-repository.ts';
import { cacheFolder, offlineBy } from './hub-settings.ts';
import type { HubOptions } from './model-files.ts';

/** The branch on which the Hub keeps every set that it can read as Parquet: CONFIGURATION/SPLIT/0000.parquet. */
export const PARQUET_BRANCH = 'refs/convert/parquet';

/** What the Hub has said of data sets, for those that are asked for several times at once. */
export type KnownListings = Map<string, Awaited<ReturnType<HubRepository['list']>>>;

/**
 * Some files of a data set, from the cache if they are all there, else loaded.
 *
 * @param choose of all paths of the repository, those that are wanted
 * @returns where they are, in the order of `choose`
 * @throws NotGiven where the Hub does not have the set, and InputError where a file arrives damaged
 */
export async function datasetFiles(
  repo: string,
  choose: (paths: readonly string[]) => readonly string[],
  { known, ...options }: HubOptions & { known?: KnownListings | undefined } = {},
): Promise<string[]> {
  const { revision = PARQUET_BRANCH } = options;
  const hub = new HubRepository(repo, 'dataset', options);
  const cached = cachedFiles(hub, revision, choose);
  if (cached) return cached;
  const variable = offlineBy();
  if (variable) {
    throw new NotGiven(
      `the data set ${repo} (${revision}) is not in ${cacheFolder()}, and ${variable} is set`,
    );
  }
  try {
    const name = `${repo} ${revision}`;
    const listing = known?.get(name) ?? (await hub.list(revision));
    known?.set(name, listing);
    const { sha, files } = listing;
    const paths = choose([...files.keys()]);
    await hub.fetchAll(
      paths.map((path) => files.get(path)!),
      sha,
    );
    writeListing(hub.storage, sha, [...files.values()]);
    writeFileAtomic(join(hub.storage, 'refs', revision), sha);
    return paths.map((path) => join(hub.snapshot(sha), path));
  } catch (error) {
    throw await hub.explained(error, revision);
  }
}

/** Undefined unless all that is wanted is there. */
function cachedFiles(
  hub: HubRepository,
  revision: string,
  choose: (paths: readonly string[]) => readonly string[],
): string[] | undefined {
  const sha = cachedCommit(hub.storage, revision);
  const names = sha === undefined ? undefined : readListing(hub.storage, sha);
  if (!names) return undefined;
  const paths = choose(names).map((path) => join(hub.snapshot(sha!), path));
  return paths.every((path) => existsSync(path)) ? paths : undefined;
}
