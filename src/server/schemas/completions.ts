import { z } from 'zod';
import { flag, optional, sampling, text, tokenCount, written } from './common.ts';
import { prompts } from './prompt.ts';

export const completionRequest = z.object({
  ...sampling,
  ...written,
  prompt: prompts,
  max_tokens: tokenCount.describe(
    '16 unless given; 0 writes nothing, for use with echo; -1 goes on to the end of the context.',
  ),
  echo: flag.describe('Begin the answer with the prompt; with logprobs, those of its tokens too.'),
  logprobs: optional(z.int().min(0).max(20)).describe('So many of the most probable tokens beside each.'),
  suffix: text,
  best_of: optional(z.int().min(1)),
});

export type CompletionRequest = z.output<typeof completionRequest>;
