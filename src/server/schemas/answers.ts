/** What is answered, as JSON Schema for the OpenAPI document. */

type Json = Record<string, unknown>;

const text = { type: 'string' };
const count = { type: 'integer', minimum: 0 };
const orNull = (schema: Json): Json => ({ anyOf: [schema, { type: 'null' }] });
const list = (items: Json): Json => ({ type: 'array', items });
const ref = (name: string): Json => ({ $ref: `#/components/schemas/${name}` });
/** All of these are there unless named as optional. */
const object = (properties: Record<string, Json>, optional: string[] = []): Json => ({
  type: 'object',
  properties,
  required: Object.keys(properties).filter((name) => !optional.includes(name)),
});

const tokens = {
  prompt_tokens: count,
  completion_tokens: count,
  total_tokens: count,
  prompt_tokens_details: object({ cached_tokens: count }),
};
const base = { id: text, created: count, model: text };
const logProb = {
  token: text,
  logprob: { type: 'number' },
  bytes: list({ type: 'integer', minimum: 0, maximum: 255 }),
};
const call = object({
  id: text,
  type: { const: 'function' },
  function: object({ name: text, arguments: text }),
});
const finish = (...reasons: string[]) => ({ enum: reasons });

export const answers: Record<string, Json> = {
  Error: object({
    error: object({
      message: text,
      type: text,
      param: { type: ['string', 'null'], description: 'The field at fault.' },
      code: { type: ['string', 'null'] },
    }),
  }),
  Health: object({ status: { enum: ['ok', 'draining'] }, model: text }, ['model']),
  Model: object({
    ...{ id: text, object: { const: 'model' }, created: count, owned_by: text },
    max_model_len: { type: 'integer', minimum: 1 },
  }),
  Models: object({ object: { const: 'list' }, data: list(ref('Model')) }),
  Completion: object({
    ...base,
    object: { const: 'text_completion' },
    choices: list(
      object({
        index: count,
        text,
        logprobs: orNull(
          object({
            tokens: list(text),
            token_logprobs: list({ type: ['number', 'null'] }),
            top_logprobs: list(orNull({ type: 'object', additionalProperties: { type: 'number' } })),
            text_offset: list(count),
          }),
        ),
        finish_reason: finish('stop', 'length'),
      }),
    ),
    usage: object(tokens),
  }),
  ChatCompletion: object({
    ...base,
    object: { const: 'chat.completion' },
    system_fingerprint: { type: 'null' },
    choices: list(
      object({
        index: count,
        message: object(
          {
            ...{
              role: { const: 'assistant' },
              content: { type: ['string', 'null'] },
              refusal: { type: 'null' },
            },
            tool_calls: list(call),
          },
          ['tool_calls'],
        ),
        logprobs: orNull(
          object({ content: list(object({ ...logProb, top_logprobs: list(object(logProb)) })) }),
        ),
        finish_reason: finish('stop', 'length', 'tool_calls'),
      }),
    ),
    usage: object(tokens),
  }),
  Response: object({
    ...{ id: text, object: { const: 'response' }, created_at: count, model: text },
    status: { enum: ['in_progress', 'completed', 'incomplete', 'failed'] },
    error: orNull(object({ code: text, message: text })),
    incomplete_details: orNull(object({ reason: { const: 'max_output_tokens' } })),
    output: list({
      anyOf: [
        object({
          ...{ type: { const: 'message' }, id: text, status: text, role: { const: 'assistant' } },
          content: list(
            object({ type: { const: 'output_text' }, text, annotations: list({}), logprobs: list({}) }),
          ),
        }),
        object({
          ...{ type: { const: 'function_call' }, id: text, call_id: text, status: text },
          ...{ name: text, arguments: text },
        }),
      ],
    }),
    usage: orNull(
      object({
        ...{ input_tokens: count, output_tokens: count, total_tokens: count },
        input_tokens_details: object({ cached_tokens: count }),
        output_tokens_details: object({ reasoning_tokens: count }),
      }),
    ),
  }),
};

/** What each status means. */
export const statuses: Record<number, string> = {
  400: 'The request cannot be followed; `param` names the field at fault.',
  401: 'The API key is missing or wrong.',
  403: 'Pages of this origin, or requests by this name of the host, are not answered.',
  404: 'There is no such path, or no such model.',
  405: 'The path is not for this method.',
  408: 'The request did not arrive in time.',
  413: 'The body is too large.',
  415: 'The body is encoded, or in another charset than UTF-8.',
  429: 'Too many requests are waiting; `Retry-After` says when to come back.',
  500: 'The server failed; its log says why under the id of the request.',
  503: 'The server is about to stop, or has no memory for the request at present.',
  504: 'The request took too long.',
};
