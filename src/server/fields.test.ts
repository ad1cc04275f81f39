/**
 * Every field of the three interfaces as clients of OpenAI, vLLM and llama.cpp send it: followed, without effect, or
 * refused by name. Where a server means "none" by a value, so does this one.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { serveTiny, type TestServer } from '../../test/support/server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await serveTiny({ maxBatch: 4 });
});
afterAll(() => server?.stop());

const ROUTES = {
  completions: { path: '/v1/completions', body: { prompt: 'Once', max_tokens: 6 } },
  chat: {
    path: '/v1/chat/completions',
    body: { messages: [{ role: 'user', content: 'Hi' }], max_tokens: 6 },
  },
  responses: { path: '/v1/responses', body: { input: 'Hi', max_output_tokens: 6 } },
};
type Route = keyof typeof ROUTES;

async function ask(route: Route, fields: object) {
  const { path, body } = ROUTES[route];
  const answer = await fetch(`${server.url}${path}`, {
    method: 'POST',
    body: JSON.stringify({ ...body, ...fields }),
  });
  const json = await answer.json();
  return { status: answer.status, error: json.error, said: textOf(json), json };
}

/** What was said, of any interface. */
function textOf(json: {
  choices?: { text?: string; message?: { content: string }; finish_reason: string }[];
  output?: { content?: { text: string }[] }[];
}): unknown {
  if (json.output) return json.output.map(({ content }) => content?.map(({ text }) => text));
  return json.choices?.map(({ text, message, finish_reason }) => [text ?? message?.content, finish_reason]);
}

const all: Route[] = ['completions', 'chat', 'responses'];
const older: Route[] = ['completions', 'chat'];

describe('without effect: the answer is that of a request without the field', () => {
  const sampled = { temperature: 1, seed: 7 };
  const table: [string, Route[], object][] = [
    [
      'null, sampling',
      all,
      { model: null, top_p: null, top_k: null, min_p: null, user: null, ignore_eos: null },
    ],
    ['null, penalties', all, { frequency_penalty: null, presence_penalty: null, repetition_penalty: null }],
    ['null, logit_bias', all, { logit_bias: null }],
    ['null, written', older, { stop: null, n: null, stream: null, stream_options: null, logprobs: null }],
    ['null, completions', ['completions'], { echo: null, suffix: null, best_of: null }],
    [
      'null, chat',
      ['chat'],
      {
        ...{ max_completion_tokens: null, top_logprobs: null, tools: null, tool_choice: null },
        ...{ parallel_tool_calls: null, response_format: null },
      },
    ],
    [
      'null, responses',
      ['responses'],
      {
        ...{ instructions: null, stream: null, store: null, tools: null, tool_choice: null, text: null },
        ...{ parallel_tool_calls: null, previous_response_id: null, metadata: null, include: null },
      },
    ],
    ['top_k -1 is all, in vLLM', all, { top_k: -1 }],
    ['top_k 0 is all', all, { top_k: 0 }],
    ['top_p 1', all, { top_p: 1 }],
    ['min_p 0', all, { min_p: 0 }],
    ['no bias', all, { logit_bias: {} }],
    ['stop strings that are empty', older, { stop: '' }],
    ['no stop strings', older, { stop: [] }],
    ['an empty one among none', older, { stop: [''] }],
    ['best_of as n', ['completions'], { best_of: 1, suffix: '' }],
    ['top_logprobs 0 without logprobs', ['chat'], { top_logprobs: 0 }],
    ['no tools', ['chat', 'responses'], { tools: [] }],
    ['no tools, none to be called', ['chat', 'responses'], { tool_choice: 'none' }],
    ['no tools, any to be called', ['chat', 'responses'], { tools: [], tool_choice: 'auto' }],
    ['a format of text', ['chat'], { response_format: { type: 'text' } }],
    ['a format of text', ['responses'], { text: { format: { type: 'text' }, verbosity: 'low' } }],
    ['max_completion_tokens goes before max_tokens', ['chat'], { max_tokens: 99, max_completion_tokens: 6 }],
    [
      'how it is stored, billed, routed or thought about',
      all,
      {
        ...{ store: true, metadata: { a: 'b' }, service_tier: 'auto', parallel_tool_calls: true },
        ...{ reasoning_effort: 'low', reasoning: { effort: 'low', summary: 'auto' }, verbosity: 'low' },
        ...{
          safety_identifier: 'x',
          prompt_cache_key: 'x',
          prompt_cache_retention: '24h',
          cache_prompt: true,
        },
        ...{
          prediction: { type: 'content', content: 'x' },
          modalities: ['text'],
          id_slot: -1,
          x_unknown: [1],
        },
        ...{ include: ['reasoning.encrypted_content'], max_tool_calls: 3, stream_options: null },
      },
    ],
    [
      'neutral values of fields that others know',
      all,
      {
        ...{ min_tokens: 0, use_beam_search: false, length_penalty: 1, stop_token_ids: [], bad_words: [] },
        ...{ skip_special_tokens: true, include_stop_str_in_output: false, chat_template_kwargs: {} },
        ...{ mirostat: 0, typical_p: 1, repeat_penalty: 1, dry_multiplier: 0, grammar: '', n_probs: 0 },
        ...{ functions: [], function_call: 'auto', truncation: 'disabled', background: false },
      },
    ],
  ];
  const cases = table.flatMap(([name, routes, fields]) => routes.map((route) => ({ name, route, fields })));
  test.each(cases)('$route: $name', async ({ route, fields }) => {
    const [plain, given] = [await ask(route, sampled), await ask(route, { ...sampled, ...fields })];
    expect(given.error?.message).toBeUndefined();
    expect(given.said).toEqual(plain.said);
  });
});

describe('what a value means', () => {
  test.each(all)('%s: top_p 0 takes the most probable token', async (route) => {
    const greedy = await ask(route, { temperature: 0 });
    expect((await ask(route, { temperature: 1, top_p: 0 })).said).toEqual(greedy.said);
  });

  test.each(all)('%s: seed -1 is none, any other of 64 bits repeats', async (route) => {
    const drawn = (seed: number) =>
      ask(route, { temperature: 2, seed }).then(({ said }) => JSON.stringify(said));
    const free = [];
    for (let i = 0; i < 4; i++) free.push(await drawn(-1));
    expect(new Set(free).size).toBeGreaterThan(1);
    const seeds = [0, 1, -2, 2 ** 31, -(2 ** 31), 2 ** 32, 2 ** 53, -(2 ** 63), 2 ** 64];
    const texts = [];
    for (const seed of seeds) {
      texts.push(await drawn(seed));
      expect(await drawn(seed)).toBe(texts.at(-1));
    }
    // Six tokens of 320 at this temperature do not come out alike by chance.
    expect(new Set(texts).size).toBe(seeds.length - 1);
    expect(texts[0]).toBe(texts.at(-1));
  });

  test('max_tokens -1 goes on to the end of the context', async () => {
    const { json } = await ask('completions', {
      max_tokens: -1,
      prompt: 'a '.repeat(4090),
      ignore_eos: true,
    });
    const { prompt_tokens, total_tokens } = json.usage;
    expect(total_tokens).toBe(8192);
    expect(prompt_tokens).toBeGreaterThan(4000);
  });

  test('of stop strings, those that are not empty', async () => {
    const drawn = { max_tokens: 30, temperature: 1, seed: 5 };
    const [[text]] = (await ask('completions', drawn)).said as [[string]];
    const stop = text.slice(10, 12);
    const { said } = await ask('completions', { ...drawn, stop: ['', stop] });
    expect(said).toEqual([[text.slice(0, text.indexOf(stop)), 'stop']]);
  });

  test('a function without a result, parts of text in every role, and a refusal', async () => {
    const parts = (text: string) => [
      { type: 'text', text: text.slice(0, 2) },
      { type: 'text', text: text.slice(2) },
    ];
    const messages = [
      { role: 'developer', content: 'Be brief.' },
      { role: 'user', content: 'Go on.', name: 'ann' },
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } }],
      },
      { role: 'tool', tool_call_id: 'a', content: '' },
      { role: 'assistant', content: 'I cannot.' },
      { role: 'user', content: 'Why?' },
    ];
    const plain = await ask('chat', { messages });
    const others = await ask('chat', {
      messages: [
        { role: 'system', content: parts('Be brief.') },
        { role: 'user', content: parts('Go on.') },
        { ...messages[2], content: [] },
        { role: 'tool', tool_call_id: 'a', content: null },
        { role: 'assistant', content: [{ type: 'refusal', refusal: 'I cannot.' }], refusal: null },
        { role: 'user', content: parts('Why?') },
      ],
    });
    expect(plain.status).toBe(200);
    expect(others.json.usage.prompt_tokens).toBe(plain.json.usage.prompt_tokens);
    expect(others.said).toEqual(plain.said);
  });

  test('a schema that is left out is any', async () => {
    const response_format = { type: 'json_schema', json_schema: { name: 'any' } };
    const { status, said } = await ask('chat', { response_format, max_tokens: 40, temperature: 1, seed: 1 });
    expect([status, typeof said]).toEqual([200, 'object']);
  });

  test('metadata are given back', async () => {
    expect((await ask('responses', { metadata: { a: 'b' } })).json.metadata).toEqual({ a: 'b' });
  });
});

describe('refused by name', () => {
  const message = /not supported here/;
  const table: [Route[], object, string, RegExp][] = [
    [all, { seed: 1.5 }, 'seed', /whole number/],
    [all, { seed: 2 ** 65 }, 'seed', /64 bits/],
    [all, { top_k: -2 }, 'top_k', />=-1/],
    [all, { logit_bias: { 320000: 1 } }, 'logit_bias.320000', /the vocabulary has/],
    [older, { n: 0 }, 'n', /./],
    [['chat'], { max_completion_tokens: 0 }, 'max_tokens', /at least 1/],
    [['responses'], { include: ['message.output_text.logprobs'] }, 'include[0]', /other two interfaces/],
    [['responses'], { background: true }, 'background', message],
    [['responses'], { conversation: 'c' }, 'conversation', message],
    [['chat'], { functions: [{ name: 'f' }] }, 'functions', message],
    [['chat'], { chat_template_kwargs: { enable_thinking: false } }, 'chat_template_kwargs', message],
    ...['guided_json', 'structured_outputs', 'logits_processors', 'prompt_logprobs', 'stop_token_ids'].map(
      (field): [Route[], object, string, RegExp] => [older, { [field]: [1] }, field, message],
    ),
    ...['grammar', 'mirostat', 'n_predict', 'repeat_penalty', 'samplers', 'typical_p', 'xtc_probability'].map(
      (field): [Route[], object, string, RegExp] => [all, { [field]: 0.5 }, field, message],
    ),
  ];
  const cases = table.flatMap(([routes, fields, param, why]) =>
    routes.map((route) => ({ route, fields, param, why })),
  );
  test.each(cases)('$route: $fields', async ({ route, fields, param, why }) => {
    const { status, error } = await ask(route, fields);
    expect([status, error.param]).toEqual([400, param]);
    expect(error.message).toMatch(why);
  });
});
