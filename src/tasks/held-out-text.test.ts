import { expect, test } from 'vitest';
import { planText } from './held-out-text.ts';

/** A token is a character, which tells where it stood. */
const text = Array.from({ length: 4000 }, (_, i) => String.fromCharCode(0x4e00 + i)).join('');
const encode = (part: string) => [...part].map((letter) => letter.charCodeAt(0) - 0x4e00);
const rowsOf = (options: Omit<Parameters<typeof planText>[3], 'length'>) =>
  planText('held-out-loss', text, encode, { length: 8, ...options }).rows.map(({ ids }) => ids);

test('rows overlap none of those that they are drawn apart from', () => {
  const searched = new Set(rowsOf({ rows: 30, seed: 7 }).flat());
  expect(
    rowsOf({ rows: 30, seed: 11 })
      .flat()
      .some((id) => searched.has(id)),
  ).toBe(true);
  const judged = rowsOf({ rows: 200, seed: 11, apart: { examples: 30, seed: 7 } });
  expect(judged).toHaveLength(200);
  expect(judged.flat().filter((id) => searched.has(id))).toEqual([]);
  // From everywhere that is free.
  expect(Math.min(...judged.flat())).toBeLessThan(500);
  expect(Math.max(...judged.flat())).toBeGreaterThan(3500);
});

test('a text without room for both is refused', () => {
  expect(() =>
    planText('held-out-loss', text.slice(0, 100), encode, {
      rows: 1,
      length: 8,
      seed: 11,
      apart: { examples: 1, seed: 7 },
    }),
  ).toThrow(/^held-out-loss: the text of 100 characters has no room for a row of 64 beside the 1 others/);
});
