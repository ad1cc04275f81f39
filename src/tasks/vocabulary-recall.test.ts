import { describe, expect, it } from 'vitest';
import { planTask } from './harness.ts';
import { vocabularyRecall } from './vocabulary-recall.ts';

const letters = 'abcdefghij';
const words = [...letters].flatMap((a) => [...letters].map((b) => `Ġwor${a}${b}`));
const vocab = new Map([...words, 'Ġcode', 'Ġof', 'Word', 'Ġis', 'Ġthe'].map((token, id) => [token, id]));
/** Whole words, except that no word with an 'a' behind 'wor' is one. */
const encode = (text: string) =>
  (text.match(/ ?\w+|./g) ?? []).flatMap((piece) =>
    piece.startsWith(' wora') ? [998, 999] : [vocab.get(piece.replace(' ', 'Ġ')) ?? 997],
  );

describe('vocabularyRecall', () => {
  it('asks for values of one token that the list gives', () => {
    const task = vocabularyRecall(vocab, encode, { pairs: 12, questions: 3 });
    const examples = task.examples(30, 5);
    expect(examples).toEqual(task.examples(30, 5));
    for (const example of examples) {
      if (!('answer' in example)) throw new Error('expected an answer');
      const key = / The code of (\w+) is$/.exec(example.context)![1];
      expect(example.context).toContain(` The code of ${key} is${example.answer}.`);
      expect(example.context).not.toMatch(/wora/);
    }
    const plan = planTask(task, 30, 5, encode);
    expect(plan.rows).toHaveLength(10);
    for (const { spans } of plan.rows) expect(spans.map(({ from, to }) => to - from)).toEqual([1, 1, 1]);
  });

  it('takes the words by their ids, in whatever order the vocabulary gives them', () => {
    const task = vocabularyRecall(vocab, encode, { pairs: 12 });
    const other = vocabularyRecall([...vocab].reverse(), encode, { pairs: 12 });
    expect(other.examples(10, 5)).toEqual(task.examples(10, 5));
  });

  it('names what is missing', () => {
    expect(() => vocabularyRecall(vocab, encode, { pairs: 60 })).toThrow('at least 120 whole-word tokens');
    expect(() => vocabularyRecall(vocab, encode, { pairs: 4, questions: 5 })).toThrow('1 to 4 questions');
  });
});
