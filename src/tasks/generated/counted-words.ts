import type { Random } from '../../util/random.ts';
import type { Draw } from './draw.ts';
import { tooShort } from './haystack.ts';
import { passage } from './needles.ts';
import { nouns } from './words.ts';

/** Counting over the whole text (after RULER's common and frequent words): no single place tells the answer. */

/** A list of words of about so many tokens, drawn by their shares. */
function list(
  name: string,
  length: number,
  tokens: (text: string) => number,
  { question, answer }: { question: string; answer: string },
  draw: (count: number) => string[],
): string {
  const head = 'Count the words of this list:';
  const fixed = tokens(head + question + answer);
  const sample = draw(1000);
  const each = tokens(` ${sample.join(' ')}`) / sample.length;
  for (let count = Math.floor((length - fixed) / each); ; ) {
    if (count < LEAST_WORDS) throw tooShort(name, length, Math.ceil(fixed + LEAST_WORDS * each));
    const text = `${head} ${draw(count).join(' ')}${question}`;
    const over = tokens(text + answer) - length;
    if (over <= 0) return text;
    count -= Math.ceil(over / (2 * each));
  }
}

const LEAST_WORDS = 24;

/** Words in random order, each as often as asked; what is missing to `count` is filled by `others` in turn. */
function mixed(random: Random, count: number, often: readonly [string, number][], others: readonly string[]) {
  const words = often.flatMap(([word, share]) =>
    Array.from({ length: Math.round(share * count) }, () => word),
  );
  for (let i = 0; words.length < count; i++) words.push(others[i % others.length]!);
  return random.shuffled(words);
}

/** One word is a fifth of all, forty others share the rest. */
export const commonWords: Draw = (random, length, encode) => {
  const [common, ...others] = random.shuffled(nouns).slice(0, 41) as [string, ...string[]];
  const question =
    '\n\nQuestion: Which word is in the list most often?\nAnswer: The word that is in the list most often is';
  const answer = ` ${common}`;
  const tokens = (text: string) => encode(text).length;
  const before = list('common_words', length, tokens, { question, answer }, (count) => {
    return mixed(random, count, [[common, 0.2]], others);
  });
  return passage('common_words', before, answer, `${common} ${others.join(' ')}`);
};

/** Three words are a quarter, a sixth and a tenth of all; the others are a hundredth each. */
export const frequentWords: Draw = (random, length, encode) => {
  const drawn = random.shuffled(nouns).slice(0, 52);
  const [first, second, third, ...others] = drawn as [string, string, string, ...string[]];
  const question =
    '\n\nQuestion: Which three words are in the list most often, the most frequent first?\n' +
    'Answer: The three most frequent words are';
  const answer = ` ${first}, ${second}, ${third}`;
  const tokens = (text: string) => encode(text).length;
  const often: [string, number][] = [
    [first, 0.25],
    [second, 0.165],
    [third, 0.1],
  ];
  const before = list('frequent_words', length, tokens, { question, answer }, (count) => {
    return mixed(random, count, often, others);
  });
  return passage('frequent_words', before, answer, drawn.join(' '));
};
