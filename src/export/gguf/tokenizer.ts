import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { loadTokenizer } from '../../model/folder.ts';
import type { GenerationConfig } from '../../model/generation-config.ts';
import { ENDS, SAMPLING } from '../../model/import/gguf-generation.ts';
import {
  CONTROL,
  ignoresMerges,
  NORMAL,
  UNUSED,
  USER_DEFINED,
  wordSplitName,
} from '../../model/import/gguf-tokenizer.ts';
import { isObject, type JsonObject, shown } from '../../model/json-fields.ts';
import { readJsonObject } from '../../model/json-file.ts';
import type { Tokenizer } from '../../model/tokenizer.ts';
import { InputError } from '../../util/errors.ts';
import { chatTemplate } from '../folder.ts';
import type { MetadataValue } from './gguf-file.ts';

/**
 * The byte-level BPE of a folder's tokenizer.json as metadata of a GGUF file, as import/gguf-tokenizer.ts reads it.
 *
 * @param vocabSize rows of the embedding: ids without a token become unused ones
 * @throws InputError for a folder without a tokenizer, and for one that GGUF cannot hold
 */
export function ggufTokenizer(
  folder: string,
  vocabSize: number,
  generation: GenerationConfig,
): Record<string, MetadataValue> {
  const path = join(folder, 'tokenizer.json');
  if (!existsSync(path)) throw new InputError(`${folder} has no tokenizer.json, and a GGUF file carries one`);
  const json = readJsonObject(path);
  const model = isObject(json.model) ? json.model : {};
  const pre = wordSplitName(json);
  if (model.type !== 'BPE' || model.byte_fallback === true || !Array.isArray(model.merges) || !pre) {
    throw new InputError(
      `${path} is no byte-level BPE that cuts words as GPT-2, SmolLM, Qwen2 or Llama 3 do: others are not exported to GGUF`,
    );
  }
  refuseLost(path, json, model, pre);
  const tokenizer = loadTokenizer(folder, { modelVocabSize: vocabSize });
  const tokens = Array.from({ length: vocabSize }, (_, id) => `[PAD${id}]`);
  const types = new Array<number>(vocabSize).fill(UNUSED);
  for (const [token, id] of tokenizer.vocabulary()) {
    if (token === undefined) continue;
    tokens[id] = token;
    types[id] = NORMAL;
  }
  for (const added of Array.isArray(json.added_tokens) ? json.added_tokens : []) {
    if (isObject(added)) types[added.id as number] = added.special ? CONTROL : USER_DEFINED;
  }
  return {
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.pre': pre,
    'tokenizer.ggml.tokens': tokens,
    'tokenizer.ggml.token_type': types,
    'tokenizer.ggml.merges': model.merges.map((merge) =>
      Array.isArray(merge) ? merge.join(' ') : String(merge),
    ),
    ...idsOf(path, tokenizer, generation),
    ...otherTokens(folder, tokenizer),
    ...templatesOf(folder),
    ...samplingOf(generation),
  };
}

/** Parts of a tokenizer.json that a GGUF file has no place for, or that llama.cpp decides by the way of cutting words. */
function refuseLost(path: string, json: JsonObject, model: JsonObject, pre: string): void {
  const refuse = (what: string) => {
    throw new InputError(`${path}: ${what}, which a GGUF file cannot say`);
  };
  const whole = ignoresMerges(pre);
  if ((model.ignore_merges ?? false) !== whole) {
    refuse(`ignore_merges is ${shown(model.ignore_merges)}, for '${pre}' it would be ${whole}`);
  }
  for (const name of ['continuing_subword_prefix', 'end_of_word_suffix'] as const) {
    if (typeof model[name] === 'string' && model[name] !== '') refuse(`${name} is ${shown(model[name])}`);
  }
  for (const added of Array.isArray(json.added_tokens) ? json.added_tokens : []) {
    const flag = isObject(added) && ['single_word', 'lstrip', 'rstrip'].find((name) => added[name] === true);
    if (flag) refuse(`the added token ${shown(added.content)} has ${flag}`);
  }
}

/** The tokens around a text, and those that end one: as many as there are keys for. */
function idsOf(
  path: string,
  tokenizer: Tokenizer,
  { bosTokenId, eosTokenIds }: GenerationConfig,
): Record<string, MetadataValue> {
  const { before, after } = around(tokenizer);
  const [put] = before;
  const [end] = after;
  if (before.length > 1 || after.length > 1) {
    throw new InputError(
      `${path} puts ${before.length} tokens before a text and ${after.length} after it, a GGUF file has one of each`,
    );
  }
  // What the tokenizer puts after a text is the end-of-text token of the file.
  const ends = [...new Set(end === undefined ? eosTokenIds : [end, ...eosTokenIds])];
  if (ends.length > ENDS.length) {
    throw new InputError(
      `${path}: ${ends.length} tokens end a text (${ends.join(', ')}), a GGUF file names at most ${ENDS.length}`,
    );
  }
  const bos = put ?? bosTokenId;
  return {
    ...(bos === null ? {} : { 'tokenizer.ggml.bos_token_id': bos }),
    ...Object.fromEntries(ends.map((id, i) => [`tokenizer.ggml.${ENDS[i]}_token_id`, id])),
    'tokenizer.ggml.add_bos_token': put !== undefined,
    'tokenizer.ggml.add_eos_token': end !== undefined,
  };
}

function around(tokenizer: Tokenizer): { before: number[]; after: number[] } {
  const text = 'a';
  const all = tokenizer.encode(text);
  const plain = tokenizer.encode(text, { addSpecialTokens: false });
  const at = all.findIndex((_, i) => plain.every((id, j) => all[i + j] === id));
  return { before: all.slice(0, at), after: all.slice(at + plain.length) };
}

/** The tokens for padding and for what is unknown, where the folder names them. */
function otherTokens(folder: string, tokenizer: Tokenizer): Record<string, MetadataValue> {
  const path = join(folder, 'tokenizer_config.json');
  const config = existsSync(path) ? readJsonObject(path) : {};
  const found: Record<string, MetadataValue> = {};
  for (const [name, key] of [
    ['unk_token', 'unknown'],
    ['pad_token', 'padding'],
  ] as const) {
    const value = config[name];
    const content = isObject(value) ? value.content : value;
    const id = typeof content === 'string' ? tokenizer.tokenId(content) : undefined;
    if (id !== undefined) found[`tokenizer.ggml.${key}_token_id`] = id;
  }
  return found;
}

/** The usual chat template, and others by their names. */
function templatesOf(folder: string): Record<string, MetadataValue> {
  const template = chatTemplate(folder);
  if (typeof template === 'string') return { 'tokenizer.chat_template': template };
  const named = (Array.isArray(template) ? template : []).filter(isObject);
  const others: string[] = [];
  const found: Record<string, MetadataValue> = {};
  for (const { name, template: text } of named) {
    if (typeof name !== 'string' || typeof text !== 'string') continue;
    if (name !== 'default') others.push(name);
    found[name === 'default' ? 'tokenizer.chat_template' : `tokenizer.chat_template.${name}`] = text;
  }
  return { ...found, ...(others.length > 0 ? { 'tokenizer.chat_templates': others } : {}) };
}

/** Sampling settings, which llama.cpp takes for its own: only where the model's makers want tokens to be drawn. */
function samplingOf(generation: GenerationConfig): Record<string, MetadataValue> {
  if (!generation.doSample) return {};
  const settings = Object.entries(SAMPLING).map(([name, key]): [string, MetadataValue | undefined] => {
    const value = generation[name as keyof typeof SAMPLING];
    return [key, value === undefined ? undefined : name === 'topK' ? value : { float: value }];
  });
  return Object.fromEntries(
    settings.filter((entry): entry is [string, MetadataValue] => entry[1] !== undefined),
  );
}
