import { z } from 'zod';
import { functionTool, jsonSchema } from './chat.ts';
import { contentOf, flag, optional, sampling, text, tokenCount } from './common.ts';

const part = z.discriminatedUnion('type', [
  z.object({ type: z.enum(['input_text', 'output_text', 'text']), text: z.string() }),
  z.object({ type: z.literal('refusal'), refusal: z.string() }),
]);

const content = contentOf(part, '{type: "input_text" or "output_text", text}');

const message = z.object({
  type: z.literal('message').default('message'),
  role: z.enum(['system', 'developer', 'user', 'assistant']),
  content,
});

const item = z.union(
  [
    z.discriminatedUnion('type', [
      z.object({
        type: z.literal('function_call'),
        call_id: z.string(),
        name: z.string(),
        arguments: z.string(),
      }),
      z.object({ type: z.literal('function_call_output'), call_id: z.string(), output: content }),
      z.object({ type: z.literal('item_reference'), id: z.string() }),
    ]),
    message,
  ],
  { error: 'expected a message, a function_call, a function_call_output or an item_reference' },
);

export const responsesRequest = z.object({
  ...sampling,
  input: z.union([z.string(), z.array(item).min(1)], { error: 'expected a text or a list of items' }),
  instructions: text,
  stream: flag,
  store: flag.describe('false forgets the answer; else it can be referred to for a while.'),
  max_output_tokens: tokenCount,
  tools: optional(
    z.array(
      z.object({
        type: z.literal('function', { error: 'only functions can be called here' }),
        ...functionTool.shape,
      }),
    ),
  ),
  tool_choice: optional(
    z.union([
      z.enum(['none', 'auto', 'required']),
      z.object({ type: z.literal('function'), name: z.string() }),
    ]),
  ),
  parallel_tool_calls: flag,
  text: optional(
    z.object({
      format: optional(
        z.discriminatedUnion('type', [
          z.object({ type: z.literal('text') }),
          z.object({ type: z.literal('json_object') }),
          z.object({ type: z.literal('json_schema'), name: text, schema: jsonSchema, strict: flag }),
        ]),
      ),
    }),
  ),
  include: optional(
    z.array(
      z.string().refine((value) => value !== 'message.output_text.logprobs', {
        error: 'log-probabilities are told by the other two interfaces alone',
      }),
    ),
  ),
  metadata: optional(z.record(z.string(), z.string())),
  previous_response_id: text,
});

export type ResponsesRequest = z.output<typeof responsesRequest>;
export type ResponsesItem = Exclude<ResponsesRequest['input'], string>[number];
