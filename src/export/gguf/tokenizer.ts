import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { loadTokenizer } from '../../model/folder.ts';
import type { GenerationConfig } from '../../model/generation-config.ts';
import { CONTROL, NORMAL, UNUSED, USER_DEFINED, wordSplitName } from '../../model/import/gguf-tokenizer.ts';
import { isObject } from '../../model/json-fields.ts';
import { readJsonObject } from '../../model/json-file.ts';
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
  { bosTokenId, eosTokenIds }: GenerationConfig,
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
  const around = tokenizer.encode('');
  const [eos, eot] = eosTokenIds;
  const template = chatTemplate(folder);
  return {
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.pre': pre,
    'tokenizer.ggml.tokens': tokens,
    'tokenizer.ggml.token_type': types,
    'tokenizer.ggml.merges': model.merges.map((merge) =>
      Array.isArray(merge) ? merge.join(' ') : String(merge),
    ),
    ...(bosTokenId === null ? {} : { 'tokenizer.ggml.bos_token_id': bosTokenId }),
    ...(eos === undefined ? {} : { 'tokenizer.ggml.eos_token_id': eos }),
    ...(eot === undefined ? {} : { 'tokenizer.ggml.eot_token_id': eot }),
    'tokenizer.ggml.add_bos_token': bosTokenId !== null && around[0] === bosTokenId,
    'tokenizer.ggml.add_eos_token':
      around.length > 0 && around.at(-1) === eos && around.at(-1) !== bosTokenId,
    ...(typeof template === 'string' ? { 'tokenizer.chat_template': template } : {}),
  };
}
