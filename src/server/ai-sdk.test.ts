/** Vercel's AI SDK: its provider for compatible servers, and the one for OpenAI, which asks /v1/responses. */
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateObject, generateText, type LanguageModel, stepCountIs, streamText, tool } from 'ai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { serveTiny, type TestServer } from '../../test/support/server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await serveTiny({ apiKey: 'secret' });
});
afterAll(() => server?.stop());

const providers: [string, () => LanguageModel][] = [
  [
    '@ai-sdk/openai-compatible',
    () =>
      createOpenAICompatible({
        ...{ name: 'postnas', baseURL: `${server.url}/v1`, apiKey: 'secret' },
        ...{ includeUsage: true, supportsStructuredOutputs: true },
      })('tiny'),
  ],
  ['@ai-sdk/openai', () => createOpenAI({ baseURL: `${server.url}/v1`, apiKey: 'secret' })('tiny')],
];

describe.each(providers)('%s', (_, provider) => {
  const prompt = 'What is in the box?';

  test('text, the same streamed', async () => {
    const options = { model: provider(), prompt, system: 'Be brief.', maxOutputTokens: 24, temperature: 0 };
    const whole = await generateText(options);
    expect(whole.usage).toMatchObject({ outputTokens: 24 });
    expect(whole.finishReason).toBe('length');
    const { textStream, usage, finishReason } = streamText(options);
    let text = '';
    for await (const piece of textStream) text += piece;
    expect(text).toBe(whole.text);
    expect(await usage).toMatchObject({ inputTokens: whole.usage.inputTokens, outputTokens: 24 });
    expect(await finishReason).toBe('length');
  });

  test('an object by a schema', async () => {
    const schema = z.object({
      colour: z.enum(['red', 'green']),
      count: z.int(),
      more: z.boolean().nullable(),
    });
    const { object } = await generateObject({ model: provider(), prompt, schema, temperature: 1 });
    expect(schema.parse(object)).toEqual(object);
  });

  test('a tool is called, and the answer goes on with its result', async () => {
    const called: unknown[] = [];
    const look = tool({
      description: 'Looks into a box.',
      inputSchema: z.object({ box: z.enum(['left', 'right']) }),
      execute: async (input) => {
        called.push(input);
        return { inside: 'a key' };
      },
    });
    const { steps, text } = await generateText({
      ...{ model: provider(), prompt, tools: { look }, temperature: 0, maxOutputTokens: 400 },
      prepareStep: ({ stepNumber }) => ({ toolChoice: stepNumber === 0 ? 'required' : 'none' }),
      stopWhen: stepCountIs(2),
      providerOptions: { openai: { parallelToolCalls: false } },
    });
    expect(called.length).toBeGreaterThanOrEqual(1);
    expect(['left', 'right']).toContain((called[0] as { box: string }).box);
    expect(steps[0]!.toolCalls[0]).toMatchObject({ toolName: 'look' });
    expect(steps.length).toBe(2);
    expect(text).toBe(steps[1]!.text);
  });

  test('a streamed tool call', async () => {
    const { fullStream } = streamText({
      ...{ model: provider(), prompt, toolChoice: 'required', temperature: 0 },
      tools: { look: tool({ description: 'Looks.', inputSchema: z.object({ box: z.boolean() }) }) },
    });
    const parts = [];
    for await (const part of fullStream) parts.push(part);
    expect(parts.filter(({ type }) => type === 'error')).toEqual([]);
    const call = parts.find(({ type }) => type === 'tool-call');
    expect(call).toMatchObject({ toolName: 'look', input: { box: expect.any(Boolean) } });
    expect(parts.at(-1)).toMatchObject({ type: 'finish', finishReason: 'tool-calls' });
  });

  test('an abort ends the stream', async () => {
    const controller = new AbortController();
    const { textStream } = streamText({
      ...{ model: provider(), prompt, maxOutputTokens: 8000, temperature: 0, abortSignal: controller.signal },
    });
    let pieces = 0;
    for await (const _ of textStream) if (++pieces === 3) controller.abort();
    for (let i = 0; i < 100 && server.scheduler.running > 0; i++)
      await new Promise((done) => setTimeout(done, 10));
    expect(server.scheduler.running).toBe(0);
  });
});
