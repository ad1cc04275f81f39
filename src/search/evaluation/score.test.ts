import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type LogProbScorer, planExamples, scoreExamples } from '../../tasks/harness.ts';
import { fileName, scoreInParts } from './score.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'postnas-scores-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const encode = (text: string) => [...text].map((character) => character.codePointAt(0)!);
/** Neighbours grow out of one another, so that parts share rows. */
const plan = planExamples(
  'a task',
  Array.from({ length: 600 }, (_, i) => ({ context: 'ab'.repeat((i % 7) + 1), answer: 'ab' })),
  encode,
);

/** A span's score says what it is of; the n-th call fails. */
function scorer(failing = 0): LogProbScorer & { calls: number; rows: number } {
  return {
    ...{ calls: 0, rows: 0 },
    async score(rows, options) {
      if (++this.calls === failing) throw new Error('interrupted');
      this.rows += rows.length;
      options?.onProgress?.({ stage: 'score', done: 1, total: 2, unit: 'rows' });
      return rows.map(({ ids, spans }) =>
        spans.map(({ from, to }) => ({ logProb: -(from + to + ids[from]!), greedy: true })),
      );
    },
  };
}

test('parts give what the whole gives', async () => {
  const told: number[] = [];
  const { found } = await scoreInParts(scorer(), plan, { onProgress: ({ done }) => told.push(done) });
  expect(found).toEqual(await scoreExamples(scorer(), plan));
  expect(told).toEqual(told.toSorted((a, b) => a - b));
  expect([told[0], told.at(-1)]).toEqual([0, 600]);
});

test('goes on where it was interrupted, and computes nothing twice', async () => {
  const keeping = { folder, identity: { model: 'one' } };
  await expect(scoreInParts(scorer(3), plan, { keeping })).rejects.toThrow('interrupted');
  expect(existsSync(join(folder, 'kept', `${fileName('a task')}.json`))).toBe(true);
  const rest = scorer();
  const told: number[] = [];
  const { found, seconds } = await scoreInParts(rest, plan, {
    keeping,
    onProgress: ({ done }) => told.push(done),
  });
  expect(rest.calls).toBe(1);
  expect(told[0]).toBe(512);
  expect(found).toEqual(await scoreExamples(scorer(), plan));
  const none = scorer();
  expect(await scoreInParts(none, plan, { keeping })).toEqual({ found, seconds });
  expect(none.calls).toBe(0);
});

test('scores of another model, or of other examples, are refused', async () => {
  await scoreInParts(scorer(), plan, { keeping: { folder, identity: { model: 'one' } } });
  const other = scoreInParts(scorer(), plan, { keeping: { folder, identity: { model: 'two' } } });
  await expect(other).rejects.toThrow(/saved by a run with other settings:\n {2}model: "one" -> "two"/);
  const less = planExamples('a task', [{ context: 'a', answer: 'b' }], encode);
  const fewer = scoreInParts(scorer(), less, { keeping: { folder, identity: { model: 'one' } } });
  await expect(fewer).rejects.toThrow(/examples: others/);
});
