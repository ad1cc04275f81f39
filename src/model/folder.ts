import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { FileBytes } from './file-bytes.ts';
import type { ModelFiles } from './model-files.ts';
import { type LoadTokenizerOptions, readTokenizer, type Tokenizer } from './tokenizer.ts';

/** A folder on disk. */
export class Folder implements ModelFiles {
  constructor(readonly path: string) {}

  names(): string[] {
    return readdirSync(this.path);
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
