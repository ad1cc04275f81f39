import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadTokenizer } from '../../model/folder.ts';
import { distanceBounds, familiesOf, recallExamples, textExamples } from './examples.ts';

const tokenizer = loadTokenizer(resolve(import.meta.dirname, '../../../models/base'));
const encode = (text: string) => tokenizer.encode(text, { addSpecialTokens: false });
const decode = (ids: readonly number[]) => tokenizer.decode([...ids]);

test('bounds of distances double up to the context', () => {
  expect(distanceBounds(8192, 256)).toEqual([
    [256, 512],
    [512, 1024],
    [1024, 2048],
    [2048, 4096],
    [4096, 8192],
  ]);
  expect(distanceBounds(1000, 256)).toEqual([
    [256, 500],
    [500, 1000],
  ]);
  expect(distanceBounds(200, 256)).toEqual([]);
});

describe.each([
  ['the world', true],
  ['English', false],
])('%s', (_, ofTheWorld) => {
  const family = familiesOf(ofTheWorld).searched;
  const [shortest, longest] = [256, 2048];
  const examples = recallExamples(family, longest, encode, { seed: 3, nearest: shortest });

  test('what is asked for was told, so far back', () => {
    expect(examples.map(({ tails }) => tails.length)).toEqual([4, 10]);
    for (const { prefix, tails, distances } of examples) {
      for (const [t, { ids, places }] of tails.entries()) {
        const text = decode([...prefix, ...ids]);
        const answer = decode(places.map((place) => ids[place + 1]!)).trim();
        const [question] =
          /(?:of|of the) ([\w ]+) is$/.exec(decode([...prefix, ...ids.slice(0, places[0]! + 1)])) ?? [];
        const name = question!.replace(/^of (the )?/, '').replace(/ is$/, '');
        const told = text.search(new RegExp(`of (the )?${name} is ${answer}\\.`));
        expect(told).toBeGreaterThan(0);
        const from = text.slice(told).length - answer.length - name.length - 10;
        // Tokens are at least a character: what is measured in them is no more than the characters.
        expect(distances![t]).toBeLessThan(from + 20);
        const measured = encode(text.slice(told)).length;
        expect(Math.abs(distances![t]! - measured)).toBeLessThan(40);
      }
    }
  });

  test('every octave is asked for, and no text is longer than the context', () => {
    const bounds = distanceBounds(longest, shortest);
    const answers = examples.flatMap(({ tails }) =>
      tails.map(({ ids, places }) => decode(places.map((place) => ids[place + 1]!)).trim()),
    );
    if (!ofTheWorld) {
      const numbers = answers.filter((answer) => /^\d{4}$/.test(answer));
      expect(numbers.length).toBe(answers.length / 2);
    }
    const asked = examples.flatMap(({ distances }) => distances!);
    for (const [from, to] of bounds) {
      // A sentence or two nearer or farther.
      expect(
        asked.filter((distance) => distance > from - 40 && distance < to + 40).length,
      ).toBeGreaterThanOrEqual(3);
    }
    for (const { prefix, tails } of examples) {
      for (const { ids } of tails) expect(prefix.length + ids.length).toBeLessThanOrEqual(longest);
    }
  });

  test('a seed draws the same, another others', () => {
    expect(recallExamples(family, longest, encode, { seed: 3, nearest: shortest })).toEqual(examples);
    expect(recallExamples(family, longest, encode, { seed: 4, nearest: shortest })).not.toEqual(examples);
  });

  test('as many texts of each length as ask so many questions', () => {
    const more = recallExamples(family, longest, encode, { seed: 3, nearest: shortest, questions: 15 });
    expect(more.map(({ tails }) => tails.length)).toEqual([4, 4, 10, 10]);
    expect(more[0]).not.toEqual(more[1]);
  });

  test('a context that windows show is refused', () => {
    expect(() => recallExamples(family, 256, encode, { seed: 3, nearest: 256 })).toThrow(
      'expected more than 256',
    );
  });
});

test('rows of a text are judged by their last tokens, in one half of it', () => {
  const text = Array.from({ length: 4000 }, (_, i) => `w${i}`).join(' ');
  const byWord = (part: string) => (part.match(/\d+/g) ?? []).map(Number);
  const options = { rows: 3, length: 100, judged: 20, seed: 1 };
  const examples = textExamples(text, byWord, { ...options, half: 'first' });
  expect(examples.length).toBe(3);
  for (const { prefix, tails } of examples) {
    const [{ ids, places }] = tails as [(typeof tails)[0]];
    expect([prefix.length, ids.length]).toEqual([79, 21]);
    expect(ids[0]).toBe(prefix.at(-1)! + 1);
    expect(places).toEqual([0, 2, 4, 6, 8, 10, 12, 14, 16, 18]);
    expect(Math.max(...ids)).toBeLessThan(2100);
  }
  const others = textExamples(text, byWord, { ...options, half: 'second' });
  expect(Math.min(...others.flatMap(({ prefix }) => prefix.slice(1)))).toBeGreaterThan(1900);
  expect(() => textExamples(text, byWord, { ...options, length: 5000, judged: 3000, half: 'first' })).toThrow(
    /tokens in its first half, expected at least 3002: a longer text/,
  );
});
