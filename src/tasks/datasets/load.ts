import type { KnownListings } from '../../model/hub-dataset.ts';
import { InputError } from '../../util/errors.ts';
import type { OnProgress } from '../../util/progress.ts';
import { type Dataset, readDataset } from './dataset.ts';
import type { Split } from './description.ts';
import { hubFiles } from './hub-files.ts';
import { dataFiles, filesOfSplit } from './local-files.ts';
import { descriptionsOf } from './sets.ts';

/** Where the files of public sets come from, and how they are asked. */
export interface DatasetSource {
  /** A folder with their files; the Hub without one. */
  folder?: string | undefined;
  /** Solved examples in front of each question; as many as the harness has unless told. */
  shots?: number | undefined;
  onProgress?: OnProgress | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * The sets that the name of a public task stands for: one, or those of a group.
 *
 * @throws InputError for other names, files that are not there or cannot be read, and rows that are not as expected
 */
export async function loadDatasets(name: string, source: DatasetSource): Promise<Dataset[]> {
  const descriptions = descriptionsOf(name);
  if (!descriptions) throw new InputError(`${name} is no public task`);
  const { folder, shots, signal } = source;
  const local = folder === undefined ? undefined : dataFiles(folder);
  const known: KnownListings = new Map();
  const sets: Dataset[] = [];
  for (const description of descriptions) {
    signal?.throwIfAborted();
    const files = async (split: Split) =>
      local
        ? filesOfSplit(local, folder!, description, split)
        : hubFiles(description, split, { ...source, known });
    sets.push(await readDataset(description, files, shots));
  }
  return sets;
}
