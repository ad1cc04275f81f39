import { expect, test } from 'vitest';
import { placed, sampleReach } from '../../../test/report/sample-reach.ts';
import { choosePlacement, keptRecall, parentOf, textChange } from './choose.ts';

test('the cheapest that keeps the parent is taken', () => {
  expect(choosePlacement(sampleReach(), false)).toMatchObject({ chosen: 3 });
  // With one head nearly all is found close by, and far away 95 %.
  const one = sampleReach([19, 20]);
  one.placements[2]!.quality.recall[0]!.right = 19;
  expect(choosePlacement(one, false)).toMatchObject({ chosen: 2 });
});

test('where none keeps the parent the best is taken, and said to be no more', () => {
  const { chosen, reason } = choosePlacement(sampleReach([10, 18]), false);
  expect(chosen).toBe(3);
  expect(reason).toMatch(/^the best of those tried, of which none keeps 95 %/);
});

test('text counts too', () => {
  const result = sampleReach();
  result.placements[3]!.quality.text!.loss = 3.06;
  expect(choosePlacement(result, false).reason).toMatch(/of which none/);
});

test('of a budget of the user the best is taken, whatever it keeps', () => {
  const { chosen, reason } = choosePlacement(sampleReach([0, 1]), true);
  expect(chosen).toBe(3);
  expect(reason).toBe('the best that the budget allows: 2 KV heads that see everything');
});

test('what the parent itself does not find is not asked for', () => {
  const result = sampleReach([0, 0]);
  const parent = parentOf(result);
  parent.quality.recall[1]!.right = 9;
  expect(keptRecall(result.placements[3]!, parent)).toEqual([1, null]);
  expect(choosePlacement(result, false)).toMatchObject({ chosen: 3 });
  const quiet = placed('refined', [[], [], [], []], { recall: [], text: null });
  expect(textChange(quiet, parent)).toBeNull();
});
