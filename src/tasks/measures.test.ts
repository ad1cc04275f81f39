import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Document } from './datasets/document.ts';
import { type ExampleScore, planExamples } from './harness.ts';
import { type Measure, measuresOf, pooled, tokenMeasures } from './measures.ts';

/** Of lm-evaluation-harness: test/golden/make_lm_eval_prompts.py. */
const golden = JSON.parse(
  readFileSync(new URL('../../test/golden/lm-eval-prompts.json', import.meta.url), 'utf8'),
) as {
  stderr: { values: number[]; stderr: number }[];
  pooled: { stderrs: number[]; sizes: number[]; stderr: number }[];
};

const encode = (text: string) => [...text].map((character) => character.codePointAt(0)!);
/** Of questions with two options, the first of which is right; the second is as long as two of it. */
const choices = (count: number) =>
  planExamples(
    'task',
    Array.from({ length: count }, () => ({ context: 'ab', options: ['c', 'dd'], gold: 0, lengths: [1, 2] })),
    encode,
  );
const scoresOf = (logProbs: readonly (readonly number[])[]): ExampleScore[] =>
  logProbs.map((each) => ({ logProbs: [...each], greedy: each.map(() => false) }));
const named = (measures: readonly Measure[]) =>
  Object.fromEntries(measures.map((measure) => [measure.metric, measure]));

test('accuracies, plain and over the length, with the gold loss', () => {
  const found = named(
    measuresOf(
      choices(4),
      scoresOf([
        [-1, -3],
        [-3, -2],
        [-1, -1.5],
        [-2, -2],
      ]),
    ),
  );
  // A tie goes to the first option.
  expect(found.acc).toMatchObject({ value: 0.75, higherIsBetter: true, filter: 'none' });
  expect(found.acc!.stderr).toBeCloseTo(Math.sqrt((0.75 * 0.25 * 4) / 3 / 4), 12);
  expect(found.acc_norm).toMatchObject({ value: 0.25 });
  expect(found.gold_loss).toMatchObject({ value: 7 / 4, higherIsBetter: false });
  expect(found.gold_loss_per_token!.value).toBe(7 / 4);
});

test.each(golden.stderr)(
  'the standard error of a mean is that of the harness: $values',
  ({ values, stderr }) => {
    const losses = named(measuresOf(choices(values.length), scoresOf(values.map((value) => [-value, -9]))));
    expect(losses.gold_loss!.stderr).toBeCloseTo(stderr, 12);
  },
);

test("a share has Wilson's interval, also where all are right", () => {
  const all = named(measuresOf(choices(10), scoresOf(Array.from({ length: 10 }, () => [-1, -3]))));
  expect(all.acc).toMatchObject({ value: 1, stderr: 0 });
  // 10 / (10 + z^2) = 0.7225 for ten of ten.
  expect(all.acc!.interval![0]).toBeCloseTo(0.7225, 4);
  expect(all.acc!.interval![1]).toBeCloseTo(1, 12);
  const one = named(measuresOf(choices(1), scoresOf([[-1, -3]])));
  expect(one.acc!.stderr).toBeUndefined();
  expect(one.gold_loss!.interval).toBeUndefined();
});

test('perplexity of answers, whose bootstrap agrees with the first-order error', () => {
  const losses = Array.from({ length: 400 }, (_, i) => 2 + Math.sin(i));
  const documents: Document[] = losses.map((_, i) => ({ text: `${i}`, target: ' x' }));
  const plan = planExamples(
    'answers',
    losses.map(() => ({ context: 'ab', answer: 'c' })),
    encode,
  );
  const { perplexity } = named(measuresOf(plan, scoresOf(losses.map((loss) => [-loss])), { documents }));
  const mean = losses.reduce((a, b) => a + b) / 400;
  expect(perplexity!.value).toBeCloseTo(Math.exp(mean), 10);
  const deviation = Math.sqrt(losses.reduce((sum, loss) => sum + (loss - mean) ** 2, 0) / 400);
  const expected = (Math.exp(mean) * deviation) / 20;
  expect(Math.abs(perplexity!.stderr! / expected - 1)).toBeLessThan(0.05);
  expect(perplexity!.interval![0]).toBeLessThan(Math.exp(mean));
  expect(perplexity!.interval![1]).toBeGreaterThan(Math.exp(mean));
});

test('answers that were written', () => {
  const documents: Document[] = [
    { question: 'Q', target: '1 + 1 = 2\n#### 2' },
    { question: 'Q', target: '#### 3' },
  ];
  const plan = planExamples('written', [choice(), choice()], encode);
  const measures = measuresOf(plan, scoresOf([[-1], [-1]]), {
    documents,
    written: ['It is 2.', '#### 3 or 4'],
  });
  expect(measures.slice(0, 2)).toMatchObject([
    { metric: 'exact_match', filter: 'flexible-extract', value: 0.5 },
    { metric: 'exact_match', filter: 'strict-match', value: 0.5 },
  ]);
});
const choice = () => ({ context: 'ab', answer: 'c' });

test('whole texts by words and bytes', () => {
  const page = 'Ein  Wörtchen mehr';
  const plan = planExamples('text', [{ whole: page }], { encode, prefix: 0 });
  const found = named(
    measuresOf(plan, [{ logProbs: [-36], greedy: [null] }], { documents: [{ page, text: page }] }),
  );
  expect(found.word_perplexity!.value).toBeCloseTo(Math.exp(36 / 3), 6);
  expect(found.byte_perplexity!.value).toBeCloseTo(Math.exp(36 / 19), 12);
  expect(found.bits_per_byte!.value).toBeCloseTo(36 / 19 / Math.log(2), 12);
  expect(found.gold_loss_per_token!.value).toBe(36 / 18);
  expect(tokenMeasures(2)[0]).toMatchObject({ metric: 'perplexity', value: Math.exp(2) });
});

test.each(golden.pooled)(
  'several sets as one, as the harness pools them: $sizes',
  ({ stderrs, sizes, stderr }) => {
    const tasks = sizes.map((examples, i) => ({
      examples,
      measures: [{ metric: 'acc', filter: 'none', value: i, stderr: stderrs[i]!, higherIsBetter: true }],
    }));
    const [acc] = pooled(tasks);
    const all = sizes.reduce((a, b) => a + b);
    expect(acc!.value).toBeCloseTo(sizes.reduce((sum, size, i) => sum + size * i, 0) / all, 12);
    expect(acc!.stderr).toBeCloseTo(stderr, 12);
  },
);
