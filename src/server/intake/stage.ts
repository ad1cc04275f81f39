/** What a thread is at, in memory that it shares with the event loop: so that what took too long has a name. */

export const STAGES = {
  parse: 'reading the body',
  template: "rendering the model's chat template",
  tokenise: 'tokenising the prompt',
  schema: 'compiling the schema',
} as const;

export type Stage = keyof typeof STAGES;

/** Tells that a stage begins. */
export type Enter = (stage: Stage) => void;

const ORDER = Object.keys(STAGES) as Stage[];

/** @param shared one number: which stage */
export const entering =
  (shared: Int32Array): Enter =>
  (stage) => {
    Atomics.store(shared, 0, ORDER.indexOf(stage));
  };

export const stageOf = (shared: Int32Array): Stage => ORDER[Atomics.load(shared, 0)]!;
