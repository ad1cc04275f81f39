/** Requests and models that are made to take long: they end in a clear error, and nobody else waits for them. */
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { chatTokenizerFiles } from '../../test/support/chat-tokenizer.ts';
import { serveTiny, type TestServer } from '../../test/support/server.ts';

const C = '/v1/completions';
const H = '/v1/chat/completions';
const R = '/v1/responses';

const post = (to: TestServer, path: string, body: BodyInit, headers: Record<string, string> = {}) =>
  fetch(`${to.url}${path}`, { method: 'POST', body, headers });

async function errorOf(answer: Response) {
  const { error } = (await answer.json()) as {
    error: { message: string; param: string | null; code: string };
  };
  return { status: answer.status, ...error };
}

/** Of /metrics. */
async function counted(to: TestServer, name: string): Promise<number> {
  const text = await (await fetch(`${to.url}/metrics`)).text();
  return Number(new RegExp(`^postnas_${name} (\\d+)`, 'm').exec(text)![1]);
}

describe('bodies of absurd shape, below the limit of size', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await serveTiny({ maxBatch: 4 });
  });
  afterAll(() => server?.stop());

  const MB = 2 ** 20;
  const hi = '{"role":"user","content":"hi"}';
  const rows: [string, string, () => string, number, string | null, RegExp][] = [
    [
      'empty lists',
      C,
      () => `{"prompt":[${Array(1_300_000).fill('[]')}]}`,
      400,
      null,
      /1300\d\d\d|2600\d\d\d values/,
    ],
    ['empty lists, fewer', C, () => `{"prompt":[${Array(9000).fill('[]')}]}`, 400, 'prompt', /9000 prompts/],
    [
      'one letter',
      C,
      () => `{"prompt":"${'a'.repeat(4 * MB - 20)}"}`,
      400,
      null,
      /characters: more than the 8192 tok/,
    ],
    [
      'one letter in a chat',
      H,
      () => `{"messages":[{"role":"user","content":"${'a'.repeat(4 * MB - 60)}"}]}`,
      400,
      null,
      /characters: more/,
    ],
    ['token ids', C, () => `{"prompt":[${Array(2_000_000).fill(5)}]}`, 400, null, /2000\d\d\d values/],
    [
      'token ids, fewer',
      C,
      () => `{"prompt":[${Array(100_000).fill(5)}]}`,
      400,
      null,
      /has 100000 tokens: no room/,
    ],
    [
      'messages',
      H,
      () => `{"messages":[${Array(100_000).fill(hi)}]}`,
      400,
      'messages',
      /100000 elements, at most 2048/,
    ],
    [
      'items',
      R,
      () => `{"input":[${Array(100_000).fill(hi)}]}`,
      400,
      'input',
      /100000 elements, at most 2048/,
    ],
    [
      'biases',
      C,
      () => `{"prompt":"a","logit_bias":{${Array.from({ length: 200_000 }, (_, i) => `"${i}":1`)}}}`,
      400,
      'logit_bias',
      /200000 elements/,
    ],
    [
      'depth',
      C,
      () => `{"prompt":${'['.repeat(100_000)}${']'.repeat(100_000)}}`,
      400,
      null,
      /more than 128 levels deep at byte 1\d\d/,
    ],
    ['depth without an end', C, () => '{"a":'.repeat(100_000), 400, null, /more than 128 levels deep/],
    [
      'depth in a schema',
      H,
      () =>
        `{"messages":[${hi}],"response_format":{"type":"json_schema","json_schema":{"schema":${'{"items":'.repeat(2000)}true${'}'.repeat(2000)}}}}`,
      400,
      null,
      /more than 128 levels deep/,
    ],
    ['numbers beyond float64', C, () => '{"prompt":"a","temperature":1e999}', 400, 'temperature', /./],
    ['digits', C, () => `{"prompt":"a","seed":${'9'.repeat(MB)}}`, 400, 'seed', /whole number|number/],
    [
      'a model of 3 MB',
      C,
      () => `{"prompt":"a","model":"${'x'.repeat(3 * MB)}"}`,
      404,
      'model',
      /'x{200}\.\.\. \(3145728 characters\)' is not served/,
    ],
    [
      'a tool of 3 MB',
      H,
      () =>
        `{"messages":[${hi}],"tools":[{"type":"function","function":{"name":"a"}}],"tool_choice":{"type":"function","function":{"name":"${'x'.repeat(3 * MB)}"}}}`,
      400,
      'tool_choice',
      /there is no tool x{200}\.\.\./,
    ],
    [
      'a key of 3 MB',
      C,
      () => `{"prompt":"a","logit_bias":{"${'x'.repeat(3 * MB)}":1}}`,
      400,
      expect.stringMatching(/^logit_bias\.x{189}\.\.\./),
      /./,
    ],
  ];
  test.each(rows)('%s', async (_, path, body, status, param, message) => {
    const error = await errorOf(await post(server, path, body()));
    expect(error.message).toMatch(message);
    expect(error.message.length).toBeLessThan(2100);
    expect([error.status, error.param]).toEqual([status, param]);
  });

  test('what is no text in UTF-8', async () => {
    const bytes = Buffer.concat([Buffer.from('{"prompt":"'), Buffer.of(0xff, 0xfe), Buffer.from('"}')]);
    expect(await errorOf(await post(server, C, bytes))).toMatchObject({ status: 400, message: /not UTF-8/ });
  });

  test('half a surrogate pair is a replacement character; of equal keys the last counts', async () => {
    const said = async (body: string) =>
      ((await (await post(server, C, body)).json()) as { choices: { text: string }[] }).choices[0]!.text;
    const plain = await said('{"prompt":"x\ufffd","max_tokens":8}');
    expect(await said('{"prompt":"x\\ud83d","max_tokens":8}')).toBe(plain);
    expect(await said('{"prompt":"y","prompt":"x\ufffd","max_tokens":8}')).toBe(plain);
  });

  test('all were read in the threads, long bodies apart from short ones, and the threads are alive', async () => {
    const before = { short: await counted(server, 'read_short'), long: await counted(server, 'read_long') };
    await post(server, C, '{"prompt":"a","max_tokens":1}');
    await post(server, C, `{"prompt":"a","max_tokens":1,"user":"${'x'.repeat(70_000)}"}`);
    expect(await counted(server, 'read_short')).toBe(before.short + 1);
    expect(await counted(server, 'read_long')).toBe(before.long + 1);
    expect(await counted(server, 'read_ended_short')).toBe(0);
    expect(await counted(server, 'read_ended_long')).toBe(0);
  });

  test.each([
    ['gzip', { 'Content-Encoding': 'gzip' }, 415, /encoded with gzip/],
    ['another charset', { 'Content-Type': 'application/json; charset=utf-16' }, 415, /charset is utf-16/],
    ['UTF-8 by name', { 'Content-Type': 'application/json; charset="UTF-8"' }, 200, null],
    ['no encoding by name', { 'Content-Encoding': 'identity' }, 200, null],
    ['a content type that is none', { 'Content-Type': ';;;' }, 200, null],
  ])('%s', async (_, headers, status, message) => {
    const answer = await post(server, C, '{"prompt":"a","max_tokens":1}', headers as Record<string, string>);
    expect(answer.status).toBe(status);
    if (message) expect((await errorOf(answer)).message).toMatch(message);
  });
});

describe('a model whose files are made to take long', () => {
  const forever = "{% for i in range(99999) %}{% for j in range(99999) %}{{ '' }}{% endfor %}{% endfor %}x";
  const swelling =
    '{% set ns = namespace(t="xxxxxxxx") %}{% for i in range(60) %}{% set ns.t = ns.t ~ ns.t %}{% endfor %}x';
  const templated = (template: string) => ({ ...chatTokenizerFiles, 'chat_template.jinja': template });
  const json = JSON.parse(chatTokenizerFiles['tokenizer.json']) as Record<string, unknown>;
  const split = { type: 'Split', pattern: { Regex: '(a+)+$' }, behavior: 'Isolated', invert: false };
  const patterned = {
    ...chatTokenizerFiles,
    'tokenizer.json': JSON.stringify({
      ...json,
      pre_tokenizer: { type: 'Sequence', pretokenizers: [split, json.pre_tokenizer] },
    }),
  };
  const chat = '{"messages":[{"role":"user","content":"hi"}],"max_tokens":1}';
  const letters = `{"prompt":"${'a'.repeat(34)}!","max_tokens":1}`;

  test.each([
    ['a template without an end', templated(forever), H, chat, 'template'],
    ['a template that swells', templated(swelling), H, chat, 'template'],
    ['a pattern that tries everything', patterned, C, letters, 'prompt'],
  ])('%s', async (_, files, path, body, what) => {
    const server = await serveTiny({ limits: { readSeconds: 4 } }, files);
    try {
      const answer = post(server, path, body);
      let [answered, healthy] = [false, 0];
      answer.then(() => {
        answered = true;
      });
      // As many as there is time for: a loop that is held answers none.
      while (!answered) {
        await fetch(`${server.url}/health`);
        healthy++;
      }
      const { status, message } = await errorOf(await answer);
      expect(status).toBe(400);
      expect(message).toContain(what);
      expect(healthy).toBeGreaterThan(2);
      // The next has a thread of its own again, and is answered.
      const next = await post(server, C, '{"prompt":"b","max_tokens":1}');
      expect(next.status).toBe(200);
    } finally {
      await server.stop();
    }
  });
});

test('a decoder that replaces by a pattern is refused at the start', async () => {
  const json = JSON.parse(chatTokenizerFiles['tokenizer.json']) as Record<string, unknown>;
  const replace = { type: 'Replace', pattern: { Regex: '(a+)+$' }, content: '' };
  const decoder = { type: 'Sequence', decoders: [json.decoder, replace] };
  const files = { ...chatTokenizerFiles, 'tokenizer.json': JSON.stringify({ ...json, decoder }) };
  await expect(serveTiny({}, files)).rejects.toThrow('patterns are not used in serving');
});

describe('connections', () => {
  test('headers or a body that never end are closed', async () => {
    const server = await serveTiny({ limits: { bodySeconds: 0.5 } });
    const { hostname, port } = new URL(server.url);
    const rest = async (begin: string) => {
      const socket = connect(Number(port), hostname);
      socket.write(begin);
      let got = '';
      for await (const chunk of socket) got += chunk;
      return got;
    };
    const begun = `POST ${C} HTTP/1.1\r\nHost: ${hostname}\r\n`;
    const answers = await Promise.all([
      rest(''),
      rest(begun),
      rest(`${begun}Content-Length: 100\r\n\r\n{"pro`),
      rest(`${begun}Transfer-Encoding: chunked\r\n\r\n3\r\n{"p\r\n`),
    ]);
    for (const answer of answers.slice(1)) expect(answer).toMatch(/^HTTP\/1.1 408/);
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
    await server.stop();
  });

  test('large bodies at once: beyond what may be held, 503; short ones are still taken', async () => {
    const limits = { body: 200_000, bodySeconds: 30 };
    const server = await serveTiny({ limits });
    const { hostname, port } = new URL(server.url);
    // Each holds nearly all that a body may have, and does not end.
    const held = Array.from({ length: 60 }, () => {
      const socket = connect(Number(port), hostname);
      socket.on('error', () => {});
      socket.write(
        `POST ${C} HTTP/1.1\r\nHost: ${hostname}\r\nContent-Length: 199999\r\n\r\n{"${'x'.repeat(190_000)}`,
      );
      return socket;
    });
    const statuses = await Promise.all(
      held.map(
        (socket) =>
          new Promise<string>((done) => {
            socket.once('data', (data: Buffer) => done(data.toString().slice(9, 12)));
            setTimeout(() => done('held'), 1500);
          }),
      ),
    );
    expect(statuses).toContain('503');
    expect(statuses.filter((status) => status === 'held').length).toBeGreaterThan(10);
    expect((await post(server, C, '{"prompt":"a","max_tokens":1}')).status).toBe(200);
    for (const socket of held) socket.destroy();
    await server.stop();
  });
});
