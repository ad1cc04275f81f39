import { expect, test } from 'vitest';
import { placed, sampleReach } from '../../../test/report/sample-reach.ts';
import { choosePlacement, keptRecall, parentOf, textChange } from './choose.ts';

test('the cheapest that keeps the parent is taken', () => {
  expect(choosePlacement(sampleReach(), {})).toMatchObject({ chosen: 3 });
  // With one head nearly all is found close by, and far away 95 %.
  const one = sampleReach([19, 20]);
  one.placements[2]!.quality.recall[0]!.right = 19;
  expect(choosePlacement(one, {})).toMatchObject({ chosen: 2 });
});

test('where none keeps the parent the best is taken, and said to be no more', () => {
  const { chosen, reason } = choosePlacement(sampleReach([10, 18]), {});
  expect(chosen).toBe(3);
  expect(reason).toMatch(/^the best of those tried, of which none keeps 95 %/);
});

test('text counts too', () => {
  const result = sampleReach();
  result.placements[3]!.quality.text!.loss = 3.06;
  expect(choosePlacement(result, {}).reason).toMatch(/of which none/);
});

test('of a budget of the user the best is taken, whatever it keeps', () => {
  const { chosen, reason } = choosePlacement(sampleReach([0, 1]), { heads: 2 });
  expect(chosen).toBe(3);
  expect(reason).toBe('the best that the budget allows: 2 KV heads that see everything');
});

test('what the parent itself does not find is not asked for', () => {
  const result = sampleReach([0, 0]);
  const parent = parentOf(result);
  parent.quality.recall[1]!.right = 9;
  expect(keptRecall(result.placements[3]!, parent)).toEqual([1, null]);
  expect(choosePlacement(result, {})).toMatchObject({ chosen: 3 });
  const quiet = placed('refined', [[], [], [], []], { recall: [], text: null });
  expect(textChange(quiet, parent)).toBeNull();
});

test('the wanted quality decides which is the cheapest that is good enough', () => {
  const result = sampleReach([15, 15]);
  expect(choosePlacement(result, {}).reason).toMatch(/none keeps 95 % .* within 0\.05 nats/);
  const { chosen, reason } = choosePlacement(result, { keep: 0.75, textLoss: 0.2 });
  expect(result.placements[chosen]!.how).toBe('refined');
  expect(reason).toMatch(/^the cheapest that keeps 75 % .* within 0\.2 nats/);
});
