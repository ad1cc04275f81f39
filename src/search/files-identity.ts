import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { TOKENIZER_FILES } from '../model/model-files.ts';
import { hashOf } from '../util/store/identity.ts';

const CONFIG_FILES = ['config.json', 'generation_config.json', ...TOKENIZER_FILES];

/**
 * A short hash of the model in a folder, without reading its weights: names, sizes and times of change of what it is made of.
 * Placements and reports beside it are none of that. A copy of a folder is another model unless its times were kept.
 */
export function filesIdentity(folder: string): string {
  const wanted = readdirSync(folder).filter(
    (name) => CONFIG_FILES.includes(name) || /\.safetensors(\.index\.json)?$/.test(name),
  );
  return hashOf(
    wanted.sort().map((name) => {
      const { size, mtimeMs } = statSync(join(folder, name));
      return [name, size, mtimeMs];
    }),
  );
}
