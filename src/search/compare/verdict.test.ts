import { expect, test } from 'vitest';
import { sampleComparison, type Wanted } from '../../../test/report/sample-comparison.ts';
import { baselineOf, verdictOf } from './verdict.ts';

const verdict = (hybrid: Wanted, baseline?: Wanted) => {
  const { headline, points } = sampleComparison(hybrid, baseline).verdicts[0]!;
  return { headline, points, text: points.map(({ kind, text }) => `${kind}: ${text}`).join('\n') };
};

test.each<[number, string]>([
  [-0.1, 'kept: Text: as good as the parent (−0.100 nats a token'],
  [0.02, 'kept: Text: as good as the parent (+0.020'],
  [0.1, 'kept: Text: near the parent'],
  [0.11, 'lost: Text: noticeably worse'],
  [0.31, 'lost: Text: much worse'],
])('a change of %f nats', (change, words) => {
  expect(verdict({ change }).text).toContain(words);
});

test.each<[string, Wanted, string]>([
  ['all is kept', {}, "hybrid can take its parent's place"],
  [
    'recall ends early',
    { recall: { 512: 1, 1024: 0.5 } },
    'for text up to 512 tokens, not to look things up further back',
  ],
  ['nothing is found', { recall: { 512: 0.1, 1024: 0 } }, 'where what matters stands nearby, not to look'],
  ['text is lost', { change: 0.2 }, 'finds what its parent finds, but writes worse text'],
  ['text is much worse', { change: 0.5 }, "is not usable in its parent's place yet"],
  [
    'both',
    { change: 0.2, recall: { 512: 0.1, 1024: 0 } },
    'noticeably worse than its parent, and does not find',
  ],
])('a headline: %s', (_, hybrid, headline) => {
  expect(verdict(hybrid).headline).toContain(headline);
});

test('recall is told by the longest text that holds, and how much is left of it', () => {
  expect(verdict({}).text).toContain(
    'kept: Recall: finds what a text of 1,024 tokens told, as the parent does',
  );
  expect(verdict({ recall: { 512: 1, 1024: 0.5 } }).text).toContain(
    'lost: Recall: finds what a text told up to 512 tokens; of 1,024 tokens it finds 50 %',
  );
});

test('tasks by their share; none where the parent has none', () => {
  expect(verdict({ share: 0.97 }).text).toContain('kept: Tasks kept: arc_easy 97 %');
  expect(verdict({ share: 0.8 }).text).toContain('lost: Tasks kept in part: arc_easy 80 %');
  expect(verdict({ share: -0.2 }).text).toContain('lost: Tasks lost: arc_easy 0 %');
  expect(verdict({ share: null }).text).not.toContain('arc_easy');
});

test('what so few examples or rows of text leave open is said to be open', () => {
  for (const share of [1, 0.8]) {
    expect(verdict({ share, examples: 20 }).text).toMatch(
      /open: Tasks undecided by so few examples: arc_easy \d+ % \(-?\d+ % to \d+ %\)/,
    );
  }
  expect(verdict({ share: 0, examples: 20 }).text).toContain('lost: Tasks lost: arc_easy 0 %');
  const { models, context } = sampleComparison({ change: 0.12 });
  const unsure = models.map((model) => ({ ...model, text: { ...model.text, margin: 0.15 } }));
  expect(verdictOf({ models: unsure, context }, 1).points[0]!.text).toContain(
    'noticeably worse than the parent (+0.120 nats a token, the same most probable token 90 % of the time, ' +
      'divergence 0.050; these rows of text (±0.150) leave open what lies between "as good as" and "noticeably worse than").',
  );
});

test('a hybrid that a window of equal bytes beats is told so', () => {
  const against = (hybrid: Wanted, baseline: Wanted) =>
    verdict(hybrid, { bytes: 9e5, ...baseline }).points.find(({ text }) =>
      text.includes('windows of equal bytes'),
    )!;
  expect(against({ change: 0.05 }, { change: 0.1 })).toMatchObject({ kind: 'kept' });
  expect(against({ change: 0.05 }, { change: 0.1 }).text).toMatch(
    /^Better than windows .*100 \+ 4 tokens.*−0.050/,
  );
  expect(against({ change: 0.05 }, { change: 0.05 }).text).toMatch(/^No better than/);
  expect(against({ change: 0.5 }, { change: 0.1 })).toMatchObject({ kind: 'lost' });
  expect(against({ change: 0.5 }, { change: 0.1 }).text).toMatch(/^Worse than/);
  const recall = { 512: 0.2, 1024: 0.2 };
  expect(against({ change: 0.1 }, { change: 0.05, recall }).text).toMatch(/^Against/);
  expect(verdict({ change: 0.5 }, { change: 0.1 }).text).toContain('next: Next: train it longer');
});

test('a placement of the parent is not to be trained, but to see more', () => {
  const next = (hybrid: Wanted) => {
    const { models, context } = sampleComparison(hybrid, { change: 0.1 });
    const placed = models.map((model, i) => (i === 1 ? { ...model, placed: true as const } : model));
    return verdictOf({ models: placed, context }, 1).points.at(-1)!.text;
  };
  expect(next({ change: 0.5 })).toMatch(/^Next: for better text, give the other heads longer windows/);
  expect(next({ recall: { 512: 1, 1024: 0.2 } })).toMatch(/^Next: for look-ups, let more KV heads see/);
  expect(next({})).toMatch(/^Next: use it/);
});

test('what the rows of text cannot tell apart is not better', () => {
  const { models, context } = sampleComparison({ change: 0.05 }, { change: 0.1 });
  const unsure = models.map((model) => ({ ...model, text: { ...model.text, margin: 0.04 } }));
  const { points } = verdictOf({ models: unsure, context }, 1);
  expect(points.map(({ text }) => text).join()).toContain('No better than windows of equal bytes');
});

test('memory and speed at the context and at the longest text measured', () => {
  expect(verdict({}).text).toContain(
    'cost: Memory: 4.0 times less than the parent for a sequence of 1,024 tokens, 4.0 times less than it after 65,536 tokens, where it writes 1.00 times as fast here.',
  );
});

test('a hybrid that takes as much as its parent, or more', () => {
  expect(verdict({ bytes: 4e6 }).text).toContain('Memory: as much as the parent for a sequence of 1,024');
  expect(verdict({ bytes: 8e6 }).text).toContain('Memory: 2.0 times more than the parent');
});

test('a baseline of fewer bytes is none', () => {
  const { models } = sampleComparison({ bytes: 3e6 }, { bytes: 1e6 });
  const others = models.map((model) => (model.role === 'baseline' ? { ...model, of: 9 } : model));
  expect(baselineOf(others, 1)).toBeUndefined();
  const near = others.map((model) => (model.role === 'baseline' ? { ...model, stateBytes: 2.98e6 } : model));
  expect(baselineOf(near, 1)).toBe(near[2]);
});
