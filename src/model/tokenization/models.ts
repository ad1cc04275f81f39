import { isObject, type JsonObject } from '../json-fields.ts';
import { bpe } from './bpe.ts';
import { unsupported, wrong } from './component.ts';
import { unigram } from './unigram.ts';
import { vocabularyField, wordLevel, wordPiece } from './words.ts';

/** From pieces of text to tokens, by the `model` of tokenizer.json. */
export interface Model {
  vocabulary: ReadonlyMap<string, number>;
  /** The ids of a piece, which is not empty. */
  encode(piece: string): readonly number[];
}

/** @throws InputError for one that is not supported, by its name, or is broken */
export function createModel(value: unknown): Model {
  if (!isObject(value)) return wrong('model', value, 'an object');
  switch (modelType(value)) {
    case 'BPE':
      return bpe(value, vocabularyField(value));
    case 'Unigram':
      return unigram(value);
    case 'WordPiece':
      return wordPiece(value, vocabularyField(value));
    case 'WordLevel':
      return wordLevel(value, vocabularyField(value));
    default:
      return unsupported('model.type', String(value.type), ['BPE', 'Unigram', 'WordPiece', 'WordLevel']);
  }
}

/** Older files do not say it. */
function modelType(json: JsonObject): unknown {
  if (json.type !== undefined) return json.type;
  if (Array.isArray(json.merges)) return 'BPE';
  if (Array.isArray(json.vocab)) return 'Unigram';
  return 'continuing_subword_prefix' in json ? 'WordPiece' : 'WordLevel';
}
