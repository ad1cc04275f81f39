import type { Context } from 'hono';
import type { z } from 'zod';
import { ApiError } from './errors.ts';

/** The body as the schema has it, whatever content type is claimed: scripts with curl leave it out. */
export async function readBody<T extends z.ZodType>(c: Context, schema: T): Promise<z.output<T>> {
  const text = await c.req.text();
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new ApiError(400, 'the body is not JSON');
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
