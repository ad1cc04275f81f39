import { describe, expect, it } from 'vitest';
import { type LogProbScorer, planExamples, type Row, scorePlan } from './harness.ts';
import type { Encode } from './task.ts';

/** One token per character, except that 'th' is one. */
const encode: Encode = (text) =>
  (text.match(/th|./gs) ?? []).map((piece) => piece.charCodeAt(0) + 256 * (piece.length - 1));

/** Token t has probability 1/2 after t - 1, else 1/1000; records what it was asked. */
function successor(): LogProbScorer & { asked: Row[] } {
  const asked: Row[] = [];
  const logProb = (id: number, before: number) => Math.log(id === before + 1 ? 1 / 2 : 1 / 1000);
  return {
    asked,
    async score(rows) {
      asked.push(...rows);
      return rows.map(({ ids, spans }) =>
        spans.map(({ from, to, candidates }) => {
          const inside = ids.slice(from, to);
          return {
            logProb: inside.reduce((sum, id, i) => sum + logProb(id, ids[from + i - 1]!), 0),
            greedy: inside.every((id, i) => id === ids[from + i - 1]! + 1),
            candidates: candidates?.map((id) => logProb(id, ids[from - 1]!)),
          };
        }),
      );
    },
  };
}

describe('scoreExamples', () => {
  it('takes greedy exactness and the loss of answers', async () => {
    const plan = planExamples(
      'answers',
      [
        { context: 'ab', answer: 'cd' },
        { context: 'xb', answer: 'ce' },
      ],
      encode,
    );
    const score = await scorePlan(successor(), plan);
    const loss = 3 * Math.log(2) + Math.log(1000);
    expect(score).toMatchObject({ name: 'answers', examples: 2, accuracy: 0.5 });
    expect(score.goldLoss).toBeCloseTo(loss / 2, 12);
    expect(score.goldLossPerToken).toBeCloseTo(loss / 4, 12);
  });

  it('folds options of one token into candidates of one row', async () => {
    const scorer = successor();
    const example = { context: 'xa', options: ['c', 'b', 'z'], gold: 1 };
    const score = await scorePlan(scorer, planExamples('one', [example, { ...example, gold: 0 }], encode));
    expect(scorer.asked).toHaveLength(1);
    expect(scorer.asked[0]).toEqual({
      ids: encode('xa'),
      spans: [0, 1].map(() => ({ from: 2, to: 2, candidates: encode('cbz') })),
    });
    expect(score.accuracy).toBe(0.5);
    expect(score.goldLoss).toBeCloseTo((Math.log(2) + Math.log(1000)) / 2, 12);
  });

  it('takes the first of options that are equally likely', async () => {
    const undecided: LogProbScorer = {
      score: async (rows) =>
        rows.map(({ spans }) =>
          spans.map(({ candidates = [] }) => ({
            ...{ logProb: -1, greedy: true },
            candidates: candidates.map(() => -1),
          })),
        ),
    };
    for (const [gold, accuracy] of [
      [0, 1],
      [1, 0],
    ] as const) {
      const plan = planExamples('tie', [{ context: 'a b', options: [' x', ' y'], gold }], encode);
      expect(await scorePlan(undecided, plan)).toMatchObject({ accuracy, goldLoss: 1 });
    }
  });

  it('gives longer options rows of their own', async () => {
    const scorer = successor();
    const score = await scorePlan(
      scorer,
      planExamples('two', [{ context: 'xa', options: ['bd', 'bc'], gold: 1 }], encode),
    );
    expect(scorer.asked.map(({ ids, spans }) => [ids.length, spans])).toEqual([
      [4, [{ from: 2, to: 4 }]],
      [4, [{ from: 2, to: 4 }]],
    ]);
    expect(score.accuracy).toBe(1);
  });

  it('scores one continuation after several contexts', async () => {
    const scorer = successor();
    const plan = planExamples('partial', [{ contexts: ['xx', 'xa'], continuation: 'bc', gold: 1 }], encode);
    expect((await scorePlan(scorer, plan)).accuracy).toBe(1);
    expect(scorer.asked).toHaveLength(2);
  });

  it('asks growing contexts in one row', () => {
    const plan = planExamples(
      'grow',
      [
        { context: 'a', answer: 'b' },
        { context: 'abxx', answer: 'yz' },
        { context: 'q', answer: 'r' },
      ],
      encode,
    );
    expect(plan.rows).toEqual([
      {
        ids: encode('abxxyz'),
        spans: [
          { from: 1, to: 2 },
          { from: 4, to: 6 },
        ],
      },
      { ids: encode('qr'), spans: [{ from: 1, to: 2 }] },
    ]);
    expect(plan.longest).toBe(6);
  });

  it('moves trailing spaces to the continuation and takes the difference by length', () => {
    const spaced = planExamples('space', [{ context: 'ab  ', answer: 'c' }], encode);
    expect(spaced.rows[0]).toEqual({ ids: encode('ab  c'), spans: [{ from: 2, to: 5 }] });
    // 't' + 'he' tokenises as 'th', 'e': the first token counts as context.
    const merged = planExamples('merge', [{ context: 't', answer: 'he' }], encode);
    expect(merged.rows[0]).toEqual({ ids: encode('the'), spans: [{ from: 1, to: 2 }] });
  });

  it('names what is wrong with an example', () => {
    expect(() => planExamples('x', [], encode)).toThrow('no examples');
    expect(() => planExamples('x', [{ context: ' ', answer: 'b' }], encode)).toThrow(
      'context of at least one token',
    );
    expect(() => planExamples('x', [{ context: 'a', answer: '' }], encode)).toThrow(
      'continuation of at least one',
    );
    expect(() => planExamples('x', [{ context: 'a', options: ['b'], gold: 1 }], encode)).toThrow(
      'gold 1 is none of 1',
    );
  });
});
