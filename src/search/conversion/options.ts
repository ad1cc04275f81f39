import type { ModelConfig } from '../../model/config.ts';
import { isPlacementName } from '../../model/placement.ts';
import type { WeightDtype } from '../../model/quantized-tensors.ts';
import { defined } from '../../util/defined.ts';
import { InputError } from '../../util/errors.ts';
import { checkKnown } from '../../util/known-options.ts';
import type { OnProgress } from '../../util/progress.ts';
import { bounds, checkBound } from '../bounds.ts';
import type { CompareOptions } from '../compare/options.ts';
import { REACH } from '../reach/options.ts';
import type { Wanted } from './budgets.ts';

/** What holds where a conversion is not told. */
export const CONVERTED = { windows: [...REACH.windows] as number[], sinks: REACH.sinks as number };

/** Of a training step. */
export const TRAINED = { rows: 2, length: 512 };

export interface ConvertOptions extends Partial<Wanted> {
  /** A folder, or the name of a model on the Hub: full attention in all layers. */
  model: string;
  /** Files, folders and globs of text that the model was not trained on. */
  data: string | readonly string[];
  /** The field of records that has the text. */
  field?: string;
  /** Where everything is kept: the same conversion goes on from there. */
  out: string;
  /** Windows that a layer can have; 128 and 256 unless told. */
  windows?: readonly number[];
  /** First tokens of a text that windows see; 4 unless told. */
  sinks?: number;
  /** Name of the placement; made of the context and the number of heads unless told. */
  name?: string;
  /** Hours in which the hybrid is trained to predict what its parent does; none unless told. With more than before it goes on. */
  hours?: number;
  /** Rows of a training step, and tokens of each; 2 of 512, or of as many as the context has, unless told. */
  rows?: number;
  length?: number;
  /** Weight of the loss on the text itself beside the divergence from the parent; 0 unless told. */
  crossEntropy?: number;
  /** Whether the tokens of answers alone count in training. */
  answersOnly?: boolean;
  /** Share of the documents that are not trained on: training is measured, and what comes of it compared, on them; 0.01 unless told. */
  heldOutShare?: number;
  /** Whether the parent, uniform layers, random heads and windows alone are trained for as many steps and compared, too. */
  controls?: boolean;
  /** Whether speed is measured; it is unless told otherwise. */
  speedMeasured?: boolean;
  /** How the result is compared with its parent: settings of `compare`; false leaves it out. */
  comparison?: Partial<Omit<CompareOptions, 'parent' | 'hybrids' | 'out' | 'heldOut'>> | false;
  /** Of the weights, for speed and comparison; as they are stored unless told. */
  dtype?: WeightDtype;
  threads?: number;
  /** The command line, for the result. */
  command?: string;
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

const KNOWN: Record<keyof ConvertOptions, true> = {
  ...{ model: true, data: true, field: true, out: true, windows: true, sinks: true, name: true, hours: true },
  ...{ rows: true, length: true, crossEntropy: true, answersOnly: true, heldOutShare: true, controls: true },
  ...{ context: true, memory: true, speed: true, heads: true, keep: true, textLoss: true },
  ...{ speedMeasured: true, comparison: true },
  ...{ dtype: true, threads: true, command: true, onProgress: true, signal: true },
};

/** @throws InputError for an option that is unknown, out of its bounds, or without what it is for */
export function checkOptions(options: ConvertOptions): void {
  checkKnown(options, KNOWN);
  const { hours = 0, name } = options;
  if (!(Number.isFinite(hours) && hours >= 0)) {
    throw new InputError(`hours is ${hours}, expected hours of training, 0 or more`);
  }
  const needing = (
    ['rows', 'length', 'crossEntropy', 'answersOnly', 'heldOutShare', 'controls'] as const
  ).find((each) => options[each] !== undefined && options[each] !== false);
  if (hours === 0 && needing) {
    throw new InputError(
      `${needing} is of the training, which has 0 hours: expected --hours above 0 beside it`,
    );
  }
  for (const [what, bound] of [
    ['rows', bounds.rows],
    ['length', bounds.length],
    ['crossEntropy', bounds.weight],
    ['heldOutShare', bounds.share],
  ] as const) {
    if (options[what] !== undefined) checkBound(what, options[what], bound);
  }
  if (name !== undefined && !isPlacementName(name)) {
    throw new InputError(
      `the placement's name is ${JSON.stringify(name)}, expected letters, digits and ._+-, and no .json at its end`,
    );
  }
}

/** @throws InputError for numbers that are none */
export function wantedOf(options: ConvertOptions, { maxPositionEmbeddings }: ModelConfig): Wanted {
  const { context = maxPositionEmbeddings, memory, speed, heads, keep, textLoss } = options;
  for (const [name, value, least] of [
    ['context', context, 64],
    ['heads', heads, 0],
  ] as const) {
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= least)) {
      throw new InputError(`${name} is ${value}, expected a whole number of at least ${least}`);
    }
  }
  for (const [name, value] of Object.entries({ memory, speed })) {
    if (value !== undefined && !(Number.isFinite(value) && value > 0)) {
      throw new InputError(`${name} is ${value}, expected a number above 0`);
    }
  }
  if (keep !== undefined && !(keep > 0 && keep <= 1)) {
    throw new InputError(`keep is ${keep}, expected a share of the parent's recall, above 0 and at most 1`);
  }
  if (textLoss !== undefined && !(Number.isFinite(textLoss) && textLoss >= 0)) {
    throw new InputError(`textLoss is ${textLoss}, expected nats a token, 0 or more`);
  }
  return { context, ...defined({ memory, speed, heads, keep, textLoss }) };
}
