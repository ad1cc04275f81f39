import { join, relative } from 'node:path';
import { datasetFiles, type KnownListings, PARQUET_BRANCH } from '../../model/hub-dataset.ts';
import { NotGiven } from '../../model/hub-repository.ts';
import type { HubOptions } from '../../model/model-files.ts';
import { InputError } from '../../util/errors.ts';
import type { Description, Split } from './description.ts';
import { filesOfSplit } from './local-files.ts';
import { ENDINGS, endingOf } from './rows.ts';

/**
 * The files of a split from the Hub: of the branch that has every set as Parquet, or where there is none, of the set's own
 * files.
 *
 * @throws InputError where the Hub does not have it, or is out of reach
 */
export async function hubFiles(
  description: Description,
  split: Split,
  { onProgress, signal, known }: Pick<HubOptions, 'onProgress' | 'signal'> & { known: KnownListings },
): Promise<string[]> {
  const { repo } = description;
  const options = { known, ...(onProgress && { onProgress }), ...(signal && { signal }) };
  try {
    const choose = (paths: readonly string[]) => converted(paths, description, split);
    return await datasetFiles(repo, choose, { ...options, revision: PARQUET_BRANCH });
  } catch (error) {
    if (!(error instanceof NotGiven)) throw error;
  }
  try {
    const own = (paths: readonly string[]) => ownFiles(paths, description, split);
    return await datasetFiles(repo, own, { ...options, revision: 'main' });
  } catch (error) {
    if (!(error instanceof NotGiven)) throw error;
    throw new InputError(
      `the task ${description.name}: ${error.message}; --data-dir names a folder with its files`,
      {
        cause: error,
      },
    );
  }
}

/** CONFIGURATION/SPLIT/0000.parquet and so on. A set with one configuration has it, whatever it is called. */
function converted(
  paths: readonly string[],
  { name, repo, config = 'default' }: Description,
  split: Split,
): string[] {
  const configs = [
    ...new Set(paths.flatMap((path) => /^([^/]+)\/[^/]+\/\d+\.parquet$/.exec(path)?.[1] ?? [])),
  ];
  const own = configs.includes(config) || configs.length !== 1 ? config : configs[0]!;
  const files = paths
    .filter((path) => path.startsWith(`${own}/${split}/`) && path.endsWith('.parquet'))
    .sort();
  if (files.length > 0) return files;
  throw new InputError(
    `the task ${name}: ${repo} has no ${own}/${split} on the Hub; it has the configurations ${configs.join(', ')}`,
  );
}

/** Of the files of the set's own branch, which are named as in a folder that is called as the repository. */
function ownFiles(paths: readonly string[], description: Description, split: Split): string[] {
  const folder = description.repo.split('/')[1]!;
  const data = paths.filter((path) => ENDINGS.includes(endingOf(path))).map((path) => join(folder, path));
  if (data.length === 0) throw new InputError(`${description.repo} has no files of data on the Hub`);
  return filesOfSplit(data, '', description, split).map((path) => relative(folder, path));
}
