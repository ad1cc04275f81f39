import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  type LogProbScorer,
  planExamples,
  type Row,
  scoreExamples,
  scoreOfPlan,
  scorePlan,
} from './harness.ts';
import type { Encode } from './task.ts';

/** Of lm-evaluation-harness: test/golden/make_lm_eval_prompts.py. */
const golden = JSON.parse(
  readFileSync(new URL('../../test/golden/lm-eval-prompts.json', import.meta.url), 'utf8'),
) as { windows: { tokens: number; longest: number; windows: [number[], number[]][] }[] };

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

  it.each(golden.windows)('reads $tokens tokens in windows of $longest as lm-evaluation-harness', (one) => {
    const ids = Array.from({ length: one.tokens }, (_, i) => i + 1);
    const plan = planExamples('whole', [{ whole: 'text' }], {
      ...{ encode: () => ids, contextLength: one.longest, prefix: 0 },
    });
    const windows = plan.examples[0]!.slots.map(({ row, span }) => {
      const { ids, spans } = plan.rows[row]!;
      const { from, to } = spans[span]!;
      return [ids.slice(0, from), ids.slice(from, to)];
    });
    // A window of the harness begins with the token before it, which is asked for nothing.
    const wanted = one.windows.map(([before, predicted]) => [before, predicted]);
    expect(windows).toEqual(wanted);
    expect(plan.examples[0]).toMatchObject({ whole: true, goldTokens: one.tokens });
  });

  it('adds up the windows of a whole text, of which nothing is right', async () => {
    const plan = planExamples('whole', [{ whole: 'abcd' }], { encode, contextLength: 2, prefix: 96 });
    const score = await scorePlan(successor(), plan);
    expect(score).toMatchObject({ accuracy: 0, examples: 1 });
    expect(score.goldLoss).toBeCloseTo(4 * Math.log(2), 12);
    expect(score.goldLossPerToken).toBeCloseTo(Math.log(2), 12);
    expect(() => planExamples('whole', [{ whole: 'ab' }], encode)).toThrow('begins or ends a text');
    expect(() => planExamples('whole', [{ whole: '' }], { encode, prefix: 1 })).toThrow('at least one token');
  });

  it('takes the beginning from what is longer than the context', () => {
    const plan = planExamples(
      'long',
      [
        { context: 'abcdef', answer: 'gh' },
        { context: 'abcdef', options: ['g', 'h'], gold: 0 },
      ],
      { encode, contextLength: 3 },
    );
    // The last token is only predicted: the row may have one more than the context.
    expect(plan.rows).toEqual([
      { ids: encode('efgh'), spans: [{ from: 2, to: 4 }] },
      {
        ids: encode('def'),
        spans: [0, 1].slice(1).map(() => ({ from: 3, to: 3, candidates: encode('gh') })),
      },
    ]);
    expect(() =>
      planExamples('long', [{ context: 'a', answer: 'bcde' }], { encode, contextLength: 3 }),
    ).toThrow('its continuation has 4 tokens, expected at most 3');
  });

  it('tells options that are likely for their length, and what would be written', async () => {
    const plan = planExamples(
      'norm',
      [
        { context: 'xa', options: ['bcd', 'x'], gold: 0, lengths: [3, 1] },
        { context: 'xa', options: ['b', 'c'], gold: 1, lengths: [1, 1] },
      ],
      encode,
    );
    const scorer: LogProbScorer = {
      score: async (rows) =>
        rows.map(({ spans }) =>
          spans.map(({ from, to, candidates }) => ({
            ...{ logProb: from - to - 0.1, greedy: from + 1 === to },
            ...(candidates && { candidates: [-1, -2], best: candidates[1]! }),
          })),
        ),
    };
    const scores = await scoreExamples(scorer, plan);
    expect(scores.map(({ greedy }) => greedy)).toEqual([
      [false, true],
      [false, true],
    ]);
    expect(scoreOfPlan(plan, scores)).toMatchObject({ accuracy: 0, accuracyNorm: 0.5 });
    expect((await scorePlan(scorer, plan)).accuracyNorm).toBe(0.5);
  });
});
