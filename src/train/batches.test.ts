import { expect, test } from 'vitest';
import { Random } from '../util/random.ts';
import { textBatches } from './batches.ts';

const words = Array.from({ length: 400 }, (_, i) => String(i));
/** A token per word. */
const encode = (text: string) => text.split(/\s+/).filter(Boolean).map(Number);

function rows(text: string, count: number, width: number, seed: number): number[][] {
  const out = new Int32Array(count * width);
  textBatches(text, encode).fill(out, width, new Random(seed));
  return Array.from({ length: count }, (_, i) => [...out.subarray(i * width, (i + 1) * width)]);
}

test('rows are runs of whole words from all over the text, drawn by the generator alone', () => {
  const drawn = rows(words.join(' '), 200, 8, 1);
  for (const row of drawn) expect(row).toEqual(row.map((_, i) => row[0]! + i));
  const starts = drawn.map(([first]) => first!);
  expect(Math.min(...starts)).toBeLessThan(20);
  expect(Math.max(...starts)).toBeGreaterThan(350);
  expect(new Set(starts).size).toBeGreaterThan(100);
  expect(rows(words.join(' '), 200, 8, 1)).toEqual(drawn);
  expect(rows(words.join(' '), 200, 8, 2)).not.toEqual(drawn);
});

test('cuts grow where words are long', () => {
  const [row] = rows(words.join(' '.repeat(100)), 1, 8, 1);
  expect(row).toEqual(row!.map((_, i) => row![0]! + i));
});

test('a text that is just long enough, and one that is not', () => {
  expect(rows('7 8 9 10', 1, 4, 1)).toEqual([[7, 8, 9, 10]]);
  expect(() => rows('7 8 9', 1, 4, 1)).toThrow('corpus has 3 tokens, expected at least the 4 of a row');
  expect(() => textBatches(' \n', encode, 'novel.txt')).toThrow(
    expect.objectContaining({ name: 'InputError', message: 'novel.txt is empty: expected text to train on' }),
  );
});
