import { z } from 'zod';
import { flag, optional, sampling, text, tokenCount, written } from './common.ts';

const ids = z.array(z.int().min(0)).min(1);

export const completionRequest = z.object({
  ...sampling,
  ...written,
  prompt: z.union([z.string(), z.array(z.string()).min(1), ids, z.array(ids).min(1)], {
    error: 'expected a text, token ids, or a list of texts or of lists of token ids',
  }),
  max_tokens: tokenCount.describe('16 unless given; 0 writes nothing, for use with echo.'),
  echo: flag.describe('Begin the answer with the prompt; with logprobs, those of its tokens too.'),
  logprobs: optional(z.int().min(0).max(20)).describe('So many of the most probable tokens beside each.'),
  suffix: text,
  best_of: optional(z.int().min(1)),
});

export type CompletionRequest = z.output<typeof completionRequest>;
