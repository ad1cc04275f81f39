import { existsSync } from 'node:fs';
import { InputError } from '../util/errors.ts';
import { FileBytes } from './file-bytes.ts';
import { type JsonObject, parseJsonObject } from './json-fields.ts';

/** @throws InputError when the file is missing, is not JSON or not an object */
export function readJsonObject(path: string): JsonObject {
  if (!existsSync(path)) throw new InputError(`cannot read ${path}: there is no such file`);
  return parseJsonObject(path, new FileBytes(path).text());
}
