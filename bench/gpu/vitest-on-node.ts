import assert from 'node:assert/strict';
import * as nodeTest from 'node:test';
import { format } from 'node:util';

/**
 * What test/extra/webgpu takes from vitest, upon Node.js' own runner: the bundle puts this in its place, so that the
 * same tests run on a machine that has nothing but a GPU driver.
 */

type Body = (...args: never[]) => unknown;
type Register = (name: string, body: () => void | Promise<void>) => unknown;

function registering(register: Register, skip: Register) {
  const one = (name: string, body: Body) => void register(name, body as () => Promise<void>);
  return Object.assign(one, {
    each: (cases: readonly unknown[]) => (name: string, body: Body) => {
      for (const each of cases) {
        const args = Array.isArray(each) ? each : [each];
        one(format(name, ...args), () => body(...(args as never[])));
      }
    },
    skipIf: (skipped: unknown) =>
      skipped ? (name: string, body: Body) => void skip(name, body as () => void) : one,
  });
}

export const describe = registering(nodeTest.describe, nodeTest.describe.skip);
export const test = registering(nodeTest.test, nodeTest.test.skip);
export const beforeAll = nodeTest.before;
export const afterAll = nodeTest.after;

function thrown(error: unknown, message: string | RegExp | undefined): void {
  const text = error instanceof Error ? error.message : String(error);
  if (typeof message === 'string') assert.ok(text.includes(message), `"${text}" does not say "${message}"`);
  else if (message) assert.match(text, message);
}

export function expect(found: unknown, about = '') {
  const holds = (right: boolean, what: string, other: unknown) =>
    assert.ok(right, format('%s %o is not %s %o', about, found, what, other));
  return {
    toBe: (other: unknown) =>
      assert.ok(Object.is(found, other), format('%s %o is not %o', about, found, other)),
    toEqual: (other: unknown) => assert.deepEqual(found, other, about || undefined),
    toBeLessThan: (other: number) => holds((found as number) < other, 'less than', other),
    toBeLessThanOrEqual: (other: number) => holds((found as number) <= other, 'at most', other),
    toBeGreaterThan: (other: number) => holds((found as number) > other, 'more than', other),
    toBeCloseTo: (other: number, digits = 2) =>
      holds(Math.abs((found as number) - other) < 0.5 * 10 ** -digits, 'close to', other),
    toContain: (other: unknown) => holds([...(found as Iterable<unknown>)].includes(other), 'with', other),
    toThrow: (message?: string | RegExp) => {
      try {
        (found as () => void)();
      } catch (error) {
        return thrown(error, message);
      }
      assert.fail(`${about} nothing was thrown`);
    },
    rejects: {
      toThrow: async (message?: string | RegExp) => {
        const error = await (found as Promise<unknown>).then(
          () => assert.fail(`${about} nothing was thrown`),
          (error: unknown) => error,
        );
        thrown(error, message);
      },
    },
  };
}

export const vi = {
  spyOn<K extends string, F extends (...args: never[]) => unknown>(object: Record<K, F>, name: K) {
    const original = object[name];
    const calls: unknown[][] = [];
    const spy = {
      mock: { calls },
      mockImplementation(implementation: F) {
        object[name] = ((...args: never[]) => {
          calls.push(args);
          return implementation(...args);
        }) as F;
        return spy;
      },
      mockRestore: () => {
        object[name] = original;
      },
    };
    return spy;
  },
};
