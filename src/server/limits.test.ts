/** What the server does not take: hostile bodies, strangers, too much at once; and how it stops. */
import { request } from 'node:http';
import { connect } from 'node:net';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { serveTiny, type TestServer } from '../../test/support/server.ts';
import { HostBatch } from '../runtime/batch.ts';
import { serve } from './serve.ts';

let server: TestServer;
beforeAll(async () => {
  server = await serveTiny({ maxBatch: 4, maxQueue: 8, limits: { body: 100_000, maxTokens: 5000 } });
});
afterAll(() => server?.stop());

const post = (path: string, body: unknown, init: RequestInit = {}, to = server) =>
  fetch(`${to.url}${path}`, {
    method: 'POST',
    body: typeof body === 'string' ? body : JSON.stringify(body),
    ...init,
  });

const sleep = (ms: number) => new Promise((done) => setTimeout(done, ms));

async function until(condition: () => boolean, ms = 20_000): Promise<void> {
  for (const end = Date.now() + ms; !condition() && Date.now() < end; ) await sleep(5);
  expect(condition()).toBe(true);
}

describe('what is wrong is told in the shape of OpenAI, with the field', () => {
  const chat = { messages: [{ role: 'user', content: 'hi' }] };
  const C = '/v1/completions';
  const H = '/v1/chat/completions';
  const R = '/v1/responses';
  test.each<[string, unknown, number, string | null, RegExp]>([
    [C, '{"prompt": ', 400, null, /not JSON/],
    [C, '', 400, null, /not JSON/],
    [C, '[1, 2]', 400, null, /expected object/],
    [C, 'null', 400, null, /expected object/],
    [C, {}, 400, 'prompt', /expected a text, token ids/],
    [C, { prompt: 5 }, 400, 'prompt', /expected a text, token ids/],
    [C, { prompt: [] }, 400, 'prompt', /./],
    [C, { prompt: ['a', 1] }, 400, 'prompt[1]', /expected string/],
    [C, { prompt: [[1], [-1]] }, 400, 'prompt[1][0]', />=0/],
    [C, { prompt: [[1], [9999]] }, 400, null, /token id 9999 is not in the vocabulary/],
    [C, { prompt: '' }, 400, null, /the prompt is empty/],
    [C, { prompt: Array(8192).fill(5) }, 400, null, /no room for another/],
    [C, { prompt: 'a', max_tokens: -2 }, 400, 'max_tokens', />=-1/],
    [C, { prompt: 'a', max_tokens: 5001 }, 400, 'max_tokens', /at most 5000/],
    [C, { prompt: 'a', max_tokens: 1.5 }, 400, 'max_tokens', /int/],
    [C, { prompt: 'a', max_tokens: '5' }, 400, 'max_tokens', /expected number/],
    [C, { prompt: 'a', temperature: 3 }, 400, 'temperature', /<=2/],
    [C, { prompt: 'a', top_p: -0.1 }, 400, 'top_p', />=0/],
    [C, { prompt: 'a', n: 5 }, 400, null, /5 texts were asked for at once, at most 4/],
    [C, { prompt: Array(9).fill('a') }, 400, 'prompt', /at most 8 texts/],
    [C, { prompt: 'a', suffix: 'b' }, 400, 'suffix', /only goes on/],
    [C, { prompt: 'a', best_of: 3 }, 400, 'best_of', /same as n/],
    [C, { prompt: 'a', stop: Array(17).fill('x') }, 400, 'stop', /./],
    [C, { prompt: 'a', logit_bias: { x: 1 } }, 400, 'logit_bias.x', /./],
    [C, { prompt: 'a', logprobs: true }, 400, 'logprobs', /expected number/],
    [C, { prompt: 'a', model: 'gpt-4' }, 404, 'model', /'gpt-4' is not served here, expected 'tiny'/],
    [C, { prompt: 'a', stream: 'yes' }, 400, 'stream', /boolean/],
    [H, {}, 400, 'messages', /./],
    [H, { messages: [] }, 400, 'messages', /./],
    [H, { messages: [{ role: 'robot', content: 'x' }] }, 400, 'messages[0].role', /./],
    [H, { messages: [{ role: 'user' }] }, 400, 'messages[0].content', /expected a text/],
    [
      H,
      { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'x' } }] }] },
      400,
      'messages[0].content[0].type',
      /text/,
    ],
    [H, { ...chat, top_logprobs: 2 }, 400, 'top_logprobs', /only with logprobs/],
    [H, { ...chat, tool_choice: 'required' }, 400, 'tool_choice', /no tools/],
    [H, { ...chat, response_format: { type: 'yaml' } }, 400, 'response_format.type', /./],
    [
      H,
      {
        ...chat,
        response_format: {
          type: 'json_schema',
          json_schema: { schema: { type: 'string', pattern: '(a)\\1' }, strict: true },
        },
      },
      400,
      null,
      /schema.pattern cannot be held to/,
    ],
    [R, { input: 'a', previous_response_id: 'x' }, 400, 'previous_response_id', /send the messages/],
    [R, { input: [{ type: 'computer_call' }] }, 400, 'input[0]', /expected a message, a function_call/],
    [R, { input: 'a', tools: [{ type: 'web_search' }] }, 400, 'tools[0].type', /only functions/],
    ['/v1/embeddings', {}, 404, null, /there is no POST \/v1\/embeddings/],
  ])('%s %j', async (path, body, status, param, message) => {
    const answer = await post(path, body);
    const { error } = (await answer.json()) as { error: Record<string, string | null> };
    expect(answer.status).toBe(status);
    expect(error.message).toMatch(message);
    expect(error.param).toBe(param);
    expect(error.type).toMatch(/error$/);
    expect(JSON.stringify(error)).not.toMatch(/\bat \/|node_modules|\.ts:/);
  });

  test('a body that is too large, told or not told how large', async () => {
    const large = JSON.stringify({ prompt: 'x'.repeat(200_000) });
    expect((await post('/v1/completions', large)).status).toBe(413);
    const status = await new Promise((done, fail) => {
      const { hostname, port } = new URL(server.url);
      const sent = request({ hostname, port, path: '/v1/completions', method: 'POST' }, ({ statusCode }) =>
        done(statusCode),
      );
      sent.on('error', fail);
      for (let i = 0; i < 20; i++) sent.write(large.slice(0, 10_000));
      sent.end();
    });
    expect(status).toBe(413);
  });

  test('what is no HTTP at all', async () => {
    const { hostname, port } = new URL(server.url);
    const socket = connect(Number(port), hostname);
    socket.end('\x16\x03\x01 hello\r\n\r\n');
    const chunks: Buffer[] = [];
    for await (const chunk of socket) chunks.push(chunk as Buffer);
    expect(Buffer.concat(chunks).toString()).toMatch(/^HTTP\/1.1 400/);
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
  });

  test('a fault of the server says nothing of its code; the log has it under the id', async () => {
    vi.spyOn(server.scheduler, 'submitAll').mockImplementation(() => {
      throw new Error('secret detail');
    });
    const answer = await post('/v1/completions', { prompt: 'a' });
    vi.restoreAllMocks();
    expect(answer.status).toBe(500);
    expect(await answer.text()).not.toMatch(/secret|\.ts/);
    const id = answer.headers.get('X-Request-Id')!;
    expect(server.log.some((line) => line.includes(id) && line.includes('secret detail'))).toBe(true);
  });
});

describe('who may ask', () => {
  test('an address that others can reach needs a key', async () => {
    const log = pino({ level: 'silent' });
    await expect(serve(server.model, ['x'], { host: '0.0.0.0', port: 0, log })).rejects.toThrow(
      '0.0.0.0 can be reached by other machines: give an API key',
    );
    const { port } = new URL(server.url);
    await expect(serve(server.model, ['x'], { port: Number(port), log })).rejects.toThrow(
      'the port is taken',
    );
  });

  test('the key', async () => {
    const locked = await serveTiny({ apiKey: 'secret' });
    const get = (path: string, key?: string) =>
      fetch(`${locked.url}${path}`, { headers: key ? { Authorization: `Bearer ${key}` } : {} });
    expect((await get('/health')).status).toBe(200);
    for (const path of ['/v1/models', '/metrics', '/openapi.json', '/v1/nothing']) {
      for (const key of [undefined, 'Secret', 'secret2']) expect((await get(path, key)).status).toBe(401);
    }
    expect((await get('/v1/models', 'secret')).status).toBe(200);
    expect((await post('/v1/completions', { prompt: 'a' }, {}, locked)).status).toBe(401);
    await locked.stop();
  });

  test('the key: its scheme has no case, and white space around it does not count', async () => {
    const locked = await serveTiny({ apiKey: ' secret\n' });
    const status = async (Authorization: string) =>
      (await fetch(`${locked.url}/v1/models`, { headers: { Authorization } })).status;
    for (const right of ['bearer secret', 'BEARER   secret', 'Bearer secret ']) {
      expect(await status(right)).toBe(200);
    }
    for (const wrong of ['secret', 'Bearer', 'Bearer ', 'Basic secret', 'Bearersecret', 'Bearer secret x']) {
      expect(await status(wrong)).toBe(401);
    }
    await locked.stop();
  });

  test('an empty key is none, and told; one that fits into no header is refused', async () => {
    for (const apiKey of ['', ' \n']) {
      const open = await serveTiny({ apiKey });
      expect((await fetch(`${open.url}/v1/models`)).status).toBe(200);
      expect(open.log.join()).toContain('the API key is empty: none is asked for');
      await open.stop();
    }
    const log = pino({ level: 'silent' });
    await expect(serve(server.model, ['x'], { host: '0.0.0.0', apiKey: ' ', port: 0, log })).rejects.toThrow(
      '0.0.0.0 can be reached by other machines: give an API key',
    );
    await expect(serve(server.model, ['x'], { apiKey: 'schl\u00fcssel', port: 0, log })).rejects.toThrow(
      'expected printable ASCII',
    );
  });

  test.each([
    [{ limits: { seconds: 3_000_000 } }, 'limits.seconds (--timeout) is 3000000'],
    [{ limits: { seconds: 0 } }, 'limits.seconds (--timeout) is 0'],
    [{ limits: { seconds: Number.NaN } }, 'limits.seconds (--timeout) is NaN'],
    [{ limits: { body: 1e12 } }, 'limits.body (--max-body) is 1000000000000'],
    [{ limits: { maxTokens: 0 } }, 'limits.maxTokens (--max-tokens) is 0'],
    [{ limits: { readSeconds: 1e9 } }, 'limits.readSeconds is 1000000000'],
    [{ port: 70_000 }, 'port (--port) is 70000, expected a number from 0 to 65535'],
    [{ port: -1 }, 'port (--port) is -1'],
    [{ maxBatch: 0 }, 'maxBatch is 0'],
    [{ contextLength: 1e9 }, 'contextLength is 1000000000'],
  ])('%j is refused at the start', async (options, message) => {
    const log = pino({ level: 'silent' });
    await expect(serve(server.model, ['x'], { port: 0, ...options, log })).rejects.toThrow(message);
  });

  test('what may be done with a path', async () => {
    const ask = async (method: string, path: string) => {
      const { status, headers } = await fetch(`${server.url}${path}`, { method });
      return [status, headers.get('Allow')];
    };
    expect(await ask('HEAD', '/health')).toEqual([200, null]);
    expect(await ask('HEAD', '/v1/models/tiny')).toEqual([200, null]);
    expect(await ask('OPTIONS', '/v1/completions')).toEqual([204, 'POST, OPTIONS']);
    expect(await ask('GET', '/v1/completions')).toEqual([405, 'POST, OPTIONS']);
    expect(await ask('DELETE', '/v1/models/tiny')).toEqual([405, 'GET, HEAD, OPTIONS']);
    expect(await ask('POST', '/health')).toEqual([405, 'GET, HEAD, OPTIONS']);
    expect(await ask('GET', '/v2')).toEqual([404, null]);
    const [status] = await ask('GET', `/v1/models/${'x'.repeat(5000)}`);
    expect(status).toBe(404);
  });

  test('no pages of other origins, nor by a name that resolves to loopback', async () => {
    const origin = { headers: { Origin: 'https://evil.example' } };
    expect((await post('/v1/completions', { prompt: 'a' }, origin)).status).toBe(403);
    const { hostname, port } = new URL(server.url);
    const status = await new Promise((done, fail) => {
      const headers = { Host: `evil.example:${port}` };
      request({ hostname, port, path: '/v1/models', headers }, ({ statusCode }) => done(statusCode))
        .on('error', fail)
        .end();
    });
    expect(status).toBe(403);
    const open = await serveTiny({ origins: ['https://good.example'] });
    const good = await post(
      '/v1/completions',
      { prompt: 'a' },
      { headers: { Origin: 'https://good.example' } },
      open,
    );
    expect(good.status).toBe(200);
    expect(good.headers.get('Access-Control-Allow-Origin')).toBe('https://good.example');
    await open.stop();
  });
});

describe('too much', () => {
  const long = { prompt: 'a', max_tokens: 5000, ignore_eos: true, temperature: 0 };

  test('beyond the queue: 429 with a time to come back; nobody else is hurt', async () => {
    const controllers = Array.from({ length: 12 }, () => new AbortController());
    const running = controllers.map(({ signal }) =>
      post('/v1/completions', { ...long, stream: true }, { signal }).catch(() => null),
    );
    await until(() => server.scheduler.running === 4 && server.scheduler.waiting === 8);
    const refused = await post('/v1/completions', long);
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('Retry-After'))).toBeGreaterThanOrEqual(1);
    expect(((await refused.json()) as { error: object }).error).toMatchObject({
      code: 'rate_limit_exceeded',
    });
    for (const controller of controllers) controller.abort();
    await Promise.all(running);
    await until(() => server.scheduler.running === 0 && server.scheduler.waiting === 0);
    expect((await post('/v1/completions', { prompt: 'a', max_tokens: 2 })).status).toBe(200);
  });

  test('a client that goes away frees its place within a step', async () => {
    const steps = vi.spyOn(HostBatch.prototype, 'step');
    const controller = new AbortController();
    const { body } = await post('/v1/completions', { ...long, stream: true }, { signal: controller.signal });
    await body!.getReader().read();
    expect(server.scheduler.running).toBe(1);
    // From the moment that the server hears of it.
    const gone = server.log.length;
    controller.abort();
    await until(() => server.log.length > gone);
    const heard = steps.mock.calls.length;
    await until(() => server.scheduler.running === 0);
    expect(steps.mock.calls.length - heard).toBeLessThanOrEqual(1);
    vi.restoreAllMocks();
    expect(server.log.slice(gone).some((line) => line.includes('"status":499'))).toBe(true);
  });

  test('a client that goes away while it waits for a whole answer', async () => {
    const controller = new AbortController();
    const answer = post('/v1/completions', long, { signal: controller.signal }).catch(() => null);
    await until(() => server.scheduler.running === 1);
    controller.abort();
    await answer;
    await until(() => server.scheduler.running === 0);
  });

  test('a client that does not read holds up nobody, and gets everything once it reads', async () => {
    const slow = await post('/v1/completions', { ...long, max_tokens: 3000, stream: true });
    const quick = await post('/v1/completions', { prompt: 'b', max_tokens: 20 });
    expect(quick.status).toBe(200);
    await until(() => server.scheduler.running === 0, 30_000);
    const text = await slow.text();
    expect(text.match(/^data: \{/gm)!.length).toBeGreaterThan(100);
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
  });

  test('time', async () => {
    const hasty = await serveTiny({ limits: { seconds: 0.3 } });
    const whole = await post('/v1/completions', { ...long, max_tokens: 8000 }, {}, hasty);
    expect(whole.status).toBe(504);
    const stream = await post('/v1/completions', { ...long, max_tokens: 8000, stream: true }, {}, hasty);
    expect(stream.status).toBe(200);
    const text = await stream.text();
    expect(text).toMatch(/data: \{"error":\{"message":"the request took more than 0.3 s"/);
    expect(text).not.toContain('[DONE]');
    await until(() => hasty.scheduler.running === 0);

    // Responses have events for the same, with what was said until then.
    const asked = { input: 'a', max_output_tokens: 8000, ignore_eos: true, temperature: 0 };
    expect((await post('/v1/responses', asked, {}, hasty)).status).toBe(504);
    const told = await (await post('/v1/responses', { ...asked, stream: true }, {}, hasty)).text();
    const [event, data] = told.trim().split('\n\n').at(-1)!.split('\n');
    expect(event).toBe('event: response.failed');
    const { response } = JSON.parse(data!.slice('data: '.length));
    expect(response).toMatchObject({
      status: 'failed',
      error: { code: 'server_error', message: expect.stringContaining('more than 0.3 s') },
      incomplete_details: null,
      output: [{ type: 'message', status: 'incomplete' }],
      usage: { input_tokens: expect.any(Number), output_tokens: expect.any(Number) },
    });
    expect(response.usage.output_tokens).toBeGreaterThan(0);
    expect(response.usage.total_tokens).toBe(response.usage.input_tokens + response.usage.output_tokens);

    const chat = { messages: [{ role: 'user', content: 'a' }], ignore_eos: true, temperature: 0 };
    const chunks = await (await post('/v1/chat/completions', { ...chat, stream: true }, {}, hasty)).text();
    expect(chunks).toMatch(/data: \{"error":\{"message":"the request took more than 0.3 s"[^\n]*\n\n$/);
    await hasty.stop();
  });
});

test('the log has ids, lengths and times, and nothing of what was said', async () => {
  const before = server.log.length;
  const headers = { 'X-Request-Id': 'my-request.1' };
  const body = { messages: [{ role: 'user', content: 'xyzzy' }], max_tokens: 4, user: 'plugh' };
  const answer = await post('/v1/chat/completions', body, { headers });
  expect(answer.headers.get('X-Request-Id')).toBe('my-request.1');
  const { choices } = (await answer.json()) as { choices: { message: { content: string } }[] };
  await until(() => server.log.length > before);
  const lines = server.log.slice(before);
  expect(JSON.parse(lines.at(-1)!)).toMatchObject({
    ...{ id: 'my-request.1', route: '/v1/chat/completions', status: 200, completionTokens: 4 },
    ...{ promptTokens: expect.any(Number), seconds: expect.any(Number) },
  });
  expect(lines.join()).not.toMatch(/xyzzy|plugh/);
  expect(lines.join()).not.toContain(JSON.stringify(choices[0]!.message.content));
  const invented = await post('/v1/completions', { prompt: 'a' }, { headers: { 'X-Request-Id': 'a b"' } });
  expect(invented.headers.get('X-Request-Id')).toMatch(/^req-[0-9a-f]{32}$/);
});

test('metrics', async () => {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  expect(text).toMatch(/^postnas_requests_total\{route="\/v1\/completions",status="200"\} [1-9]/m);
  expect(text).toMatch(/^postnas_requests_total\{route="\/v1\/completions",status="429"\} [1-9]/m);
  expect(text).toMatch(/^postnas_requests_total\{route="\/v1\/completions",status="499"\} [1-9]/m);
  expect(text).toMatch(/^postnas_tokens_total\{kind="completion"\} [1-9]/m);
  expect(text).toMatch(/^postnas_time_to_first_token_seconds_count [1-9]/m);
  expect(text).toMatch(/^postnas_running_texts 0$/m);
  expect(text).toMatch(/^postnas_places 4$/m);
});

test('the OpenAPI document has every route, and the fields of its requests', async () => {
  const document = (await (await fetch(`${server.url}/openapi.json`)).json()) as {
    paths: Record<string, { post?: { requestBody: { content: Record<string, { schema: object }> } } }>;
  };
  expect(Object.keys(document.paths).sort()).toEqual([
    ...['/health', '/metrics', '/openapi.json', '/v1/chat/completions', '/v1/completions', '/v1/models'],
    ...['/v1/models/{model}', '/v1/responses'],
  ]);
  const schema = (path: string) =>
    document.paths[path]!.post!.requestBody.content['application/json']!.schema;
  expect(schema('/v1/completions')).toMatchObject({
    ...{ type: 'object', required: ['prompt'], properties: { max_tokens: {}, echo: {}, seed: {} } },
  });
  expect(schema('/v1/chat/completions')).toMatchObject({ required: ['messages'] });
});

describe('stopping', () => {
  test('answers that were begun are finished, new requests get 503, then the port is free', async () => {
    const stopping = await serveTiny();
    const stream = await post(
      '/v1/completions',
      { ...{ prompt: 'a', max_tokens: 300 }, stream: true },
      {},
      stopping,
    );
    const whole = post('/v1/completions', { prompt: 'b', max_tokens: 200, ignore_eos: true }, {}, stopping);
    await until(() => stopping.scheduler.running === 2);
    const drained = stopping.drain(30);
    const late = await post('/v1/completions', { prompt: 'c' }, {}, stopping);
    expect(late.status).toBe(503);
    expect(late.headers.get('Retry-After')).toBe('10');
    const health = await fetch(`${stopping.url}/health`);
    expect([health.status, await health.json()]).toEqual([503, { status: 'draining' }]);
    expect((await stream.text()).endsWith('data: [DONE]\n\n')).toBe(true);
    expect(((await (await whole).json()) as { usage: object }).usage).toMatchObject({
      completion_tokens: 200,
    });
    await drained;
    await expect(fetch(`${stopping.url}/health`)).rejects.toThrow();
    await stopping.stop();
  });

  test('what takes longer is ended, and told so', async () => {
    const stopping = await serveTiny();
    const body = { prompt: 'a', max_tokens: 8000, ignore_eos: true };
    const stream = await post('/v1/completions', { ...body, stream: true }, {}, stopping);
    const whole = post('/v1/completions', body, {}, stopping);
    await until(() => stopping.scheduler.running === 2);
    await stopping.drain(0.2);
    expect(await stream.text()).toContain('the server stopped before the answer was finished');
    expect((await whole).status).toBe(503);
    await stopping.stop();
  });
});
