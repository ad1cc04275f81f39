import { z } from 'zod';
import { contentOf, flag, optional, sampling, text, tokenCount, written } from './common.ts';

const part = z.object({ type: z.literal('text'), text: z.string() });
const refusal = z.object({ type: z.literal('refusal'), refusal: z.string() });

const content = contentOf(part, '{type: "text", text}');

const toolCall = z.object({
  id: z.string(),
  type: z.literal('function').default('function'),
  function: z.object({ name: z.string(), arguments: z.string() }),
});

const message = z.discriminatedUnion('role', [
  z.object({ role: z.enum(['system', 'developer', 'user']), content, name: text }),
  z.object({
    role: z.literal('assistant'),
    content: optional(contentOf(z.discriminatedUnion('type', [part, refusal]), '{type: "text", text}')),
    name: text,
    tool_calls: optional(z.array(toolCall)),
  }),
  // A function without a result.
  z.object({ role: z.literal('tool'), content: optional(content), tool_call_id: z.string() }),
]);

export const jsonSchema = z.record(z.string(), z.unknown());

export const functionTool = z.object({
  name: z.string().min(1).max(128),
  description: text,
  parameters: optional(jsonSchema),
  strict: flag,
});

const named = z.object({ type: z.literal('function'), function: z.object({ name: z.string() }) });

export const chatRequest = z.object({
  ...sampling,
  ...written,
  messages: z.array(message).min(1),
  max_tokens: tokenCount,
  max_completion_tokens: tokenCount.describe(
    'In place of max_tokens. Up to the end of the context unless given.',
  ),
  logprobs: flag,
  top_logprobs: optional(z.int().min(0).max(20)),
  tools: optional(z.array(z.object({ type: z.literal('function'), function: functionTool }))),
  tool_choice: optional(z.union([z.enum(['none', 'auto', 'required']), named])),
  parallel_tool_calls: flag,
  response_format: optional(
    z.discriminatedUnion('type', [
      z.object({ type: z.literal('text') }),
      z.object({ type: z.literal('json_object') }),
      z.object({
        type: z.literal('json_schema'),
        json_schema: z.object({ name: text, description: text, schema: optional(jsonSchema), strict: flag }),
      }),
    ]),
  ),
});

export type ChatRequest = z.output<typeof chatRequest>;
export type ChatMessageIn = ChatRequest['messages'][number];
