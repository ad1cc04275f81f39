import { expect, test } from 'vitest';
import { scorePlan } from './harness.ts';
import { planText } from './held-out-text.ts';

const words = Array.from({ length: 3000 }, (_, i) => String(i));
const text = words.join(' ');
/** A token per word; the first and the last of a cut may be parts of one. */
const encode = (cut: string) => cut.split(' ').filter(Boolean).map(Number);

test('rows of the text from all over it, drawn by the seed alone', () => {
  const plan = planText('text', text, encode, { rows: 40, length: 6, seed: 1 });
  expect(plan.longest).toBe(6);
  for (const { ids } of plan.rows) {
    expect(ids).toHaveLength(6);
    expect(ids.slice(1)).toEqual(ids.slice(1).map((_, i) => ids[1]! + i));
  }
  const starts = plan.rows.map(({ ids }) => ids[1]!);
  expect(Math.min(...starts)).toBeLessThan(600);
  expect(Math.max(...starts)).toBeGreaterThan(2400);
  expect(planText('text', text, encode, { rows: 40, length: 6, seed: 1 })).toEqual(plan);
  expect(planText('text', text, encode, { rows: 40, length: 6, seed: 2 }).rows).not.toEqual(plan.rows);
});

test('every token but the first of a row is asked for, and counts once in the loss per token', async () => {
  const plan = planText('text', text, encode, { rows: 3, length: 5, seed: 1 });
  expect(plan.rows.map(({ spans }) => spans)).toEqual([1, 2, 3].map(() => [{ from: 1, to: 5 }]));
  // A model that gives each token half a nat.
  const score = await scorePlan(
    {
      score: async (rows) =>
        rows.map(({ spans }) =>
          spans.map(({ from, to }) => ({ logProb: -0.5 * (to - from), greedy: false })),
        ),
    },
    plan,
  );
  expect(score).toMatchObject({ examples: 3, accuracy: 0, goldLoss: 2, goldLossPerToken: 0.5 });
});

test('a text of one token is refused', () => {
  expect(() => planText('text', '7', encode, { rows: 1, length: 5, seed: 1 })).toThrow(
    expect.objectContaining({
      name: 'InputError',
      message: "text: expected text of at least two tokens, got '7'",
    }),
  );
});

/** A token is a character, which tells where it stood. */
const characters = Array.from({ length: 4001 }, (_, i) => String.fromCharCode(0x4e00 + i)).join('');
const codes = (part: string) => [...part].map((letter) => letter.charCodeAt(0) - 0x4e00);
const idsOf = (options: Omit<Parameters<typeof planText>[3], 'length'>) =>
  planText('held-out-loss', characters, codes, { length: 8, ...options }).rows.flatMap(({ ids }) => ids);

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
  expect(planText('held-out-loss', 'abc', codes, short).rows).toHaveLength(1);
  expect(() => planText('held-out-loss', 'abc', codes, { ...short, half: 'second' })).toThrow(
    "held-out-loss: expected text whose second half is of at least two tokens, got 'c'",
  );
});
