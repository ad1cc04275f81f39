import type { Context } from 'hono';
import { HTTPException } from 'hono/http-exception';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { Overloaded } from '../runtime/scheduler.ts';
import { InputError } from '../util/errors.ts';

/** Errors as OpenAI's clients read them: `{error: {message, type, param, code}}`. */
export class ApiError extends Error {
  override name = 'ApiError';
  constructor(
    readonly status: ContentfulStatusCode,
    message: string,
    readonly details: { param?: string; code?: string; headers?: Record<string, string> } = {},
  ) {
    super(message);
  }
}

/** Characters of a value that a message repeats, and of a message. */
const [VALUE, MESSAGE] = [200, 2000];

/** What a client sent, as far as a message repeats it. */
export function cut(value: string, most = VALUE): string {
  return value.length <= most ? value : `${value.slice(0, most)}... (${value.length} characters)`;
}

const TYPES: Record<number, string> = {
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  408: 'timeout_error',
  429: 'rate_limit_error',
};

interface Shape {
  error: { message: string; type: string; param: string | null; code: string | null };
}

export function errorBody(error: ApiError): Shape {
  const { status, message, details } = error;
  const type = TYPES[status] ?? (status >= 500 ? 'server_error' : 'invalid_request_error');
  const { param, code = null } = details;
  return {
    error: { message: cut(message, MESSAGE), type, param: param === undefined ? null : cut(param), code },
  };
}

/** What a client may know of an error: nothing of the code, where it is not the client's. */
export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof InputError) return new ApiError(400, error.message);
  if (error instanceof Overloaded) {
    const headers = { 'Retry-After': String(error.retryAfterSeconds) };
    return new ApiError(429, error.message, { code: 'rate_limit_exceeded', headers });
  }
  if (error instanceof HTTPException)
    return new ApiError(error.status as ContentfulStatusCode, error.message);
  if (error instanceof RangeError && error.message.includes('allocation')) {
    return new ApiError(503, 'there is not enough memory for this request', {
      headers: { 'Retry-After': '5' },
    });
  }
  return new ApiError(500, 'the server failed on this request; its log says why under the request id');
}

export function errorResponse(c: Context, error: ApiError): Response {
  return c.json(errorBody(error), error.status, error.details.headers);
}
