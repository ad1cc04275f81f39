import { totalmem } from 'node:os';
import { z } from 'zod';
import type { ModelConfig } from '../model/config.ts';
import { countParameters, modelParameters } from '../model/parameters.ts';
import { InputError } from '../util/errors.ts';
import type { TrainingSettings } from './train/settings.ts';

/**
 * What numbers may be, in recipes and in the settings of everything that trains. Beyond these bounds a number is a
 * mistake, which would show itself after hours, or as a process without memory.
 */

/** A whole number of a range, said so in every message. */
function whole(least: number, most: number) {
  const text = `expected a whole number from ${least.toLocaleString('en')} to ${most.toLocaleString('en')}`;
  const error = ({ input }: { input?: unknown }) => `${shown(input)}${text}`;
  return z.int({ error }).min(least, { error }).max(most, { error });
}

/** A number of a range; the least one is left out where it must be above. */
function number(least: number, most: number, { above = false } = {}) {
  const text = `expected a number ${above ? 'above' : 'from'} ${least} ${above ? 'and up ' : ''}to ${most.toLocaleString('en')}`;
  const error = ({ input }: { input?: unknown }) => `${shown(input)}${text}`;
  const any = z.number({ error }).max(most, { error });
  return above ? any.gt(least, { error }) : any.min(least, { error });
}

/** A wrong value, as far as a line shows it. */
function shown(input: unknown): string {
  if (input === undefined) return 'is missing: ';
  if (typeof input === 'string') return `${JSON.stringify(input.slice(0, 40))}: `;
  return typeof input === 'number' ? `${input}: ` : '';
}

export const bounds = {
  rows: whole(1, 65_536),
  /** Tokens of a row, of a context, of a window. */
  tokens: whole(1, 16_777_216),
  /** Of a training row: its second token is the first that is predicted. */
  length: whole(2, 16_777_216),
  steps: whole(1, 1e9),
  stepsOrNone: whole(0, 1e9),
  rate: number(0, 100, { above: true }),
  seed: whole(0, 2 ** 31 - 1),
  examples: whole(1, 1e6),
  shots: whole(0, 1000),
  layers: whole(1, 10_000),
  /** A layer by its number. */
  layer: whole(0, 9_999),
  beam: whole(1, 10_000),
  random: whole(0, 1e6),
  heads: whole(1, 65_536),
  aspect: whole(1, 1024),
  taps: whole(1, 64),
  slack: number(0, 10),
  /** Of documents that are held out. */
  share: number(0, 0.5, { above: true }),
  rounds: whole(1, 10_000),
  threads: whole(0, 65_536),
  jobs: whole(1, 65_536),
  bytes: whole(1, 2 ** 49),
  /** A weight beside another of 1. */
  weight: number(0, 1000),
  /** Share of the rows in which something is left out. */
  dropout: number(0, 1),
  temperature: number(0, 1000, { above: true }),
  /** Measurements without a better one. */
  patience: whole(1, 1e6),
  patienceOrNone: whole(0, 1e6),
  seconds: number(0, 1e9, { above: true }),
};

/** Entries of a list in a recipe. */
export const MOST_ENTRIES = 1000;

/** @throws InputError naming what is out of its bounds: `the seed 1e12, expected ...` */
export function checkBound(what: string, value: unknown, bound: z.ZodType): void {
  const issue = bound.safeParse(value).error?.issues[0];
  if (issue) throw new InputError(`${what} ${issue.message}`);
}

/** @throws InputError for no seeds, too many, seeds that are none, or one given twice */
export function checkSeeds(seeds: readonly number[]): void {
  if (seeds.length > MOST_ENTRIES) {
    throw new InputError(`${seeds.length} seeds: expected at most ${MOST_ENTRIES}`);
  }
  if (seeds.length === 0 || new Set(seeds).size < seeds.length) {
    throw new InputError(`seeds [${seeds}]: expected at least one, and different ones`);
  }
  for (const seed of seeds) checkBound('seed', seed, bounds.seed);
}

/**
 * @param what the stage, for messages: 'alignment'
 * @param config the model that is trained, or trained beside
 * @param held hidden states of a batch that are held at once: 1 for single layers, as many as layers for a whole model
 * @param memory of the machine, in bytes
 * @throws InputError for numbers beyond bounds, the model's context or the machine's memory
 */
export function checkTraining(
  what: string,
  { batch, length, steps, rate }: TrainingSettings,
  config: ModelConfig,
  { held = 1, least = 1, memory = machineMemory() }: { held?: number; least?: 0 | 1; memory?: number } = {},
): void {
  checkBound(`${what}: steps`, steps, least ? bounds.steps : bounds.stepsOrNone);
  checkBound(`${what}: rows`, batch, bounds.rows);
  checkBound(`${what}: length of rows`, length, bounds.length);
  checkBound(`${what}: learning rate`, rate, bounds.rate);
  const { maxPositionEmbeddings, hiddenSize, intermediateSize } = config;
  if (length > maxPositionEmbeddings) {
    throw new InputError(
      `${what} has rows of ${length} tokens, longer than the model's context of ${maxPositionEmbeddings}`,
    );
  }
  const tokens = batch * length;
  const numbers =
    countParameters(modelParameters(config)) + tokens * (held * hiddenSize + 2 * intermediateSize);
  if (4 * numbers > memory) {
    throw new InputError(
      `${what}: ${batch} rows of ${length} tokens take at least ${gigabytes(4 * numbers)} with this model, and the ` +
        `machine has ${gigabytes(memory)}: fewer or shorter rows`,
    );
  }
}

/** What a process may have, in bytes; less than the machine's in a container with a limit. */
function machineMemory(): number {
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toLocaleString('en', { maximumSignificantDigits: 3 })} GB`;
}
