/**
 * A passage is text with questions in it whose answers are marked. It is at once a training document (its text) and
 * a row of evaluation examples (each question after everything before it), so that both follow one definition.
 */
import { InputError } from '../util/errors.ts';
import { Random } from '../util/random.ts';
import { asked, type Example, type Task } from './task.ts';

export interface Part {
  /** Everything since the answer before, up to where the answer starts; no trailing space. */
  before: string;
  answer: string;
  /** Given when the answer is one of a few: it is scored against the others. */
  options?: string[];
  /** What is asked, where that is less than the passage's contents say. */
  asks?: string;
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
 * less than `leastRoom`. Abilities that ask one thing after the other ask nothing of `taken`, by what is asked or by its
 * content; of the others whole passages are drawn again.
 */
export type Ability = (
  random: Random,
  heldOut: boolean,
  room: number,
  taken?: ReadonlySet<string>,
) => Passage;

export const NOTHING_TAKEN: ReadonlySet<string> = new Set();

export const leastRoom = 32;

/** The room of evaluation passages: with a margin for what is not counted exactly they stay below 256 tokens. */
const evaluationRoom = 224;

export function textOf(passage: Passage): string {
  return passage.parts.map((part) => part.before + part.answer).join('') + passage.after;
}

/** One example per marked answer, with growing contexts. */
function examplesOf(passage: Passage): Example[] {
  let context = '';
  return passage.parts.map(({ before, answer, options, asks = passage.contents[0] }) => {
    context += before;
    const example: Example = options
      ? { context, options, gold: options.indexOf(answer), asks }
      : { context, answer, asks };
    context += answer;
    return example;
  });
}

/** The held-out side of an ability as a task. */
export function abilityTask(name: string, ability: Ability): Task {
  return {
    name,
    examples(count, seed, apart = []) {
      const random = new Random(seed);
      return collect(name, count, apart, (taken) => ability(random, true, evaluationRoom, taken));
    },
  };
}

/** So many passages in a row that are known already, and so many without anything to ask, mean that there are no others. */
const MOST_KNOWN = 1000;
const MOST_EMPTY = 3;

/**
 * Examples of passages until there are enough.
 *
 * @param draw makes a passage; what it must not ask again is given to it
 * @throws InputError when it gives nothing new any more
 */
export function collect(
  name: string,
  count: number,
  apart: readonly Example[],
  draw: (taken: ReadonlySet<string>) => Passage,
): Example[] {
  const taken = new Set(apart.map(asked));
  const examples: Example[] = [];
  let known = 0;
  let empty = 0;
  while (examples.length < count) {
    if (known > MOST_KNOWN || empty > MOST_EMPTY) {
      const others = apart.length > 0 ? `, none of them among ${apart.length} others,` : '';
      throw new InputError(
        `task ${name}: ${count} different examples were asked for${others} but only ${examples.length} could be drawn: ` +
          'expected fewer examples',
      );
    }
    const passage = draw(taken);
    const found = examplesOf(passage);
    if (found.length === 0) {
      empty++;
    } else if ([...passage.contents, ...found.map(asked)].some((text) => taken.has(text))) {
      known++;
    } else {
      for (const content of passage.contents) taken.add(content);
      examples.push(...found);
      known = 0;
    }
  }
  return examples.slice(0, count);
}
