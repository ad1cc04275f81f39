import { FileBytes } from './file-bytes.ts';
import { type JsonObject, parseJsonObject } from './json-fields.ts';

/** @throws InputError when the file is missing, is not JSON or not an object */
export function readJsonObject(path: string): JsonObject {
  return parseJsonObject(path, new FileBytes(path).text());
}
