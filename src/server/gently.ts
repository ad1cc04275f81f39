import type { Context } from 'hono';
import { turn } from '../util/turn.ts';

/** Long work on the event loop in slices, between which it turns. */

/** Milliseconds. */
const SLICE = 10;

/** Elements of a list that are looked at without a look at the clock. */
const FEW = 64;

/** Lets the event loop turn where a slice's time is over. */
export function slices(): () => Promise<void> | undefined {
  let began = performance.now();
  return () => {
    if (performance.now() - began < SLICE) return undefined;
    return turn().then(() => {
      began = performance.now();
    });
  };
}

export async function mapGently<T, U>(list: readonly T[], each: (value: T) => U): Promise<U[]> {
  const pause = slices();
  const results: U[] = [];
  for (const [i, value] of list.entries()) {
    results.push(each(value));
    if (i % FEW === FEW - 1) await pause();
  }
  return results;
}

/** As JSON.stringify, for plain data with long lists. */
export async function stringifyGently(value: unknown, pause = slices()): Promise<string> {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const parts: string[] = [];
  if (!Array.isArray(value)) {
    for (const [key, of] of Object.entries(value)) {
      if (of !== undefined) parts.push(`${JSON.stringify(key)}:${await stringifyGently(of, pause)}`);
    }
    return `{${parts.join()}}`;
  }
  if (value.length <= FEW) {
    for (const element of value) parts.push(await stringifyGently(element, pause));
  } else {
    for (let i = 0; i < value.length; i += FEW) {
      parts.push(JSON.stringify(value.slice(i, i + FEW)).slice(1, -1));
      await pause();
    }
  }
  return `[${parts.join()}]`;
}

/** Answers that may be long: as `c.json`. */
export async function jsonAnswer(c: Context, value: unknown): Promise<Response> {
  return c.body(await stringifyGently(value), 200, { 'Content-Type': 'application/json' });
}
