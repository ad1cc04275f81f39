import { InputError } from '../../util/errors.ts';
import { isObject, type JsonObject } from '../json-fields.ts';
import { Pattern, type Piece } from './pattern.ts';
import { stringPieces } from './splits.ts';

/** Fields of the components in tokenizer.json. */

export function wrong(where: string, value: unknown, expected: string): never {
  const shown = JSON.stringify(value) ?? 'missing';
  const short = shown.length > 100 ? `${shown.slice(0, 100)}...` : shown;
  throw new InputError(`${where} is ${short}, expected ${expected}`);
}

export function component(value: unknown, where: string): JsonObject & { type: string } {
  if (!isObject(value) || typeof value.type !== 'string') return wrong(where, value, 'an object with a type');
  return value as JsonObject & { type: string };
}

export function textField(json: JsonObject, name: string, where: string, other?: string): string {
  const value = json[name] ?? other;
  return typeof value === 'string' ? value : wrong(`${where}.${name}`, json[name], 'a text');
}

export function flagField(json: JsonObject, name: string, where: string, other?: boolean): boolean {
  const value = json[name] ?? other;
  return typeof value === 'boolean' ? value : wrong(`${where}.${name}`, json[name], 'true or false');
}

export function countField(json: JsonObject, name: string, where: string, other?: number): number {
  const value = json[name] ?? other;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  return wrong(`${where}.${name}`, json[name], 'a whole number of at least 0');
}

export function listField(json: JsonObject, name: string, where: string): unknown[] {
  const value = json[name];
  return Array.isArray(value) ? value : wrong(`${where}.${name}`, value, 'a list');
}

/** Something that a text is searched for: `{"String": ...}` or `{"Regex": ...}`. */
export interface Search {
  pieces(text: string): Piece[];
  replace(text: string, by: string): string;
}

export function searchField(json: JsonObject, where: string): Search {
  const { pattern } = json;
  if (isObject(pattern) && typeof pattern.Regex === 'string') return new Pattern(pattern.Regex);
  const text = isObject(pattern) ? pattern.String : pattern;
  if (typeof text !== 'string')
    return wrong(`${where}.pattern`, pattern, '{"String": ...} or {"Regex": ...}');
  return {
    pieces: (within) => stringPieces(within, text),
    replace: (within, by) => (text === '' ? within : within.replaceAll(text, () => by)),
  };
}

export function unsupported(where: string, type: string, known: readonly string[]): never {
  throw new InputError(`${where} is '${type}', which is not supported: there are ${known.join(', ')}`);
}
