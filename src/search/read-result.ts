/** Reads what a search has written, and refuses what none writes: every mistake names the file and the field. */
import type { JsonObject } from '../model/json-fields.ts';
import { readJsonObject } from '../model/json-file.ts';
import { InputError } from '../util/errors.ts';
import { checkBlocks } from './blocks/read.ts';
import type { BlocksResult } from './blocks/result.ts';
import { checkSearch } from './read-search.ts';
import type { SearchResult } from './result.ts';
import { ResultReader } from './result-reader.ts';
import { checkRunResult } from './run/read.ts';
import type { RunResult } from './run/result.ts';

type Result = SearchResult | BlocksResult | RunResult;

const CHECKS: Record<Result['format'], (read: ResultReader, json: JsonObject) => void> = {
  'postnas-search-1': (read, json) => checkSearch(read, json),
  'postnas-blocks-1': (read, json) => checkBlocks(read, json),
  'postnas-run-1': checkRunResult,
};

/**
 * A result of any kind, recognised by its format.
 *
 * @throws InputError when the file is missing, is no JSON or no such result
 */
export function readResult(path: string): Result {
  const json = readJsonObject(path);
  const check = Object.hasOwn(CHECKS, String(json.format)) && CHECKS[json.format as Result['format']];
  if (!check) {
    const known = Object.keys(CHECKS).map((format) => `"${format}"`);
    throw new InputError(
      `${path}: format is ${JSON.stringify(json.format) ?? 'missing'}, expected ${known.slice(0, -1).join(', ')} or ` +
        `${known.at(-1)}: this is no result of a search`,
    );
  }
  check(new ResultReader(path), json);
  // Every field has been looked at.
  return json as unknown as Result;
}
