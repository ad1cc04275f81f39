/** OpenAI's own client. */
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { serveTiny, type TestServer } from '../../test/support/server.ts';

let server: TestServer;
let client: OpenAI;
beforeAll(async () => {
  server = await serveTiny({ maxBatch: 8 });
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 0 });
});
afterAll(() => server?.stop());

const model = 'tiny';
const messages = [{ role: 'user' as const, content: 'What is in the box?' }];
const drawn = { temperature: 1, seed: 5 };

test('models', async () => {
  expect((await client.models.list()).data).toMatchObject([{ id: model, object: 'model' }]);
  expect(await client.models.retrieve(model)).toMatchObject({ id: model, max_model_len: 8192 });
  await expect(client.models.retrieve('other')).rejects.toMatchObject({ status: 404 });
});

describe('completions', () => {
  test('a text, the same streamed', async () => {
    const body = { model, prompt: 'Once upon', max_tokens: 30, ...drawn };
    const whole = await client.completions.create(body);
    expect(whole.choices).toMatchObject([{ index: 0, logprobs: null, finish_reason: 'length' }]);
    expect(whole.usage).toMatchObject({
      prompt_tokens: server.model.encode('Once upon').length,
      completion_tokens: 30,
    });
    let text = '';
    for await (const chunk of await client.completions.create({ ...body, stream: true })) {
      text += chunk.choices[0]!.text;
      expect(chunk.usage).toBeUndefined();
    }
    expect(text).toBe(whole.choices[0]!.text);
    let generated = '';
    for await (const token of server.model.generate('Once upon', { maxNewTokens: 30, ...drawn })) {
      generated += token.text;
    }
    expect(text).toBe(generated);
  });

  test('several prompts, as texts and as tokens, with several texts each', async () => {
    const texts = ['Once', 'upon a', 'time there was'];
    const ask = (prompt: string | string[] | number[] | number[][], n = 1) =>
      client.completions.create({ model, prompt, n, max_tokens: 12, ...drawn });
    const alone: string[] = [];
    for (const text of texts) for (const { text: own } of (await ask(text, 2)).choices) alone.push(own);
    const together = await ask(texts, 2);
    expect(together.choices.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(together.choices.map(({ text }) => text)).toEqual(alone);
    expect(new Set(alone).size).toBe(6);
    const ids = texts.map((text) => server.model.encode(text));
    expect((await ask(ids, 2)).choices.map(({ text }) => text)).toEqual(alone);
    expect((await ask(ids[1]!)).choices[0]!.text).toBe(alone[2]);
  });

  test('echo with log-probabilities: those of the model', async () => {
    const prompt = 'Once upon a time';
    const ids = server.model.encode(prompt);
    const { choices, usage } = await client.completions.create({
      ...{ model, prompt, max_tokens: 1, logprobs: 2, echo: true, temperature: 0 },
    });
    const { tokens, token_logprobs, top_logprobs, text_offset } = choices[0]!.logprobs!;
    expect(tokens!.length).toBe(ids.length + 1);
    expect(choices[0]!.text.startsWith(prompt)).toBe(true);
    expect(tokens!.slice(0, -1).join('')).toBe(prompt);
    expect(text_offset!.slice(0, 3)).toEqual([
      0,
      tokens![0]!.length,
      tokens![0]!.length + tokens![1]!.length,
    ]);
    expect([token_logprobs![0], top_logprobs![0]]).toEqual([null, null]);
    using sequence = server.model.engine.start();
    for (const [i, id] of ids.slice(0, -1).entries()) {
      const logits = await server.model.engine.append(sequence, [id]);
      const sum = logits.reduce((total, x) => total + Math.exp(x), 0);
      expect(token_logprobs![i + 1]).toBeCloseTo(logits[ids[i + 1]!]! - Math.log(sum), 3);
      const best = Math.max(...Object.values(top_logprobs![i + 1]!));
      expect(best).toBeCloseTo(Math.max(...logits) - Math.log(sum), 3);
    }
    expect(usage!.completion_tokens).toBe(1);
    const nothing = await client.completions.create({
      model,
      prompt,
      max_tokens: 0,
      logprobs: 2,
      echo: true,
    });
    expect(nothing.choices[0]).toMatchObject({ text: prompt, finish_reason: 'length' });
    expect(nothing.choices[0]!.logprobs!.token_logprobs).toEqual(token_logprobs!.slice(0, -1));
    expect(nothing.usage!.completion_tokens).toBe(0);
  });

  test('echo streamed begins with the prompt', async () => {
    const stream = await client.completions.create({
      ...{ model, prompt: 'Once', max_tokens: 3, echo: true, logprobs: 1, stream: true, ...drawn },
      stream_options: { include_usage: true },
    });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    expect(chunks[0]!.choices[0]!.text).toBe('Once');
    expect(chunks[0]!.choices[0]!.logprobs!.token_logprobs![0]).toBeNull();
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 3 } });
    expect(chunks.slice(0, -1).every(({ usage }) => usage === null)).toBe(true);
  });

  test('a stop string and logit bias', async () => {
    const free = (await client.completions.create({ model, prompt: 'Once', max_tokens: 40, ...drawn }))
      .choices[0]!;
    const stop = free.text.slice(10, 12);
    const stopped = (
      await client.completions.create({ model, prompt: 'Once', max_tokens: 40, stop, ...drawn })
    ).choices[0]!;
    expect(stopped).toMatchObject({
      text: free.text.slice(0, free.text.indexOf(stop)),
      finish_reason: 'stop',
    });
    const [id] = server.model.encode('Z');
    const biased = await client.completions.create({
      ...{ model, prompt: 'Once', max_tokens: 5, temperature: 0, logit_bias: { [id!]: 100 } },
    });
    expect(biased.choices[0]!.text).toBe('ZZZZZ');
  });
});

describe('chat', () => {
  test('an answer by the template, the same streamed, with usage', async () => {
    const body = { model, messages, max_completion_tokens: 25, ...drawn };
    const whole = await client.chat.completions.create(body);
    const ids = server.model.encodeChat(messages).ids;
    expect(whole.usage).toMatchObject({
      prompt_tokens: ids.length,
      completion_tokens: 25,
      total_tokens: ids.length + 25,
    });
    expect(whole.choices[0]).toMatchObject({ message: { role: 'assistant' }, finish_reason: 'length' });
    const stream = client.chat.completions.stream({ ...body, stream_options: { include_usage: true } });
    const final = await stream.finalChatCompletion();
    expect(final.choices[0]!.message.content).toBe(whole.choices[0]!.message.content);
    expect(final.choices[0]!.finish_reason).toBe('length');
    expect(final.usage).toMatchObject({ completion_tokens: 25 });
  });

  test('several answers, each with its log-probabilities', async () => {
    const { choices } = await client.chat.completions.create({
      ...{ model, messages, n: 3, logprobs: true, top_logprobs: 2, max_tokens: 6, ...drawn },
    });
    expect(choices.map(({ index }) => index)).toEqual([0, 1, 2]);
    for (const { logprobs } of choices) {
      expect(logprobs!.content!.length).toBe(6);
      for (const { logprob, top_logprobs, bytes, token } of logprobs!.content!) {
        expect(top_logprobs.length).toBe(2);
        expect(logprob).toBeLessThanOrEqual(top_logprobs[0]!.logprob);
        if (!token.startsWith('bytes:')) expect(Buffer.from(bytes!).toString()).toBe(token);
      }
    }
    expect(new Set(choices.map(({ message }) => message.content)).size).toBe(3);
  });

  test('later turns start from what was read of earlier ones', async () => {
    const system = { role: 'system' as const, content: 'You answer in few words. '.repeat(10) };
    const first = [system, ...messages];
    const ask = (turns: OpenAI.ChatCompletionMessageParam[]) =>
      client.chat.completions.create({ model, messages: turns, max_tokens: 8, temperature: 0 });
    const one = await ask(first);
    expect(one.usage!.prompt_tokens_details!.cached_tokens).toBe(0);
    const turns = [...first, one.choices[0]!.message, { role: 'user' as const, content: 'And then?' }];
    const two = await ask(turns);
    expect(two.usage!.prompt_tokens_details!.cached_tokens).toBeGreaterThan(200);
    // The same from a server that knows nothing yet.
    const cold = await serveTiny();
    const other = new OpenAI({ baseURL: `${cold.url}/v1`, apiKey: 'none' });
    const again = await other.chat.completions.create({
      model,
      messages: turns,
      max_tokens: 8,
      temperature: 0,
    });
    expect(again.choices).toEqual(two.choices);
    expect(again.usage!.prompt_tokens_details!.cached_tokens).toBe(0);
    await cold.stop();
  });

  test('JSON by a schema, whatever the model would say', async () => {
    const schema = {
      type: 'object',
      properties: {
        name: { type: 'string', maxLength: 10 },
        colour: { enum: ['red', 'green'] },
        size: { anyOf: [{ type: 'integer' }, { type: 'null' }] },
        tags: { type: 'array', items: { type: 'string', maxLength: 4 }, maxItems: 2 },
      },
      required: ['name', 'colour', 'size', 'tags'],
      additionalProperties: false,
    };
    for (let seed = 0; seed < 8; seed++) {
      const { choices } = await client.chat.completions.create({
        ...{ model, messages, temperature: 1.5, seed, max_tokens: 300 },
        response_format: { type: 'json_schema', json_schema: { name: 'thing', schema, strict: true } },
      });
      expect(choices[0]!.finish_reason).toBe('stop');
      const thing = JSON.parse(choices[0]!.message.content!);
      expect(Object.keys(thing)).toEqual(['name', 'colour', 'size', 'tags']);
      expect(['red', 'green']).toContain(thing.colour);
      expect(thing.size === null || Number.isInteger(thing.size)).toBe(true);
      expect(thing.tags.length).toBeLessThanOrEqual(2);
    }
  });

  test('any JSON object', async () => {
    let whole = 0;
    for (let seed = 0; seed < 6; seed++) {
      const { choices } = await client.chat.completions.create({
        ...{ model, messages, temperature: 1, seed, max_tokens: 600 },
        response_format: { type: 'json_object' },
      });
      expect(choices[0]!.message.content).toMatch(/^\{/);
      if (choices[0]!.finish_reason === 'length') continue;
      whole++;
      expect(typeof JSON.parse(choices[0]!.message.content!)).toBe('object');
    }
    expect(whole).toBeGreaterThan(0);
  });

  describe('tools', () => {
    const weather = {
      type: 'function' as const,
      function: {
        name: 'get_weather',
        description: 'The weather in a city.',
        parameters: {
          type: 'object',
          properties: { city: { type: 'string', maxLength: 12 }, days: { type: 'integer' } },
          required: ['city', 'days'],
        },
      },
    };

    test('a call that is required, whole and streamed', async () => {
      const body = {
        model,
        messages,
        tools: [weather],
        tool_choice: 'required' as const,
        max_tokens: 300,
        ...drawn,
      };
      const request = { ...body, parallel_tool_calls: false };
      const { choices } = await client.chat.completions.create(request);
      expect(choices[0]).toMatchObject({ finish_reason: 'tool_calls', message: { content: null } });
      const [call] = choices[0]!.message.tool_calls!;
      expect(call).toMatchObject({ type: 'function', function: { name: 'get_weather' } });
      const given = JSON.parse((call as { function: { arguments: string } }).function.arguments);
      expect(given).toEqual({ city: expect.any(String), days: expect.any(Number) });
      const final = await client.chat.completions.stream(request).finalChatCompletion();
      const [streamed] = final.choices[0]!.message.tool_calls!;
      expect(JSON.parse((streamed as { function: { arguments: string } }).function.arguments)).toEqual(given);
      expect(final.choices[0]!.finish_reason).toBe('tool_calls');
    });

    test('a conversation with a call and its result', async () => {
      const { usage } = await client.chat.completions.create({
        ...{ model, max_tokens: 5, tools: [weather] },
        messages: [
          ...messages,
          {
            role: 'assistant',
            content: null,
            tool_calls: [
              { id: 'a', type: 'function', function: { name: 'get_weather', arguments: '{"city":"Rome"}' } },
            ],
          },
          { role: 'tool', tool_call_id: 'a', content: 'sunny' },
        ],
      });
      expect(usage!.completion_tokens).toBeGreaterThan(0);
    });

    test('a name that is not there', async () => {
      const tool_choice = { type: 'function' as const, function: { name: 'other' } };
      await expect(
        client.chat.completions.create({ model, messages, tools: [weather], tool_choice }),
      ).rejects.toMatchObject({ status: 400, param: 'tool_choice' });
    });
  });
});

describe('responses', () => {
  test('a text, the same streamed', async () => {
    const body = {
      model,
      input: 'What is in the box?',
      instructions: 'Be brief.',
      max_output_tokens: 20,
      ...drawn,
    };
    const { seed: _, ...request } = { ...body, temperature: 0 };
    const whole = await client.responses.create(request);
    expect(whole).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'max_output_tokens' },
      output: [{ type: 'message', status: 'incomplete' }],
    });
    expect(whole.usage).toMatchObject({ output_tokens: 20 });
    const stream = client.responses.stream(request);
    let text = '';
    for await (const event of stream) if (event.type === 'response.output_text.delta') text += event.delta;
    expect(text).toBe(whole.output_text);
    expect((await stream.finalResponse()).output_text).toBe(text);
  });

  test('a call, and its result by reference', async () => {
    const tools = [
      {
        type: 'function' as const,
        name: 'f',
        strict: false,
        parameters: { properties: { a: { type: 'null' } } },
      },
    ];
    const first = await client.responses.create({
      ...{
        model,
        input: 'Call f.',
        tools,
        tool_choice: 'required',
        parallel_tool_calls: false,
        temperature: 1,
      },
    });
    const call = first.output[0] as OpenAI.Responses.ResponseFunctionToolCall;
    expect(call).toMatchObject({ type: 'function_call', name: 'f' });
    const input: OpenAI.Responses.ResponseInputItem[] = [
      { role: 'user', content: 'Call f.' },
      { type: 'item_reference', id: call.id! },
      { type: 'function_call_output', call_id: call.call_id, output: 'done' },
    ];
    const second = await client.responses.create({
      model,
      input,
      tools,
      max_output_tokens: 5,
      temperature: 0,
    });
    const { type, call_id, name, arguments: json } = call;
    const sent = await client.responses.create({
      ...{ model, tools, max_output_tokens: 5, temperature: 0 },
      input: [input[0]!, { type, call_id, name, arguments: json }, input[2]!],
    });
    expect(sent.usage!.input_tokens).toBe(second.usage!.input_tokens);
    expect(sent.output_text).toBe(second.output_text);
    await expect(
      client.responses.create({ model, input: [{ type: 'item_reference', id: 'fc-none' }] }),
    ).rejects.toMatchObject({ status: 400, param: 'input[0].id' });
  });

  test('JSON by a schema', async () => {
    const schema = { type: 'object', properties: { ok: { type: 'boolean' } }, required: ['ok'] };
    const { output_text, status } = await client.responses.create({
      ...{ model, input: 'Is it?', text: { format: { type: 'json_schema', name: 'x', schema } } },
    });
    expect(status).toBe('completed');
    expect(typeof JSON.parse(output_text).ok).toBe('boolean');
  });
});
