import { z } from 'zod';
import { answers, statuses } from './schemas/answers.ts';
import { chatRequest } from './schemas/chat.ts';
import { completionRequest } from './schemas/completions.ts';
import { responsesRequest } from './schemas/responses.ts';
import type { Service } from './service.ts';

/** The interface as an OpenAPI document, its requests from the very schemas that check them. */
export function openApi({ names }: Service) {
  const json = (name: string) => ({
    'application/json': { schema: { $ref: `#/components/schemas/${name}` } },
  });
  const failures = (codes: number[]) =>
    Object.fromEntries(codes.map((code) => [code, { description: statuses[code], content: json('Error') }]));
  const guarded = [401, 403, 500];
  const named = (examples: object[]) =>
    Object.fromEntries(examples.map((value, i) => [`example ${i + 1}`, { value }]));
  const question = [{ role: 'user', content: 'What is in the box?' }];
  // Events are no JSON as a whole: a schema here would be one of their parts.
  const stream = { 'text/event-stream': {} };
  const post = (
    operationId: string,
    summary: string,
    schema: z.ZodType,
    answer: string,
    examples: object[],
  ) => {
    const { $schema: _, ...request } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
    return {
      post: {
        ...{ operationId, summary },
        requestBody: {
          required: true,
          content: { 'application/json': { schema: request, examples: named(examples) } },
        },
        responses: {
          200: { description: 'The answer.', content: { ...json(answer), ...stream } },
          ...failures([400, 404, 405, 408, 413, 415, 429, 503, 504, ...guarded]),
        },
      },
    };
  };
  const get = (operationId: string, summary: string, content: object, codes: number[] = guarded) => ({
    get: {
      ...{ operationId, summary },
      responses: { 200: { description: summary, content }, ...failures([405, ...codes]) },
    },
  });
  const ready = get(
    'health',
    'Whether requests are taken; 503 while the server stops.',
    json('Health'),
    [403],
  );
  const model = get('getModel', 'The model by its name.', json('Model'), [404, ...guarded]);
  const anyObject = { 'application/json': { schema: { type: 'object' } } };
  return {
    openapi: '3.1.0',
    info: {
      title: `postnas serve ${names[0]}`,
      version: '1',
      description:
        "A language model by OpenAI's interface. Fields that are not listed are ignored where they do not change the answer, else refused by name.",
    },
    security: [{}, { key: [] }],
    paths: {
      '/v1/models': get('listModels', 'The model that is served: a list of one.', json('Models')),
      '/v1/models/{model}': {
        parameters: [{ name: 'model', in: 'path', required: true, schema: { type: 'string', minLength: 1 } }],
        ...model,
      },
      '/v1/completions': post(
        ...(['createCompletion', 'Go on from a text or from tokens.', completionRequest] as const),
        'Completion',
        [
          { prompt: 'Once upon a time', max_tokens: 4 },
          { prompt: ['Once', 'upon'], max_tokens: 2, n: 2, logprobs: 2, echo: true, temperature: 1, seed: 1 },
        ],
      ),
      '/v1/chat/completions': post(
        ...(['createChatCompletion', 'Answer a conversation.', chatRequest] as const),
        'ChatCompletion',
        [
          { messages: question, max_tokens: 4 },
          { messages: question, max_tokens: 4, logprobs: true, top_logprobs: 2 },
        ],
      ),
      '/v1/responses': post(
        ...(['createResponse', 'Answer a conversation, with items and events.', responsesRequest] as const),
        'Response',
        [{ input: 'What is in the box?', max_output_tokens: 4 }],
      ),
      '/health': {
        get: {
          ...ready.get,
          security: [],
          responses: { ...ready.get.responses, 503: { description: 'It stops.', content: json('Health') } },
        },
      },
      '/metrics': get('metrics', 'For Prometheus.', { 'text/plain': { schema: { type: 'string' } } }),
      '/openapi.json': get('openApi', 'This document.', anyObject),
    },
    components: {
      securitySchemes: { key: { type: 'http', scheme: 'bearer' } },
      schemas: answers,
    },
  };
}
