import fc from 'fast-check';
import { expect, test } from 'vitest';
import { mapGently, stringifyGently } from './gently.ts';

test('JSON as JSON.stringify writes it', async () => {
  const long = Array.from({ length: 200 }, (_, i) => ({
    i,
    text: `"${i}\u2028`,
    none: undefined,
    list: [i, null],
  }));
  for (const value of [long, { a: undefined, long, b: [undefined, Number.NaN] }, [], {}, 'x', null, -0]) {
    expect(await stringifyGently(value)).toBe(JSON.stringify(value));
  }
  await fc.assert(
    fc.asyncProperty(fc.jsonValue(), async (value) => {
      expect(await stringifyGently(value)).toBe(JSON.stringify(value));
    }),
  );
});

test('long work lets timers in', async () => {
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  const busy = (i: number) => {
    for (const end = performance.now() + 0.5; performance.now() < end; );
    return 2 * i;
  };
  const list = Array.from({ length: 256 }, (_, i) => i);
  expect(await mapGently(list, busy)).toEqual(list.map((i) => 2 * i));
  clearInterval(timer);
  expect(ticks).toBeGreaterThan(1);
});
