/**
 * A passage is text with questions in it whose answers are marked. It is at once a training document (its text) and
 * a row of evaluation examples (each question after everything before it), so that both follow one definition.
 */
import { Random } from '../util/random.ts';
import type { Example, Task } from './task.ts';

export interface Part {
  /** Everything since the answer before, up to where the answer starts; no trailing space. */
  before: string;
  answer: string;
  /** Given when the answer is one of a few: it is scored against the others. */
  options?: string[];
}

export interface Passage {
  parts: Part[];
  /** The rest of the text, after the last answer. */
  after: string;
  /** What isHeldOut judged. */
  contents: string[];
}

/**
 * Makes a passage from one side of the division (see held-out.ts). `room` is about how many tokens it may have; no
 * less than `leastRoom`.
 */
export type Ability = (random: Random, heldOut: boolean, room: number) => Passage;

export const leastRoom = 32;

/** The room of evaluation passages: with a margin for what is not counted exactly they stay below 256 tokens. */
const evaluationRoom = 224;

export function textOf(passage: Passage): string {
  return passage.parts.map((part) => part.before + part.answer).join('') + passage.after;
}

/** One example per marked answer, with growing contexts. */
export function examplesOf(passage: Passage): Example[] {
  let context = '';
  return passage.parts.map(({ before, answer, options }) => {
    context += before;
    const example: Example = options
      ? { context, options, gold: options.indexOf(answer) }
      : { context, answer };
    context += answer;
    return example;
  });
}

/** The held-out side of an ability as a task. */
export function abilityTask(name: string, ability: Ability): Task {
  return {
    name,
    examples(count, seed) {
      const random = new Random(seed);
      const examples: Example[] = [];
      while (examples.length < count) examples.push(...examplesOf(ability(random, true, evaluationRoom)));
      return examples.slice(0, count);
    },
  };
}
