/** Reads what a run, a bench or a comparison has written, and refuses what none writes: every mistake names the file and the field. */
import type { JsonObject } from '../model/json-fields.ts';
import { readJsonObject } from '../model/json-file.ts';
import { type BenchResult, benchSchema } from '../runtime/bench/result.ts';
import { InputError } from '../util/errors.ts';
import { readBy, shown } from '../util/schema.ts';
import { COMPARE_FORMAT, type CompareResult, compareSchema } from './compare/result.ts';
import { CONVERSION_FORMAT, type ConversionResult, conversionSchema } from './conversion/result.ts';
import { OLD_FORMATS, type Read } from './old-results.ts';
import { RESULT_FORMAT, type Result, resultSchema } from './result.ts';

type AnyResult = Result | BenchResult | CompareResult | ConversionResult;

const READERS: Record<string, (json: JsonObject, read: Read) => AnyResult> = {
  [RESULT_FORMAT]: (json, read) => read(resultSchema(json), json),
  'postnas-bench-1': (json, read) => read(benchSchema, json),
  [COMPARE_FORMAT]: (json, read) => read(compareSchema, json),
  [CONVERSION_FORMAT]: (json, read) => read(conversionSchema, json),
  ...OLD_FORMATS,
};

/**
 * A result of any kind, recognised by its format; those of earlier formats as one of today's.
 *
 * @throws InputError when the file is missing, is no JSON or no such result
 */
export function readResult(path: string): AnyResult {
  const json = readJsonObject(path);
  const { format } = json;
  const reader = typeof format === 'string' && Object.hasOwn(READERS, format) && READERS[format];
  if (!reader) {
    const known = Object.keys(READERS).map((each) => `"${each}"`);
    throw new InputError(
      `${path}: format is ${format === undefined ? 'missing' : shown(format)}, expected ${known.slice(0, -1).join(', ')} or ${known.at(-1)}: this is no result`,
    );
  }
  return reader(json, (schema, value) => readBy(path, schema, value));
}
