import { expect, test } from 'vitest';
import { tinyConfig } from '../../../test/support/random-model.ts';
import type { Example } from './examples.ts';
import { shownForecast, tokensAhead } from './forecast.ts';

const tail = { ids: Array.from({ length: 10 }, () => 0), places: [8] };
const example = (prefix: number): Example => ({
  ...{ prefix: Array.from({ length: prefix }, () => 0), tails: [tail, tail], distances: [300, 400] },
  kinds: ['number', 'word'],
});
const ahead = {
  config: tinyConfig([{ kind: 'attention' }, { kind: 'attention' }]),
  searched: [example(1000), example(3000)],
  reported: [example(1000)],
  ...{ windows: [128], fromFull: false, fewest: 1, budgets: 1, placements: 5 },
};

test('what a search is going to read: tails for every choice, texts for every placement that is judged', () => {
  const { numKvHeads, layers } = ahead.config;
  const choices = 1 + layers.length * numKvHeads + layers.length;
  const tokens = tokensAhead(ahead);
  // Placements share their first layers: half of the tails' tokens, of two texts.
  expect(tokens.scores).toBe((2 * 20 * choices) / 2);
  expect(tokens.judgement).toBe(5 * (1000 + 20));
  // The whole model is scored over texts of at most 2,048 tokens: one of the two is read again.
  const both = tokensAhead({ ...ahead, fromFull: true });
  expect(both.scores - tokens.scores).toBe(1000 + (20 * (1 + layers.length * numKvHeads)) / 2);
  // Then heads are taken away, 4, 3 and 2 being left: the longer text is judged by when few see everything.
  expect(tokens.elimination).toBe(0);
  expect(tokensAhead({ ...ahead, fromFull: true, fewest: 3 }).elimination).toBe(1000 + (20 * 4) / 2);
  expect(tokensAhead({ ...ahead, budgets: 3 }).exchanges).toBe(3 * tokens.exchanges);
});

test('told in the unit that fits', () => {
  expect(shownForecast(ahead, 10_000)).toMatch(
    /^the search takes about \d seconds on this machine: elimination 0, scores [\d.]+, exchanges \d, judgement 0\.5$/,
  );
  expect(shownForecast(ahead, 50)).toMatch(/about \d+ minutes/);
  expect(shownForecast(ahead, 1)).toMatch(/about \d+ hours/);
});
