import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { FILTERS, isRight, WRITING } from './written.ts';

/** Of lm-evaluation-harness: test/golden/make_lm_eval_prompts.py. */
const golden = JSON.parse(
  readFileSync(new URL('../../test/golden/lm-eval-prompts.json', import.meta.url), 'utf8'),
) as {
  until: { until: string[] };
  written: ({ text: string } & Record<string, string>)[];
  matches: { answer: string; target: string; right: number }[];
};

test('answers end where they do in lm-evaluation-harness', () => {
  expect(WRITING.until).toEqual(golden.until.until);
});

test.each(golden.written)('takes the same answers out of $text', ({ text, ...answers }) => {
  const found = Object.entries(FILTERS).map(([name, extract]) => [name, extract(text)]);
  expect(Object.fromEntries(found)).toEqual(answers);
});

test.each(golden.matches)('compares $answer with $target', ({ answer, target, right }) => {
  expect(Number(isRight(answer, target))).toBe(right);
});
