import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { serveTiny, type TestServer } from '../../test/support/server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await serveTiny();
});
afterAll(() => server?.stop());

const post = (path: string, body: object) =>
  fetch(`${server.url}${path}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });

const messages = [{ role: 'user', content: 'Hi' }];
const asked = (schema: object, more: object = {}, strict = false) => ({
  ...{ messages, temperature: 1.5, seed: 1, max_tokens: 200, ...more },
  response_format: { type: 'json_schema', json_schema: { name: 'x', schema, strict } },
});
const chat = (...request: Parameters<typeof asked>) => post('/v1/chat/completions', asked(...request));

async function said(answer: Response): Promise<string> {
  const { choices } = (await answer.json()) as { choices: { message: { content: string } }[] };
  return choices[0]!.message.content;
}

describe('schemas', () => {
  test('patterns and bounds hold whatever the model would say', async () => {
    const schema = {
      type: 'object',
      properties: {
        code: { type: 'string', pattern: '^[A-Z]{2}-\\d{3}$' },
        day: { type: 'string', format: 'date' },
        age: { type: 'integer', minimum: 18, maximum: 99 },
      },
      required: ['code', 'day', 'age'],
    };
    for (let seed = 0; seed < 5; seed++) {
      const { code, day, age } = JSON.parse(await said(await chat(schema, { seed }, true)));
      expect(code).toMatch(/^[A-Z]{2}-\d{3}$/);
      expect(day).toMatch(/^\d{4}-\d\d-\d\d$/);
      expect(age >= 18 && age <= 99).toBe(true);
    }
  });

  test.each([false, true])('what a text may break is told in a header, stream %s', async (stream) => {
    const schema = { type: 'array', items: { type: 'null' }, uniqueItems: true, maxItems: 3 };
    const answer = await chat(schema, { stream });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('X-Schema-Unheld')).toBe('schema.uniqueItems');
    await answer.text();
    const held = await chat({ type: 'null' }, { stream });
    expect(held.headers.get('X-Schema-Unheld')).toBeNull();
    await held.text();
  });

  test('names of places are fit for a header', async () => {
    const name = 'é\r\nX: \ud800';
    const answer = await chat({ properties: { [name]: { not: { type: 'null' } } }, required: [name] });
    expect(answer.status).toBe(200);
    const told = 'schema.properties.\\u00e9\\u000d\\u000aX: \\ud800.not';
    expect(answer.headers.get('X-Schema-Unheld')).toBe(told);
    expect(answer.headers.get('X')).toBeNull();
    await answer.text();
  });

  const doubling = {
    $ref: '#/$defs/A0',
    $defs: Object.fromEntries(
      Array.from({ length: 26 }, (_, i) => {
        const next = { $ref: `#/$defs/A${i + 1}` };
        return [`A${i}`, i === 25 ? { type: 'boolean' } : { anyOf: [next, next] }];
      }),
    ),
  };
  const deep = Array.from({ length: 2000 }).reduce<object>((items) => ({ type: 'array', items }), {});

  test('choices that double are no harm', async () => {
    expect(await said(await chat(doubling))).toMatch(/^(true|false)$/);
  });

  test.each<[object, RegExp, boolean]>([
    [{ $ref: '#' }, /^schema leads back to itself/, false],
    [deep, /^the body is nested more than 128 levels deep/, false],
    [{ type: 'array', items: { not: { type: 'null' } } }, /^schema\.items\.not cannot be held to here/, true],
  ])('400 names the place', async (schema, why, strict) => {
    const answer = await chat(schema, {}, strict);
    const { error } = (await answer.json()) as { error: { message: string } };
    expect([answer.status, error.message]).toEqual([400, expect.stringMatching(why)]);
  });

  test('parameters of functions, by their place', async () => {
    const tool = (parameters: object, strict: boolean) => ({
      ...{ messages, tool_choice: 'required', max_tokens: 5 },
      tools: [{ type: 'function', function: { name: 'f', parameters, strict } }],
    });
    const parameters = { properties: { a: { type: 'array', uniqueItems: true } } };
    const answer = await post('/v1/chat/completions', tool(parameters, true));
    const { error } = (await answer.json()) as { error: { message: string } };
    expect([answer.status, error.message]).toEqual([
      400,
      expect.stringContaining('tools[0].parameters.properties.a.uniqueItems cannot be held to'),
    ]);
    const loose = await post('/v1/chat/completions', tool(parameters, false));
    expect(loose.headers.get('X-Schema-Unheld')).toBe('tools[0].parameters.properties.a.uniqueItems');
    await loose.text();
  });
});

test('the same prompt is read once', async () => {
  const body = { prompt: 'Once upon a time, there was a little prompt.', max_tokens: 6, temperature: 0 };
  const ask = async () => {
    const answer = (await (await post('/v1/completions', body)).json()) as {
      choices: { text: string }[];
      usage: { prompt_tokens: number; prompt_tokens_details: { cached_tokens: number } };
    };
    const { prompt_tokens, prompt_tokens_details } = answer.usage;
    return { text: answer.choices[0]!.text, prompt_tokens, cached: prompt_tokens_details.cached_tokens };
  };
  const cold = await ask();
  expect(cold.cached).toBe(0);
  expect(await ask()).toEqual({ ...cold, cached: cold.prompt_tokens });
});
