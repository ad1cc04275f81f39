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
  /** @throws InputError before it makes a text of more than `longest` UTF-16 units; `where` is named then */
  replace(text: string, by: string, longest: number, where: string): string;
}

export function searchField(json: JsonObject, where: string): Search {
  const { pattern } = json;
  if (isObject(pattern) && typeof pattern.Regex === 'string') {
    const regex = new Pattern(pattern.Regex);
    const pieces = (text: string) => regex.pieces(text);
    return { pieces, replace: (text, by, ...bound) => replaced(text, pieces(text), by, ...bound) };
  }
  const text = isObject(pattern) ? pattern.String : pattern;
  if (typeof text !== 'string')
    return wrong(`${where}.pattern`, pattern, '{"String": ...} or {"Regex": ...}');
  const pieces = (within: string) => stringPieces(within, text);
  return {
    pieces,
    replace: (within, by, ...bound) => {
      if (text === '') return within;
      // What does not grow needs no look at its pieces first.
      if (by.length <= text.length) return within.replaceAll(text, () => by);
      return replaced(within, pieces(within), by, ...bound);
    },
  };
}

/** The text with every match replaced, by the replacement as it stands. */
function replaced(text: string, pieces: Piece[], by: string, longest: number, where: string): string {
  const length = pieces.reduce((sum, { start, end, match }) => sum + (match ? by.length : end - start), 0);
  if (length > longest) tooLong(where);
  return pieces.map(({ start, end, match }) => (match ? by : text.slice(start, end))).join('');
}

/** How long a text of so many UTF-16 units may become, far beyond what any tokenizer of use makes of it. */
export const longestFrom = (length: number): number => 64 * length + 100_000;

export function tooLong(where: string): never {
  throw new InputError(
    `${where} makes the text too long, expected at most 64 characters for each that it had, and 100,000`,
  );
}

export function unsupported(where: string, type: string, known: readonly string[]): never {
  throw new InputError(`${where} is '${type}', which is not supported: there are ${known.join(', ')}`);
}
