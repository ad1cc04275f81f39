import { expect, test } from 'vitest';
import { planText } from './held-out-text.ts';

/** A token is a character, which tells where it stood. */
const text = Array.from({ length: 4001 }, (_, i) => String.fromCharCode(0x4e00 + i)).join('');
const encode = (part: string) => [...part].map((letter) => letter.charCodeAt(0) - 0x4e00);
const idsOf = (options: Omit<Parameters<typeof planText>[3], 'length'>) =>
  planText('held-out-loss', text, encode, { length: 8, ...options }).rows.flatMap(({ ids }) => ids);

test('rows of the two halves of a text have no token in common', () => {
  const first = idsOf({ rows: 300, seed: 7, half: 'first' });
  const second = idsOf({ rows: 300, seed: 11, half: 'second' });
  expect(first).toHaveLength(2400);
  expect(Math.max(...first)).toBeLessThanOrEqual(2000);
  expect(Math.min(...second)).toBeGreaterThan(2000);
  // Together they are from everywhere.
  expect(Math.min(...first)).toBeLessThan(100);
  expect(Math.max(...second)).toBeGreaterThan(3800);
  const whole = idsOf({ rows: 300, seed: 7 });
  expect(Math.min(...whole)).toBeLessThan(2000);
  expect(Math.max(...whole)).toBeGreaterThan(2000);
});

test('a text too short for two halves is refused', () => {
  const short = { rows: 1, length: 8, seed: 7 } as const;
  expect(planText('held-out-loss', 'abc', encode, short).rows).toHaveLength(1);
  expect(() => planText('held-out-loss', 'abc', encode, { ...short, half: 'second' })).toThrow(
    "held-out-loss: expected text whose second half is of at least two tokens, got 'c'",
  );
});
