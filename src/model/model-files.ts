import type { OnProgress } from '../util/progress.ts';
import type { Bytes } from './bytes.ts';
import { type JsonObject, parseJsonObject } from './json-fields.ts';

/** The files of a model in Hugging Face's layout, wherever they lie: a folder, what a page was given or has loaded. */
export interface ModelFiles {
  /** The place, for messages. */
  readonly path: string;
  /** Of the files themselves, or of those in a folder among them, without its name; none where there is no such folder. */
  names(folder?: string): string[];
  has(name: string): boolean;
  /** @throws InputError where there is no such file */
  open(name: string): Bytes;
}

/** Every file that belongs to a tokenizer in a Hugging Face folder. */
export const TOKENIZER_FILES = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'vocab.json',
  'merges.txt',
  'tokenizer.model',
  'chat_template.jinja',
  'chat_template.json',
];

/** The folder of placements (placement.ts) in a model's. */
export const PLACEMENTS = 'placements';

export function placementFile(name: string): string {
  return `${PLACEMENTS}/${name}.json`;
}

/** The name of a repository on the Hub, as in org/model. */
export function isRepo(name: string): boolean {
  return /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*$/.test(name) && !name.includes('..');
}

export interface HubOptions {
  /** Branch, tag or commit; 'main' unless told. */
  revision?: string;
  /** Address of the Hub: what HF_ENDPOINT says, else https://huggingface.co, unless told. */
  hubUrl?: string;
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

export interface OpenOptions extends HubOptions {
  /** Name of a placement that is wanted among the files. */
  placement?: string;
}

/** @throws InputError when the file is missing, is not JSON or not an object */
export function readJson(files: ModelFiles, name: string): JsonObject {
  const file = files.open(name);
  return parseJsonObject(file.path, file.text());
}
