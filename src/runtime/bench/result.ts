import { z } from 'zod';
import { date, fields, filled, list, number, text, whole } from '../../util/schema.ts';

/** What `postnas bench --json` prints, as the report reads it. Plain data; times in seconds, sizes in bytes. */

const rate = number().positive({ error: 'a number above 0' });
const size = number().min(0, { error: 'a number of at least 0' });
const count = whole(1);
const flag = z.boolean({ error: 'true or false' });

const measurementSchema = fields({
  /** Tokens before the first that is decoded. */
  context: count,
  /** Sequences at once. */
  batch: count,
  /** Of all sequences together; null where the state was drawn. */
  prefillTokensPerSecond: rate.nullable(),
  /** From the prompt to the first token. */
  firstTokenSeconds: rate.nullable(),
  /** How many readings of the prompt those are the median of. */
  prefillRounds: whole(0),
  /** Of all sequences together. */
  decodeTokensPerSecond: rate,
  /** Of one sequence, at its end, places for tokens to come included, and what the formula says for it. */
  stateBytes: size,
  formulaBytes: size,
  /** Of the process, up to here. */
  peakBytes: size,
});

export type Measurement = z.infer<typeof measurementSchema>;

const throughputSchema = fields({
  /** Bytes that weights and states may take together. */
  memory: size,
  context: count,
  weightBytes: size,
  /** Of one sequence at its full length. */
  stateBytes: size,
  /** Sequences that fit beside the weights; 0 where not even one does. */
  batch: whole(0),
  measured: fields({
    /** null where the state was drawn. */
    prefillTokensPerSecond: rate.nullable(),
    decodeTokensPerSecond: rate,
    iterations: count,
    /** Of the process, up to here. */
    peakBytes: size,
  }).nullable(),
  /** Why nothing was measured. */
  refused: text().nullable(),
});

export const benchSchema = fields({
  format: z.literal('postnas-bench-1'),
  model: text(),
  /** A letter per layer. */
  architecture: text(),
  /** ISO 8601. */
  created: date(),
  processor: text(),
  dtype: text(),
  /** All cores when null. */
  threads: count.nullable(),
  tokens: count,
  rounds: count,
  /** Whether states were drawn rather than prompts read. */
  fill: flag,
  /** Lengths beyond the model's context. */
  leftOut: list(count),
  rows: filled(measurementSchema),
  throughput: throughputSchema.nullable(),
});

export type BenchResult = z.infer<typeof benchSchema>;
