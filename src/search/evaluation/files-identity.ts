import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { ModelFiles } from '../../model/model-files.ts';
import { hashOf } from '../../util/store/identity.ts';

/**
 * A short hash of what a model's folder has, without reading its weights: names, sizes and times of change. A copy of a
 * folder is another model unless its times were kept.
 */
export function filesIdentity(files: ModelFiles): string {
  const wanted = files.names().filter((name) => /\.(json|safetensors|txt|model)$/.test(name));
  return hashOf(
    wanted.sort().map((name) => {
      const { size, mtimeMs } = statSync(join(files.path, name));
      return [name, size, mtimeMs];
    }),
  );
}
