import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadTokenizer } from '../../model/folder.ts';
import { asked, type Encode, type Example } from '../task.ts';
import { describeGenerated, GENERATED_TASKS, generatedTask, hasDepth } from './generated.ts';
import { adjectives, nouns } from './words.ts';

const base = loadTokenizer(resolve(import.meta.dirname, '../../../models/base'));
const world: Encode = (text) => base.encode(text, { addSpecialTokens: false });
/** A word, a number or a mark is a token each. */
const words: Encode = (text) => (text.match(/ ?\w+|\s|[^\w\s]/g) ?? []).map((_, i) => i);

const answered = (example: Example): { context: string; answer: string } => {
  if ('answer' in example) return example;
  throw new Error('expected an answer');
};

/** The statements and the question as anyone would read them, by other means than they were written. */
const SOLVERS: Record<string, (context: string) => string> = {
  needle: lookUp('number'),
  needle_keys: lookUp('number'),
  needle_words: lookUp('word'),
  needle_values(context) {
    const key = /all secret numbers of the (.+?), in/.exec(context)![1]!;
    return [...context.matchAll(/A secret number of the (.+?) is (\d+)\./g)]
      .filter(([, of]) => of === key)
      .map(([, , value]) => value)
      .join(', ');
  },
  passkey: (context) => /pass key is (\d+)/.exec(context)![1]!,
  mqar(context) {
    const key = context.slice(context.lastIndexOf('\n') + 1, -1);
    return new RegExp(`^${key}: (.+)$`, 'm').exec(context)![1]!;
  },
  variable_tracking(context) {
    const known = new Map<string, string>();
    for (const [, name, value] of context.matchAll(/Let ([A-Z]{3}) be (\w+)\./g)) {
      known.set(name!, known.get(value!) ?? value!);
    }
    return known.get(/Which number is ([A-Z]{3})/.exec(context)![1]!)!;
  },
  common_words: (context) => byCount(context)[0]!,
  frequent_words: (context) => byCount(context).slice(0, 3).join(', '),
};

function lookUp(kind: string) {
  return (context: string) => {
    const key = new RegExp(`What is the secret ${kind} of the (.+?)\\?`).exec(context)![1]!;
    return new RegExp(`secret ${kind} of the ${key} is (\\w+)\\.`).exec(context)![1]!;
  };
}

function byCount(context: string): string[] {
  const list = context
    .slice(context.indexOf(':') + 1, context.indexOf('\n'))
    .trim()
    .split(' ');
  const counts = new Map<string, number>();
  for (const word of list) counts.set(word, (counts.get(word) ?? 0) + 1);
  return [...counts].sort(([, a], [, b]) => b - a).map(([word]) => word);
}

test('there are so many different words', () => {
  expect([new Set(adjectives).size, new Set(nouns).size]).toEqual([64, 128]);
});

describe.each(GENERATED_TASKS)('%s', (name) => {
  test.each([
    [300, world],
    [300, words],
    [2000, words],
  ])('the answer follows from the text, at %i tokens', (length, encode) => {
    const task = generatedTask(name, length, encode);
    expect(task.name).toBe(`${name}@${length}`);
    const examples = task.examples(12, 1);
    expect(examples.length).toBe(12);
    for (const example of examples) {
      const { context, answer } = answered(example);
      expect(answer).toBe(` ${SOLVERS[name]!(context)}`);
    }
    // The questions of one text share it: the last of them is as long as the whole.
    const longest = Math.max(
      ...examples.map(answered).map(({ context, answer }) => encode(context + answer).length),
    );
    expect(longest).toBeLessThanOrEqual(length);
    expect(longest).toBeGreaterThan(length - 40);
  });

  test('a seed draws the same, another seed others, and nothing is asked again', () => {
    const task = generatedTask(name, 400, words);
    const first = task.examples(8, 1);
    expect(task.examples(8, 1)).toEqual(first);
    const second = task.examples(8, 2, first);
    const known = new Set(first.map(asked));
    expect(second.filter((example) => known.has(asked(example)))).toEqual([]);
  });

  test('a length without room for the question is refused', () => {
    const task = generatedTask(name, 20, words);
    expect(() => task.examples(1, 1)).toThrow(`${name}@20: 20 tokens, expected at least`);
  });
});

test.each(GENERATED_TASKS.filter(hasDepth))('%s lies where it is asked for', (name) => {
  for (const depth of [0, 0.25, 0.5, 0.75, 1]) {
    const examples = generatedTask(name, 2000, words, { depth }).examples(4, 3);
    // Where it is told first: what is asked for stands at the end too, behind the filler.
    const { context, answer } = answered(examples[0]!);
    const last = context.slice(context.lastIndexOf('\n'));
    const told = name === 'mqar' ? last + answer : `is${answer.split(',')[0]!}`;
    expect(Math.abs(context.indexOf(told) / context.length - depth)).toBeLessThan(0.06);
  }
});

test('what cannot be made is refused by name', () => {
  expect(() => generatedTask('needel', 100, words)).toThrow(
    "unknown generated task 'needel'; expected one of needle,",
  );
  expect(() => generatedTask('needle', 1.5, words)).toThrow('1.5 tokens, expected a whole number above 0');
  expect(() => generatedTask('needle', 100, words, { depth: 2 })).toThrow('depth 2, expected 0 to 1');
  expect(() => generatedTask('common_words', 100, words, { depth: 0 })).toThrow('lies in no single place');
  expect(describeGenerated('needle')).toBe('a number told once in a story, by its name');
});
