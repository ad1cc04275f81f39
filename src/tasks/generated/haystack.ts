import { InputError } from '../../util/errors.ts';
import type { Random } from '../../util/random.ts';
import { Story, sentenceTokens } from '../story.ts';
import type { Encode } from '../task.ts';

/** Sentences that say nothing of what is asked, with needles among them, cut to a length in tokens. */

/** What is hidden, from 0 (at the start of the filler) to 1 (right before the question). */
export interface Needle {
  text: string;
  depth: number;
}

interface HaystackParts {
  /** What the text begins with. */
  head: string;
  needles: readonly Needle[];
  /** The question, up to where the answer starts. */
  question: string;
  answer: string;
}

/** Sentences by one cast of people, before others come. */
const SCENE = 40;

/**
 * The text up to the answer, with which it is at most `length` tokens and less by no more than a sentence or two.
 *
 * @throws InputError for a length that does not hold the needles and the question
 */
export function haystack(
  name: string,
  random: Random,
  length: number,
  encode: Encode,
  { head, needles, question, answer }: HaystackParts,
): string {
  const tokens = (text: string) => encode(text).length;
  const fixed = [head, question + answer, ...needles.map(({ text }) => text)];
  const room = length - fixed.reduce((sum, text) => sum + tokens(text), 0);
  const filler = fillerOf(random, room, tokens);
  for (;;) {
    const text = woven(head, filler, needles) + question;
    const over = tokens(text + answer) - length;
    if (over <= 0) return text;
    if (filler.length === 0) throw tooShort(name, length, length + over);
    // What tokens add up to is not always what they are in one text.
    filler.splice(-Math.ceil(over / (2 * sentenceTokens)));
  }
}

export function tooShort(name: string, length: number, least: number): InputError {
  return new InputError(`the task ${name}@${length}: ${length} tokens, expected at least ${least}`);
}

function fillerOf(random: Random, room: number, tokens: (text: string) => number): string[] {
  const known = new Map<string, number>();
  const sentences: string[] = [];
  let story = new Story(random);
  for (let left = room; ; ) {
    if (sentences.length % SCENE === SCENE - 1) story = new Story(random);
    const sentence = story.sentence();
    const size = known.get(sentence) ?? tokens(sentence);
    known.set(sentence, size);
    left -= size;
    if (left < 0) return sentences;
    sentences.push(sentence);
  }
}

function woven(head: string, filler: readonly string[], needles: readonly Needle[]): string {
  const at = (depth: number) => Math.round(depth * filler.length);
  const ordered = [...needles].sort((a, b) => a.depth - b.depth);
  const pieces: string[] = [];
  for (let i = 0, next = 0; i <= filler.length; i++) {
    while (next < ordered.length && at(ordered[next]!.depth) <= i) pieces.push(ordered[next++]!.text);
    if (i < filler.length) pieces.push(filler[i]!);
  }
  return head + pieces.join('').trimStart();
}
