import type { ModelConfig } from '../../model/config.ts';
import type { WeightDtype } from '../../model/quantized-tensors.ts';
import { InputError } from '../../util/errors.ts';
import { checkKnown } from '../../util/known-options.ts';
import type { OnProgress } from '../../util/progress.ts';

export interface CompareOptions {
  /** A folder, or the name of a model on the Hub. */
  parent: string;
  /** The same, of what was made of it, or of another model with the same tokenizer. */
  hybrids: readonly string[];
  /** Placements of the parent, by their names or paths: the parent under each is compared too. */
  placements?: readonly string[];
  /** Where measurements are kept: the same comparison goes on from there. */
  out: string;
  /** Files, folders and globs of text; models of the generated world read that world unless told. */
  heldOut?: string | readonly string[];
  /**
   * Of the documents of `heldOut`, the share that a training on the same files has held out: those alone are read, and of them
   * the half that nothing was chosen on. All are read unless told.
   */
  heldOutShare?: number;
  /** The field of records that has the text. */
  field?: string;
  /** Rows of the text, spread over it; 4 unless told. */
  heldOutRows?: number;
  /** 'recall' or 'recall:accuracy:64'; what fits the models unless told. */
  tasks?: readonly string[];
  /** A folder with the files of public tasks; the Hub unless told. */
  dataDir?: string;
  /** Solved examples in front of each question of a public task; lm-evaluation-harness' own unless told. */
  shots?: number;
  /** Of each task that does not say; 64 unless told. */
  examples?: number;
  /** Texts of each length, and for needles of each depth, that recall is judged on; 4 unless told. */
  recallTexts?: number;
  /** Answers that are written; 20 unless told. */
  answers?: number;
  /** Tokens of the longest text; the parent's context, at most 4,096, unless told. */
  context?: number;
  /** Whether speed is measured; it is unless told otherwise. */
  speed?: boolean;
  /** Of the weights; as they are stored unless told. */
  dtype?: WeightDtype;
  threads?: number;
  /** The command line, for the result. */
  command?: string;
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

/** What holds where a comparison is not told. */
export const COMPARED = { heldOutRows: 4, examples: 64, recallTexts: 4, answers: 20, context: 4096 };

const KNOWN: Record<keyof CompareOptions, true> = {
  ...{
    parent: true,
    hybrids: true,
    placements: true,
    heldOut: true,
    heldOutShare: true,
    field: true,
    heldOutRows: true,
    tasks: true,
    examples: true,
  },
  ...{
    dataDir: true,
    shots: true,
    recallTexts: true,
    answers: true,
    context: true,
    speed: true,
    dtype: true,
    threads: true,
    out: true,
  },
  ...{ command: true, onProgress: true, signal: true },
};

/** @throws InputError for an option that is unknown or no number of its kind */
export function checkOptions(options: CompareOptions): void {
  checkKnown(options, KNOWN);
  const { hybrids, placements = [], tasks } = options;
  for (const [name, list] of Object.entries({ hybrids, placements, tasks })) {
    if (list !== undefined && !Array.isArray(list))
      throw new InputError(`${name} is ${list}, expected a list`);
  }
  if (hybrids.length + placements.length === 0)
    throw new InputError('nothing to compare with the parent: give the folder of a hybrid, or a placement');
  for (const name of ['heldOutRows', 'examples', 'recallTexts', 'answers', 'context'] as const) {
    const value = options[name];
    if (value === undefined || (Number.isSafeInteger(value) && value > 0)) continue;
    throw new InputError(`${name} is ${value}, expected a whole number above 0`);
  }
}

/** A sequence has to hold a few questions. */
const SHORTEST = 64;

/** @throws InputError for one that the parent does not have, or that is too short for anything */
export function contextOf({ maxPositionEmbeddings }: ModelConfig, asked: number | undefined): number {
  const context = asked ?? Math.min(COMPARED.context, maxPositionEmbeddings);
  if (context >= SHORTEST && context <= maxPositionEmbeddings) return context;
  throw new InputError(
    `a context of ${context} tokens: expected ${SHORTEST} to ${maxPositionEmbeddings}, which the parent has`,
  );
}
