import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { vi } from 'vitest';
import { loadTokenizer } from '../../src/model/folder.ts';
import { type CorpusSettings, openCorpus } from '../../src/tasks/corpus/corpus.ts';
import { tinyTokenizerFiles } from './tiny-tokenizer.ts';

/** A folder for texts, with a cache folder of its own and a small tokenizer that reads them. */
export function corpusFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'postnas-corpus-'));
  vi.stubEnv('XDG_CACHE_HOME', join(folder, 'cache'));
  const at = (name: string) => join(folder, name);
  const write = (contents: Record<string, string | Uint8Array>): string[] =>
    Object.entries(contents).map(([name, content]) => {
      mkdirSync(dirname(at(name)), { recursive: true });
      writeFileSync(at(name), content);
      return at(name);
    });
  write(tinyTokenizerFiles);
  const tokenizer = loadTokenizer(folder);
  return {
    at,
    /** Files by their names below the folder; gives their paths. */
    write,
    open: (files: string | readonly string[], more: Omit<CorpusSettings, 'files'> = {}) =>
      openCorpus(tokenizer, { files, ...more }),
    remove() {
      vi.unstubAllEnvs();
      rmSync(folder, { recursive: true });
    },
  };
}

export const jsonLines = (records: readonly unknown[]) =>
  records.map((each) => `${JSON.stringify(each)}\n`).join('');
