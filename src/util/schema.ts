import { z } from 'zod';
import { InputError } from './errors.ts';

/**
 * Schemas of files whose mistakes are told in one line: `runs[0].score is "good", expected a number`. The message of each
 * is what was expected.
 */

export const text = () => z.string({ error: 'a string' });
export const number = () => z.number({ error: 'a number' });

export function whole(least: number) {
  const error = `a whole number of at least ${least}`;
  return z.int({ error }).min(least, { error });
}

export function list<T extends z.ZodType>(of: T) {
  return z.array(of, { error: 'a list' });
}

export function filled<T extends z.ZodType>(of: T) {
  return list(of).min(1, { error: 'at least one entry' });
}

/** Fields that are not described are left out: a newer version may write more, and an older one can still show the rest. */
export function fields<T extends z.ZodRawShape>(shape: T) {
  return z.object(shape, { error: 'an object' });
}

export function oneOf<const T extends readonly string[]>(values: T) {
  return z.enum(values, { error: values.join(' or ') });
}

export const date = () => text().refine((value) => !Number.isNaN(Date.parse(value)), { error: 'a date' });

/**
 * What a file holds, by its schema.
 *
 * @param path of the file, for messages
 * @throws InputError for the first mistake, naming the file, the field, what it is and what was expected
 */
export function readBy<S extends z.ZodType>(path: string, schema: S, json: unknown): z.output<S> {
  const read = schema.safeParse(json);
  if (read.success) return read.data;
  const { path: at, message, ...issue } = read.error.issues[0]!;
  // A check of several fields says itself what it found.
  const found = issue.code === 'custom' && issue.params ? issue.params.found : valueAt(json, at);
  const is = found === undefined ? 'is missing' : `is ${shown(found)}`;
  throw new InputError(`${path}: ${z.core.toDotPath(at)} ${is}, expected ${message}`);
}

/**
 * An error with a line for each mistake.
 *
 * @param whole stands for what has no field
 */
export function issuesError(
  wrong: string,
  issues: readonly Pick<z.core.$ZodIssue, 'path' | 'message'>[],
  whole: string,
): InputError {
  const lines = issues.map(({ path, message }) => `\n  ${path.join('.') || whole}: ${message}`);
  return new InputError(`${wrong}:${lines.join('')}`);
}

function valueAt(json: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === 'object' && value !== null && Object.hasOwn(value, key)
        ? (value as Record<PropertyKey, unknown>)[key]
        : undefined,
    json,
  );
}

/** A value as far as a line shows it. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
