/**
 * What an evaluation task is. Everything is scored by the probability of text given text, so that every task needs
 * only teacher-forced passes: no generation, no stop strings.
 */

/** The accuracy of an answer is "greedy exact": every answer token is the arg-max given what comes before. */
interface AnswerExample {
  context: string;
  answer: string;
}

/** Correct when the gold option has the highest log-probability (summed over its tokens). */
interface OptionsExample {
  context: string;
  options: string[];
  gold: number;
}

/**
 * Partial scoring, as WinoGrande is evaluated (Trinh and Le 2018, arXiv:1806.02847): one continuation after several
 * contexts; correct when it is the most probable after the gold context.
 */
interface ContextsExample {
  contexts: string[];
  continuation: string;
  gold: number;
}

export type Example = AnswerExample | OptionsExample | ContextsExample;

export interface Task {
  name: string;
  /**
   * Up to `count` held-out examples; the same for the same seed. Neighbours may share a growing context (a question
   * after the answered one before), which lets the harness score them in one pass.
   */
  examples(count: number, seed: number): Example[];
}

/** Text to token ids, without special tokens. */
export type Encode = (text: string) => readonly number[];
