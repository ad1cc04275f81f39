import { expect, test } from 'vitest';
import { meanWeights, predictsAnswers } from '../../train/counted.ts';
import { Random } from '../../util/random.ts';
import { answerBatches } from './answer-batches.ts';
import { marked } from './answers.ts';

/** Record i asks with the number 2 i, twice, and answers with 2 i + 1. */
const records = Array.from({ length: 60 }, (_, i) =>
  marked([
    { text: `${2 * i} ${2 * i} `, answer: false },
    { text: `${2 * i + 1} `, answer: true },
  ]),
);
const encode = (text: string) => text.split(/\s+/).filter(Boolean).map(Number);
const batches = (texts: readonly string[]) => {
  const text = texts.join('');
  const source = { length: text.length, slice: (a: number, b: number) => text.slice(a, b), identity: text };
  return answerBatches(source, encode, 'talks.jsonl', 'tokenizer');
};

test('rows begin with a record, go on with those behind it, and know the tokens of answers', () => {
  const [ids, answers] = [new Int32Array(200 * 7), new Uint8Array(200 * 7)];
  batches(records).fill(ids, 7, new Random(1), answers);
  const begun = new Set<number>();
  for (let row = 0; row < ids.length; row += 7) {
    const [first, ...rest] = ids.subarray(row, row + 7);
    begun.add(first!);
    expect(first! % 2).toBe(0);
    expect(rest.slice(0, 2)).toEqual([first, first! + 1]);
  }
  expect(begun.size).toBeGreaterThan(30);
  expect([...answers]).toEqual([...ids].map((id) => id % 2));
  const again = new Int32Array(200 * 7);
  batches(records).fill(again, 7, new Random(1));
  expect(again).toEqual(ids);
});

test('a single record is repeated; one without answers within a row is drawn again', () => {
  const ids = new Int32Array(8);
  batches(records.slice(3, 4)).fill(ids, 8, new Random(1));
  expect([...ids]).toEqual([6, 6, 7, 6, 6, 7, 6, 6]);
  const long = marked([
    { text: '2 '.repeat(40), answer: false },
    { text: '3 ', answer: true },
  ]);
  const answers = new Uint8Array(8 * 50);
  batches([long, ...records.slice(0, 10)]).fill(new Int32Array(8 * 50), 8, new Random(1), answers);
  for (let row = 0; row < answers.length; row += 8) expect(answers.subarray(row, row + 8)).toContain(1);
  expect(() => batches(['no marks at all']).fill(ids, 8, new Random(1))).toThrow(
    'talks.jsonl has no record with an answer',
  );
});

test('a place counts where the next token of its row is of an answer; the weights of a mean', () => {
  const counted = predictsAnswers(Uint8Array.of(0, 0, 1, 1, 1, 0, 0, 1), 4);
  expect([...counted]).toEqual([0, 1, 1, 0, 0, 0, 1, 0]);
  expect([...meanWeights(counted)]).toEqual([...counted].map((each) => Math.fround(each / 3)));
  expect([...meanWeights(new Float32Array(3))]).toEqual([0, 0, 0]);
});
