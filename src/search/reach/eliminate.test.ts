import { expect, test } from 'vitest';
import { eightHeads, FakeJudge, fourLayersWith } from '../../../test/support/reach-judging.ts';
import { eliminate } from './eliminate.ts';
import { fullHeadsOf } from './placement.ts';
import { unitKey } from './refine.ts';
import { LONGEST_FULL } from './scores.ts';

const full = fourLayersWith(...eightHeads.map(unitKey));

/** Two heads that do the same, of which one is enough; two that only work together; one that helps a little. */
const worth = (own: ReadonlySet<string>) =>
  (own.has('0.0') || own.has('0.1') ? 1 : 0) +
  (own.has('1.0') && own.has('2.1') ? 0.8 : 0) +
  (own.has('3.0') ? 0.1 : 0);

test('what works together stays together, of what does the same one is left', async () => {
  const judge = new FakeJudge(worth);
  const order = (await eliminate(judge, full, eightHeads, { fewest: 1, name: 'heads' })).map(unitKey);
  expect([...order].sort()).toEqual(eightHeads.map(unitKey).sort());
  const first = new Set(order.slice(0, 4));
  expect(first.has('0.0') || first.has('0.1')).toBe(true);
  for (const needed of ['1.0', '2.1']) expect(first).toContain(needed);
  // By what single heads bring to windows, the two that need each other bring nothing.
  expect(worth(new Set(['1.0']))).toBe(0);
});

test('long texts are left out as long as many heads see everything', async () => {
  const judge = new FakeJudge(worth);
  await eliminate(judge, full, eightHeads, { fewest: 1, name: 'heads' });
  expect(judge.longest[0]).toBe(LONGEST_FULL);
  expect(judge.longest.at(-1)).toBe(Number.POSITIVE_INFINITY);
  // It reads with what is left.
  expect(fullHeadsOf(judge.reader)).toBe(2);
});

test('no more are taken away than the smallest placement asks for', async () => {
  const judge = new FakeJudge(worth);
  const order = await eliminate(judge, full, eightHeads, { fewest: 4, name: 'heads' });
  expect(order.length).toBe(8);
  expect(fullHeadsOf(judge.reader)).toBe(5);
});
