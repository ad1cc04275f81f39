/**
 * What an evaluation task is. Everything is scored by the probability of text given text, so that every task needs
 * only teacher-forced passes: no generation, no stop strings.
 */

interface Asking {
  /** What is asked, if that is less than the whole example: a set that is drawn apart from another asks nothing of it. */
  asks?: string;
}

/** The accuracy of an answer is "greedy exact": every answer token is the arg-max given what comes before. */
interface AnswerExample extends Asking {
  context: string;
  answer: string;
}

/** Correct when the gold option has the highest log-probability (summed over its tokens). */
interface OptionsExample extends Asking {
  context: string;
  options: string[];
  gold: number;
  /** What log-probabilities are divided by for accuracy_norm, where a task has it: characters of each option. */
  lengths?: number[];
}

/**
 * Partial scoring, as WinoGrande is evaluated (Trinh and Le 2018, arXiv:1806.02847): one continuation after several
 * contexts; correct when it is the most probable after the gold context.
 */
interface ContextsExample extends Asking {
  contexts: string[];
  continuation: string;
  gold: number;
}

/** A text of which every token is predicted, in windows where it is longer than the context. Nothing can be right. */
interface WholeExample extends Asking {
  whole: string;
}

export type Example = AnswerExample | OptionsExample | ContextsExample | WholeExample;

export interface Task {
  name: string;
  /**
   * Up to `count` held-out examples, all different; the same for the same seed. Neighbours may share a growing context (a
   * question after the answered one before), which lets the harness score them in one pass.
   *
   * @param apart examples of which none may be asked again
   * @throws InputError if there are not so many
   */
  examples(count: number, seed: number, apart?: readonly Example[]): Example[];
}

/** What an example asks, as a text: two examples with the same one are the same question. */
export function asked(example: Example): string {
  return example.asks ?? JSON.stringify(example);
}

/** What is asked, as pairs of a context and what follows it; a whole text stands alone. */
export function requestsOf(example: Example): string[][] {
  if ('whole' in example) return [[example.whole]];
  if ('answer' in example) return [[example.context, example.answer]];
  return 'options' in example
    ? example.options.map((option) => [example.context, option])
    : example.contexts.map((context) => [context, example.continuation]);
}

/** Text to token ids; without special tokens unless said otherwise. */
export type Encode = (text: string) => readonly number[];
