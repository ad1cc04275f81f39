import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { readJsonObject } from '../model/json-file.ts';
import { TOKENIZER_FILES } from '../model/model-files.ts';
import { type Claim, claimFolder } from '../model/output-place.ts';
import { writeFileAtomic } from '../util/files.ts';

/** What exports into a folder do alike. */

/** Files of models in folders that an export replaces; a tokenizer of another model would be taken for its own. */
const REPLACED = (name: string) =>
  /^(onnx|config\.json|generation_config\.json)$|\.(safetensors|safetensors\.index\.json)$/.test(name) ||
  TOKENIZER_FILES.includes(name);
const STAGING = '.exporting';

/**
 * Has a folder written in a place inside of it and moves what is there into the folder when all of it is, so that an
 * interrupted export leaves what was there. The model that was in the folder goes then.
 *
 * @returns the written files, relative to the folder
 * @throws InputError where the folder may not be written to
 */
export async function writeFolder(
  folder: string,
  claim: Claim,
  write: (staging: string) => Promise<void>,
): Promise<string[]> {
  claimFolder(folder, claim);
  const staging = join(folder, STAGING);
  const clear = () => rmSync(staging, { recursive: true, force: true });
  clear(); // what a killed process may have left
  try {
    await write(staging);
    const written = readdirSync(staging, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(staging.length + 1));
    for (const name of readdirSync(folder)) {
      if (REPLACED(name)) rmSync(join(folder, name), { recursive: true });
    }
    // config.json comes last: without it no one takes the folder for a model.
    const names = readdirSync(staging).sort(
      (a, b) => Number(a === 'config.json') - Number(b === 'config.json'),
    );
    for (const name of names) renameSync(join(staging, name), join(folder, name));
    return written.sort();
  } finally {
    clear();
  }
}

/** Copies the files of a tokenizer, as far as there are any. */
export function copyTokenizer(from: string, folder: string): void {
  for (const name of TOKENIZER_FILES) {
    if (existsSync(join(from, name))) writeFileAtomic(join(folder, name), readFileSync(join(from, name)));
  }
}

/** A file of JSON, indented. */
export function writeJson(path: string, value: unknown): void {
  writeFileAtomic(path, `${JSON.stringify(value, null, 2)}\n`);
}

/** The chat template of a model's folder, wherever it is kept: a text, or a list of named ones. */
export function chatTemplate(folder: string): unknown {
  const jinja = join(folder, 'chat_template.jinja');
  if (existsSync(jinja)) return readFileSync(jinja, 'utf8');
  for (const name of ['chat_template.json', 'tokenizer_config.json']) {
    const path = join(folder, name);
    const template = existsSync(path) ? readJsonObject(path).chat_template : undefined;
    if (template !== undefined) return template;
  }
  return undefined;
}
