import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { FileBytes } from './file-bytes.ts';
import { readJsonObject } from './json-file.ts';
import type { ModelFiles } from './model-files.ts';
import { type LoadTokenizerOptions, readTokenizer, type Tokenizer } from './tokenizer.ts';

/** A folder on disk. */
export class Folder implements ModelFiles {
  constructor(readonly path: string) {}

  names(folder?: string): string[] {
    if (folder === undefined) return readdirSync(this.path);
    const inside = join(this.path, folder);
    return existsSync(inside) && statSync(inside).isDirectory() ? readdirSync(inside) : [];
  }

  has(name: string): boolean {
    return existsSync(join(this.path, name));
  }

  open(name: string): FileBytes {
    return new FileBytes(join(this.path, name));
  }
}

/** @throws InputError when a file is missing or broken, or has more tokens than the model's vocabulary */
export function loadTokenizer(dir: string, options?: LoadTokenizerOptions): Tokenizer {
  return readTokenizer(new Folder(dir), options);
}

/** A hash of a folder's tokenizer files: what text becomes. Chat templates make no difference to that. */
export function tokenizerIdentity(dir: string): string {
  const hash = createHash('sha256');
  for (const name of ['tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json']) {
    const path = join(dir, name);
    if (!existsSync(path)) continue;
    hash.update(`${name}\0`);
    if (name === 'tokenizer.json') hash.update(readFileSync(path));
    else hash.update(JSON.stringify({ ...readJsonObject(path), chat_template: undefined }));
  }
  return hash.digest('hex');
}
