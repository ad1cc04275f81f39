/** Reads what a search or a bench has written, and refuses what none writes: every mistake names the file and the field. */
import type { JsonObject } from '../model/json-fields.ts';
import { readJsonObject } from '../model/json-file.ts';
import { type BenchResult, benchSchema } from '../runtime/bench/result.ts';
import { InputError } from '../util/errors.ts';
import { checkRunResult } from './read-run.ts';
import type { RunResult } from './result.ts';
import { ResultReader } from './result-reader.ts';
import { checkBlocks } from './stages/blocks/read.ts';
import type { BlocksResult } from './stages/blocks/result.ts';
import { checkSearch } from './stages/placement/read.ts';
import type { SearchResult } from './stages/placement/result.ts';

type Result = SearchResult | BlocksResult | RunResult | BenchResult;

const CHECKS: Record<Result['format'], (read: ResultReader, json: JsonObject) => void> = {
  'postnas-search-1': (read, json) => checkSearch(read, json),
  'postnas-blocks-1': (read, json) => checkBlocks(read, json),
  'postnas-run-1': checkRunResult,
  'postnas-bench-1': (read, json) => read.schema(benchSchema, json),
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
        `${known.at(-1)}: this is no result`,
    );
  }
  check(new ResultReader(path), json);
  // Every field has been looked at.
  return json as unknown as Result;
}
