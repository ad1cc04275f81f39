import { Folder } from './folder.ts';
import { resolveModel } from './hub.ts';
import type { HubOptions, ModelFiles } from './model-files.ts';

/**
 * The files of a model by the path of its folder or its name on the Hub. Bundlers for browsers put
 * `open-model.browser.ts` in this file's place: package.json says so, in `browser`.
 *
 * @throws InputError when it cannot be had
 */
export async function openModel(pathOrRepo: string, options: HubOptions = {}): Promise<ModelFiles> {
  return new Folder(await resolveModel(pathOrRepo, options));
}
