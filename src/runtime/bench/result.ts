import { z } from 'zod';

/** What `postnas bench --json` prints, as the report reads it. Plain data; times in seconds, sizes in bytes. */

const rate = z.number().positive();
const size = z.number().min(0);
const count = z.int().min(1);

const measurementSchema = z.object({
  /** Tokens before the first that is decoded. */
  context: count,
  /** Sequences at once. */
  batch: count,
  /** Of all sequences together; null where the state was drawn. */
  prefillTokensPerSecond: rate.nullable(),
  /** From the prompt to the first token. */
  firstTokenSeconds: rate.nullable(),
  /** How many readings of the prompt those are the median of. */
  prefillRounds: z.int().min(0),
  /** Of all sequences together. */
  decodeTokensPerSecond: rate,
  /** Of one sequence, at its end, places for tokens to come included, and what the formula says for it. */
  stateBytes: size,
  formulaBytes: size,
  /** Of the process, up to here. */
  peakBytes: size,
});

export type Measurement = z.infer<typeof measurementSchema>;

const throughputSchema = z.object({
  /** Bytes that weights and states may take together. */
  memory: size,
  context: count,
  weightBytes: size,
  /** Of one sequence at its full length. */
  stateBytes: size,
  /** Sequences that fit beside the weights; 0 where not even one does. */
  batch: z.int().min(0),
  measured: z
    .object({
      /** null where the state was drawn. */
      prefillTokensPerSecond: rate.nullable(),
      decodeTokensPerSecond: rate,
      iterations: count,
      /** Of the process, up to here. */
      peakBytes: size,
    })
    .nullable(),
  /** Why nothing was measured. */
  refused: z.string().nullable(),
});

export const benchSchema = z.object({
  format: z.literal('postnas-bench-1'),
  model: z.string(),
  /** A letter per layer. */
  architecture: z.string(),
  /** ISO 8601. */
  created: z.iso.datetime(),
  processor: z.string(),
  dtype: z.string(),
  /** All cores when null. */
  threads: count.nullable(),
  tokens: count,
  rounds: count,
  /** Whether states were drawn rather than prompts read. */
  fill: z.boolean(),
  /** Lengths beyond the model's context. */
  leftOut: z.array(count),
  rows: z.array(measurementSchema).min(1),
  throughput: throughputSchema.nullable(),
});

export type BenchResult = z.infer<typeof benchSchema>;
