import { FileBytes } from './file-bytes.ts';
import { Folder } from './folder.ts';
import { resolveModel } from './hub.ts';
import type { ModelFiles, OpenOptions } from './model-files.ts';

/**
 * The files of a model by the path of its folder or its name on the Hub. Bundlers for browsers put
 * `open-model.browser.ts` in this file's place: package.json says so, in `browser`.
 *
 * @throws InputError when it cannot be had
 */
export async function openModel(pathOrRepo: string, options: OpenOptions = {}): Promise<ModelFiles> {
  return new Folder(await resolveModel(pathOrRepo, options));
}

/**
 * A text file by its path; in a browser by its address.
 *
 * @throws InputError when it cannot be had
 */
export async function openText(path: string): Promise<string> {
  return new FileBytes(path).text();
}
