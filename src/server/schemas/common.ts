import { z } from 'zod';

/** Fields that several requests share, and how a body is checked. */

/** Absent and null are the same in OpenAI's API. */
const optional = <T extends z.ZodType>(schema: T) =>
  schema.nullish().transform((value) => value ?? undefined);

export const flag = optional(z.boolean());
export const text = optional(z.string());
export const tokenCount = optional(z.int().min(0));

export const sampling = {
  model: text.describe('The name that /v1/models tells; may be left out.'),
  temperature: optional(z.number().min(0).max(2)).describe(
    "0 takes the most probable token. As the model's generation_config.json has it unless given, else 0.",
  ),
  top_p: optional(z.number().gt(0).max(1)),
  top_k: optional(z.int().min(0)),
  min_p: optional(z.number().min(0).max(1)),
  frequency_penalty: optional(z.number().min(-2).max(2)),
  presence_penalty: optional(z.number().min(-2).max(2)),
  repetition_penalty: optional(z.number().gt(0)),
  logit_bias: optional(z.record(z.string().regex(/^\d+$/, 'expected a token id'), z.number())),
  seed: optional(z.int().min(0)).describe('The same seed, the same text.'),
  user: text.describe('Places are shared fairly among users.'),
  ignore_eos: flag.describe('Go on after the end-of-text token, for measurements.'),
};

export const written = {
  stop: optional(z.union([z.string().min(1), z.array(z.string().min(1)).max(16)])),
  n: optional(z.int().min(1).max(128)),
  stream: flag,
  stream_options: optional(z.object({ include_usage: flag })),
};

export type Sampling = z.output<z.ZodObject<typeof sampling>>;

export { optional };
