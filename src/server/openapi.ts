import { z } from 'zod';
import { chatRequest } from './schemas/chat.ts';
import { completionRequest } from './schemas/completions.ts';
import { responsesRequest } from './schemas/responses.ts';
import type { Service } from './service.ts';

/** The interface as an OpenAPI document, its requests from the very schemas that check them. */
export function openApi({ names }: Service) {
  const body = (schema: z.ZodType) => {
    const { $schema: _, ...json } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
    return { required: true, content: { 'application/json': { schema: json } } };
  };
  const error = { $ref: '#/components/responses/Error' };
  const answers = (description: string, stream: boolean) => ({
    200: {
      description,
      content: {
        'application/json': { schema: { type: 'object' } },
        ...(stream ? { 'text/event-stream': { schema: { type: 'string' } } } : {}),
      },
    },
    default: error,
  });
  const post = (operationId: string, summary: string, schema: z.ZodType) => ({
    post: { operationId, summary, requestBody: body(schema), responses: answers('The answer.', true) },
  });
  const get = (operationId: string, summary: string, description: string) => ({
    get: { operationId, summary, responses: answers(description, false) },
  });
  return {
    openapi: '3.1.0',
    info: {
      title: `postnas serve ${names[0]}`,
      version: '1',
      description: "A language model by OpenAI's interface. Fields that are not listed are ignored.",
    },
    security: [{}, { key: [] }],
    paths: {
      '/v1/models': get('listModels', 'The model that is served.', 'A list of one.'),
      '/v1/completions': post('createCompletion', 'Go on from a text or from tokens.', completionRequest),
      '/v1/chat/completions': post('createChatCompletion', 'Answer a conversation.', chatRequest),
      '/v1/responses': post(
        'createResponse',
        'Answer a conversation, with items and events.',
        responsesRequest,
      ),
      '/health': get('health', 'Whether requests are taken; 503 while the server stops.', 'They are.'),
      '/metrics': get('metrics', 'For Prometheus.', 'Metrics in its text format.'),
    },
    components: {
      securitySchemes: { key: { type: 'http', scheme: 'bearer' } },
      responses: {
        Error: {
          description: 'What was wrong; `param` names the field at fault.',
          content: {
            'application/json': {
              schema: {
                type: 'object',
                properties: {
                  error: {
                    type: 'object',
                    properties: {
                      message: { type: 'string' },
                      type: { type: 'string' },
                      param: { type: ['string', 'null'] },
                      code: { type: ['string', 'null'] },
                    },
                  },
                },
              },
            },
          },
        },
      },
    },
  };
}
