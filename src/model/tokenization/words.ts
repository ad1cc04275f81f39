import { InputError } from '../../util/errors.ts';
import { isObject, type JsonObject } from '../json-fields.ts';
import { countField, textField, wrong } from './component.ts';
import type { Model } from './models.ts';

/** Models that look up words and beginnings of words. */

/** @throws InputError for ids that are none, or are used twice */
export function vocabularyField(json: JsonObject): Map<string, number> {
  const { vocab } = json;
  if (!isObject(vocab)) return wrong('model.vocab', vocab, 'an object of ids');
  const vocabulary = new Map(Object.entries(vocab)) as Map<string, number>;
  const tokens: string[] = [];
  for (const [token, id] of vocabulary) {
    const where = () => `model.vocab[${JSON.stringify(token)}]`;
    if (!Number.isInteger(id) || id < 0 || id >= MAX_ID) {
      return wrong(where(), id, `an id from 0 to ${MAX_ID - 1}`);
    }
    if (tokens[id] !== undefined) return wrong(where(), id, 'an id that no other token has');
    tokens[id] = token;
  }
  return vocabulary;
}

/** Lists are made as long as the largest id; the largest vocabularies have a million tokens. */
export const MAX_ID = 2 ** 21;

/** WordPiece (Schuster & Nakajima 2012): the longest beginning that is a token, then the longest of the rest. */
export function wordPiece(json: JsonObject, vocabulary: Map<string, number>): Model {
  const prefix = textField(json, 'continuing_subword_prefix', 'model', '##');
  const most = countField(json, 'max_input_chars_per_word', 'model', 100);
  const unknown = unknownId(json, vocabulary);
  let longest = 0;
  for (const token of vocabulary.keys()) longest = Math.max(longest, token.length);
  const encode = (word: string): number[] => {
    if (Array.from(word).length > most) return [unknown()];
    const ids: number[] = [];
    let start = 0;
    while (start < word.length) {
      let end = Math.min(word.length, start + longest);
      let id: number | undefined;
      for (; end > start; end--) {
        id = vocabulary.get((start > 0 ? prefix : '') + word.slice(start, end));
        if (id !== undefined) break;
      }
      if (id === undefined) return [unknown()];
      ids.push(id);
      start = end;
    }
    return ids;
  };
  return { vocabulary, encode };
}

export function wordLevel(json: JsonObject, vocabulary: Map<string, number>): Model {
  const unknown = unknownId(json, vocabulary);
  return { vocabulary, encode: (word) => [vocabulary.get(word) ?? unknown()] };
}

function unknownId(json: JsonObject, vocabulary: Map<string, number>): () => number {
  const token = textField(json, 'unk_token', 'model', '');
  const id = vocabulary.get(token);
  return () => {
    if (id !== undefined) return id;
    throw new InputError(
      `the text has a word without a token, and model.unk_token '${token}' is not in the vocabulary`,
    );
  };
}
