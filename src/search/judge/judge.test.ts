import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { tinyParent, tinySupernet } from '../../../test/support/tiny-network.ts';
import { planExamples } from '../../tasks/harness.ts';
import type { ObjectiveTask } from '../../tasks/objective.ts';
import { Judge, pathOf } from './judge.ts';
import { PathScorer } from './scorer.ts';

const network = tinyParent();
tinySupernet(network);
const scorer = new PathScorer(network, { threads: 1 });
afterAll(() => scorer.dispose());

const encode = (text: string) => [...text].map((letter) => letter.charCodeAt(0) % 64);
const tasks: ObjectiveTask[] = [
  {
    plan: planExamples(
      'pick',
      ['abcdef', 'fedcba', 'cab', 'aabbcc'].map((context) => ({ context, options: ['x', 'y'], gold: 1 })),
      encode,
    ),
    metric: 'accuracy',
  },
  { plan: planExamples('say', [{ context: 'abc', answer: 'def' }], encode), metric: 'loss' },
];

test('pathOf', () => {
  expect(pathOf([0, 2], 4)).toEqual([0, 1, 0, 1]);
  expect(pathOf([], 2)).toEqual([1, 1]);
});

describe('Judge', () => {
  test('scores are means over tasks: accuracy, or minus the loss per token', async () => {
    const judge = new Judge(scorer, 3, tasks);
    const [judged] = await judge.judge([[1]]);
    const expected = await Promise.all(tasks.map(({ plan }) => scorer.scoreTask([[1, 0, 1]], plan)));
    const [[pick], [say]] = expected as [[(typeof expected)[0][0]], [(typeof expected)[0][0]]];
    expect(judged!.score).toBeCloseTo((pick!.accuracy - say!.goldLossPerToken) / 2, 10);
    expect(judged!.tasks.say!.goldLoss).toBeCloseTo(3 * say!.goldLossPerToken, 10);
    expect(judged!.tasks.pick!.accuracy).toBe(pick!.accuracy);
    expect(judge.tokens).toBe(6 + 6 + 3 + 6 + 6);
    // One that does not guide is judged all the same.
    const [first, second] = tasks as [ObjectiveTask, ObjectiveTask];
    const [led] = await new Judge(scorer, 3, [first, { ...second, guides: false }]).judge([[1]]);
    expect(led!.score).toBe(pick!.accuracy);
    expect(led!.tasks).toEqual(judged!.tasks);
  });

  test('a set is judged once, whatever its order; answers come in the order of the questions', async () => {
    const judge = new Judge(scorer, 3, tasks);
    const asked = vi.spyOn(scorer, 'scoreTask');
    const first = await judge.judge([[0, 1], [1, 0], [2]]);
    const again = await judge.judge([[2], [0], [1, 0]]);
    expect(first.map(({ placement }) => placement)).toEqual([[0, 1], [0, 1], [2]]);
    expect(again.map(({ placement }) => placement)).toEqual([[2], [0], [0, 1]]);
    expect(again[0]).toBe(first[2]);
    expect(asked.mock.calls.map(([paths]) => paths.length)).toEqual([2, 2, 1, 1]);
    asked.mockRestore();
  });

  test('goes on with what was judged before, of this network and these tasks alone: else it is refused', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'postnas-judge-'));
    const path = join(dir, 'judged.json');
    const judge = (network = 'one', which = tasks) =>
      new Judge(scorer, 3, which, { keep: { path, network } });
    const asked = vi.spyOn(scorer, 'scoreTask');
    try {
      const first = judge();
      const judged = await first.judge([[0], [1]]);
      asked.mockClear();
      const again = judge();
      expect(await again.judge([[1], [0]])).toEqual([judged[1], judged[0]]);
      expect(asked).not.toHaveBeenCalled();
      // What they cost is counted all the same.
      expect(again.tokens).toBe(first.tokens);
      await again.judge([[2], [0]]);
      expect(asked.mock.calls.map(([paths]) => paths.length)).toEqual([1, 1]);
      asked.mockClear();
      await judge().judge([[0], [1], [2]]);
      expect(asked).not.toHaveBeenCalled();

      expect(() => judge('another')).toThrow(
        /judged\.json .*\n {2}weights of the network: "one" -> "another"\n/,
      );
      expect(() => judge('one', tasks.slice(1))).toThrow(/\n {2}tasks: .* -> say\n/);
      expect(asked).not.toHaveBeenCalled();
      writeFileSync(path, '{"identity');
      await judge().judge([[0]]);
      expect(asked).toHaveBeenCalledTimes(2);
    } finally {
      asked.mockRestore();
      rmSync(dir, { recursive: true });
    }
  });

  test('needs a task', () => {
    expect(() => new Judge(scorer, 3, [])).toThrow(expect.objectContaining({ name: 'InputError' }));
  });
});
