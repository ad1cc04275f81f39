import type { z } from 'zod';
import { isObject } from '../../model/json-fields.ts';
import { ApiError } from '../errors.ts';
import { REFUSED } from '../schemas/refused.ts';
import { checkShape } from './shape.ts';

/** The most elements of the lists of a request: those of OpenAI's API, where it has a bound. */
const MOST: Record<string, number> = {
  messages: 2048,
  input: 2048,
  tools: 128,
  logit_bias: 1024,
  metadata: 16,
};

const decoder = new TextDecoder('utf-8', { fatal: true });

/**
 * The body as the schema has it, whatever content type is claimed: scripts with curl leave it out.
 *
 * @throws ApiError that names the field at fault
 */
export function parseBody<T extends z.ZodType>(bytes: Uint8Array, schema: T): z.output<T> {
  checkShape(bytes);
  const json = parseJson(bytes);
  if (isObject(json)) {
    checkLengths(json);
    refuseFields(json);
  }
  const { data, error } = schema.safeParse(json);
  if (!error) return data as z.output<T>;
  const issue = deepest(error.issues[0]!);
  const param = issue.path.reduce<string>(
    (path, key) =>
      typeof key === 'number' ? `${path}[${key}]` : path ? `${path}.${String(key)}` : String(key),
    '',
  );
  throw new ApiError(400, param ? `${param}: ${issue.message}` : issue.message, {
    param: param || undefined,
  });
}

function parseJson(bytes: Uint8Array): unknown {
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    throw new ApiError(400, 'the body is not UTF-8');
  }
  try {
    return JSON.parse(text);
  } catch {
    throw new ApiError(400, 'the body is not JSON');
  }
}

/** Before every element is looked at. */
function checkLengths(json: Record<string, unknown>): void {
  for (const [param, most] of Object.entries(MOST)) {
    const value = json[param];
    if (typeof value !== 'object' || value === null) continue;
    const { length } = Array.isArray(value) ? value : Object.keys(value);
    if (length > most)
      throw new ApiError(400, `${param}: ${length} elements, at most ${most} are taken`, { param });
  }
}

/** What other servers know, and what would be answered otherwise than was asked without it. */
function refuseFields(json: Record<string, unknown>): void {
  for (const [param, without] of Object.entries(REFUSED)) {
    const value = json[param];
    if (value === undefined || value === null || without.some((neutral) => isSame(neutral, value))) continue;
    throw new ApiError(400, `${param}: not supported here; leave it out`, { param });
  }
}

function isSame(neutral: unknown, value: unknown): boolean {
  if (neutral === value) return true;
  if (Array.isArray(neutral)) return Array.isArray(value) && value.length === 0;
  return isObject(neutral) && isObject(value) && Object.keys(value).length === 0;
}

type Issue = z.core.$ZodIssue;

/** Of a union, the issue of the alternative that went furthest, if it is more than a wrong type. */
function deepest(issue: Issue): Issue {
  if (issue.code !== 'invalid_union') return issue;
  const inner = issue.errors
    .map((issues) => issues[0])
    .filter((first): first is Issue => first !== undefined && first.path.length > 0)
    .sort((a, b) => b.path.length - a.path.length)[0];
  return inner ? { ...inner, path: [...issue.path, ...inner.path] } : issue;
}
