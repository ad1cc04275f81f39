import type { Part } from '../passage.ts';
import type { Draw } from './draw.ts';
import { tooShort } from './haystack.ts';
import { things } from './needles.ts';
import { nouns } from './words.ts';

/**
 * Multi-query associative recall (after Arora et al. 2023, arXiv:2312.04927): the whole text is pairs, and some of them
 * are asked for. What has to be kept grows with the length.
 */

const QUESTIONS = 4;
const HEAD = 'Each thing stands for a word.';
const ASKING = '\n\nWhat does each stand for?';

/** Keys there are no more of: of 64 x 128 pairs of words some must be left, or drawing takes ever longer. */
const MOST_PAIRS = 4096;

export const mqar: Draw = (random, length, encode, depth) => {
  const tokens = (text: string) => encode(text).length;
  const line = (key: string) => `\n${key}:`;
  const most = Math.min(MOST_PAIRS, Math.ceil(length / 4));
  const drawn = things(random, most).map((key) => ({ key, value: random.pick(nouns) }));
  const sizes = drawn.map(({ key, value }) => tokens(`${line(key)} ${value}`));
  const asked = (count: number) => {
    if (depth === undefined) return random.shuffled(drawn.slice(0, count)).slice(0, QUESTIONS);
    const middle = Math.round(depth * (count - 1));
    const from = Math.max(0, Math.min(count - QUESTIONS, middle - Math.floor(QUESTIONS / 2)));
    return random.shuffled(drawn.slice(from, from + QUESTIONS));
  };
  // The questions are as long as the longest pairs, whichever are drawn.
  let room = length - tokens(HEAD + ASKING) - QUESTIONS * Math.max(...sizes);
  let count = 0;
  while (count < most && room >= sizes[count]!) room -= sizes[count++]!;
  for (;;) {
    if (count < QUESTIONS) throw tooShort('mqar', length, 2 * length);
    const list = drawn.slice(0, count).map(({ key, value }) => `${line(key)} ${value}`);
    let before = HEAD + list.join('') + ASKING;
    const parts = asked(count).map(({ key, value }): Part => {
      const part = { before: before + line(key), answer: ` ${value}` };
      before = '';
      return part;
    });
    const size = tokens(parts.map((part) => part.before + part.answer).join(''));
    if (size <= length) {
      const content = drawn.slice(0, count).map(({ key, value }) => `${key} ${value}`);
      return { parts, after: '', contents: [`mqar ${content.join(' ')}`] };
    }
    count -= Math.ceil((size - length) / 4);
  }
};
