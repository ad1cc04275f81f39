import { readFileSync } from 'node:fs';
import { InputError } from '../util/errors.ts';
import { systemMeaning } from '../util/system-errors.ts';
import { type JsonObject, parseJsonObject } from './json-fields.ts';

/** @throws InputError when the file is missing, is not JSON or not an object */
export function readJsonObject(path: string): JsonObject {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new InputError(`cannot read ${path}: ${systemMeaning(error) ?? (error as Error).message}`);
  }
  return parseJsonObject(path, text);
}
