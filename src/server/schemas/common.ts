import { z } from 'zod';

/** Fields that several requests share, and how a body is checked. */

/** Absent and null are the same in OpenAI's API. */
const optional = <T extends z.ZodType>(schema: T) =>
  schema.nullish().transform((value) => value ?? undefined);

export const flag = optional(z.boolean());
export const text = optional(z.string());
/** As llama.cpp has it, -1 is as many as there is room for. */
export const tokenCount = optional(z.int().min(-1)).transform((value) =>
  value === -1 ? Number.POSITIVE_INFINITY : value,
);

/**
 * Any whole number of 64 bits, of which both halves count; -1 is none, as in vLLM and llama.cpp.
 */
const seed = optional(
  z
    .number()
    .refine((value) => Number.isInteger(value) && value >= -(2 ** 63) && value <= 2 ** 64, {
      error: 'expected a whole number of at most 64 bits',
    })
    .meta({ type: 'integer' }),
).transform((value) => {
  if (value === undefined || value === -1) return undefined;
  const bits = BigInt.asUintN(64, BigInt(value));
  // The upper half is spread over all bits (the mixing of MurmurHash 3); 0 stays 0, and small seeds as they are.
  let upper = Number(bits >> 32n);
  upper = Math.imul(upper ^ (upper >>> 16), 0x85ebca6b);
  return (Number(bits & 0xffffffffn) ^ upper ^ (upper >>> 13)) >>> 0;
});

/** Parts of a content joined; what a part says is under its own name. */
const partsText = (parts: readonly Record<string, unknown>[]) =>
  parts.map((part) => (part.text ?? part.refusal) as string).join('');

/** A text, or parts of these types. */
export const contentOf = <T extends z.ZodType<Record<string, unknown>>>(part: T, expected: string) =>
  z
    .union([z.string(), z.array(part)], { error: `expected a text or a list of parts ${expected}` })
    .transform((value) => (typeof value === 'string' ? value : partsText(value)));

/** What is held back for a longer one takes time that grows with its square. */
const stopText = z.string().max(1024);

export const sampling = {
  model: text.describe('The name that /v1/models tells; may be left out.'),
  temperature: optional(z.number().min(0).max(2)).describe(
    "0 takes the most probable token. As the model's generation_config.json has it unless given, else 0.",
  ),
  top_p: optional(z.number().min(0).max(1)).transform((value) =>
    value === undefined ? value : Math.max(value, Number.EPSILON),
  ),
  top_k: optional(z.int().min(-1)).transform((value) => value && Math.max(value, 0)),
  min_p: optional(z.number().min(0).max(1)),
  frequency_penalty: optional(z.number().min(-2).max(2)),
  presence_penalty: optional(z.number().min(-2).max(2)),
  repetition_penalty: optional(z.number().gt(0)),
  logit_bias: optional(z.record(z.string().regex(/^\d+$/, 'expected a token id'), z.number())),
  seed: seed.describe('The same seed, the same text; -1 is none.'),
  user: text.describe('Places are shared fairly among users.'),
  ignore_eos: flag.describe('Go on after the end-of-text token, for measurements.'),
};

export const written = {
  stop: optional(z.union([stopText, z.array(stopText).max(16)])).transform((value = []) => {
    const strings = (typeof value === 'string' ? [value] : value).filter((text) => text !== '');
    return strings.length > 0 ? strings : undefined;
  }),
  n: optional(z.int().min(1).max(128)),
  stream: flag,
  stream_options: optional(z.object({ include_usage: flag })),
};

export type Sampling = z.output<z.ZodObject<typeof sampling>>;

export { optional };
