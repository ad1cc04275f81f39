import { createHash, timingSafeEqual } from 'node:crypto';
import type { MiddlewareHandler } from 'hono';
import { InputError } from '../util/errors.ts';
import { ApiError, cut } from './errors.ts';
import type { Env } from './service.ts';

/** Who may ask. */

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1|\[::1\])$/i;

export const isLoopback = (host: string) => LOOPBACK.test(host);

const digest = (text: string) => createHash('sha256').update(text).digest();

/**
 * The key as clients can send it: white space around a header's value is lost on the way. None where nothing else is in
 * it, as of a variable that is set to nothing.
 *
 * @throws InputError for one that does not fit into a header
 */
export function keyOf(given: string | undefined): string | undefined {
  const key = given?.trim();
  if (!key) return undefined;
  if (/^[\x20-\x7e]+$/.test(key)) return key;
  throw new InputError('the API key has characters that no header can carry, expected printable ASCII');
}

/** The key as a bearer token, where there is one. The name of the scheme has no case (RFC 9110, 11.1). */
export function requireKey(key: string | undefined): MiddlewareHandler<Env> {
  const expected = key === undefined ? null : digest(key);
  return async (c, next) => {
    if (expected) {
      const given = /^bearer +(\S.*)$/i.exec(c.req.header('Authorization') ?? '')?.[1]?.trim();
      if (given === undefined || !timingSafeEqual(digest(given), expected)) {
        throw new ApiError(
          401,
          'the API key is missing or wrong, expected the header Authorization: Bearer KEY',
          {
            code: 'invalid_api_key',
            headers: { 'WWW-Authenticate': 'Bearer' },
          },
        );
      }
    }
    await next();
  };
}

/**
 * Keeps pages in a browser on this machine from using a server that listens on loopback without a key: neither from
 * origins that were not allowed, nor by a name of theirs that resolves to loopback.
 */
export function refuseStrangers(loopback: boolean, origins: readonly string[]): MiddlewareHandler<Env> {
  return async (c, next) => {
    const origin = c.req.header('Origin');
    if (origin !== undefined && !origins.includes(origin) && !origins.includes('*')) {
      throw new ApiError(
        403,
        `pages from ${cut(origin)} may not use this server; --cors ${cut(origin)} allows it`,
      );
    }
    const host = (c.req.header('Host') ?? '').replace(/:\d+$/, '');
    if (loopback && !isLoopback(host)) {
      throw new ApiError(403, `the server listens on loopback and is not called ${cut(host)}`);
    }
    await next();
  };
}
