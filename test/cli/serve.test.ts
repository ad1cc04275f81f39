/** `postnas serve` as a process: curl as in ollama's scripts, the ready line, SIGTERM. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { command, postnas, postnasHere, root } from '../support/command.ts';

const run = promisify(execFile);

async function start(...args: string[]) {
  const child = spawn(
    process.execPath,
    [command, 'serve', 'models/base', '--port', '0', '--threads', '1', ...args],
    { cwd: root, env: { ...process.env, POSTNAS_API_KEY: 'secret' } },
  );
  const log: string[] = [];
  child.stderr.on('data', (chunk: Buffer) => log.push(chunk.toString()));
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  return { child, line, log };
}

let server: Awaited<ReturnType<typeof start>>;
let url: string;
beforeAll(async () => {
  server = await start('--json');
  url = (JSON.parse(server.line) as { url: string }).url;
});
afterAll(() => server?.child.kill('SIGKILL'));

/** No content type, as people write it. */
const curl = async (path: string, ...args: string[]) => {
  const { stdout } = await run('curl', [
    '-sS',
    '-H',
    'Authorization: Bearer secret',
    ...args,
    `${url}${path}`,
  ]);
  return stdout;
};

test('the ready line as JSON, with the model by its folder', async () => {
  expect(JSON.parse(server.line)).toEqual({
    url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
    model: 'base',
  });
  expect(JSON.parse(await curl('/v1/models')).data[0].id).toBe('base');
});

test('curl: an answer, and a stream of lines', async () => {
  const body = '{"model": "base", "prompt": "The key", "max_tokens": 12}';
  const { choices } = JSON.parse(await curl('/v1/completions', '-d', body));
  const stream = await curl('/v1/completions', '-N', '-d', body.replace('}', ', "stream": true}'));
  const lines = stream.trim().split('\n\n');
  expect(lines.at(-1)).toBe('data: [DONE]');
  const texts = lines.slice(0, -1).map((line) => JSON.parse(line.slice('data: '.length)).choices[0].text);
  expect(texts.join('')).toBe(choices[0].text);
  expect(choices[0].text.length).toBeGreaterThan(5);
});

test('the key of the environment is asked for', async () => {
  const { stdout } = await run('curl', ['-s', '-o', '/dev/null', '-w', '%{http_code}', `${url}/v1/models`]);
  expect(stdout).toBe('401');
});

test('SIGTERM: the answer is finished, then it ends with 0; the log has no prompt', async () => {
  const body = { prompt: 'The xyzzy', max_tokens: 400, ignore_eos: true, stream: true };
  const answer = await fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { Authorization: 'Bearer secret' },
    body: JSON.stringify(body),
  });
  const ended = once(server.child, 'close');
  server.child.kill('SIGTERM');
  const text = await answer.text();
  expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
  expect(text.match(/^data: \{/gm)!.length).toBeGreaterThan(100);
  expect((await ended)[0]).toBe(0);
  const log = server.log.join('');
  expect(log).toMatch(/"route":"\/v1\/completions","status":200/);
  expect(log).not.toMatch(/xyzzy|The key|secret/);
});

test('Ctrl-C: the answer is finished, another one ends at once; 130 both times', async () => {
  for (const times of [1, 2]) {
    const { child, line, log } = await start('--json', '--log-level', 'silent', '--drain', '200');
    const { url } = JSON.parse(line) as { url: string };
    const body = { prompt: 'The key', max_tokens: 450, ignore_eos: true, stream: true };
    const answer = await fetch(`${url}/v1/completions`, {
      method: 'POST',
      headers: { Authorization: 'Bearer secret' },
      body: JSON.stringify(body),
    });
    // Not 'exit': what it wrote last may come after that.
    const ended = once(child, 'close');
    const heard = once(child.stderr, 'data');
    child.kill('SIGINT');
    await heard;
    if (times === 2) child.kill('SIGINT');
    const text = await answer.text().catch(() => '');
    expect((await ended)[0]).toBe(130);
    const said = 'finishing the answers that were begun, for 200 s at most (Ctrl-C again to end at once)\n';
    if (times === 1) {
      expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
      expect(log.join('')).toBe(`${said}stopped\n`);
    } else {
      expect(text.endsWith('data: [DONE]\n\n')).toBe(false);
      expect(log.join('')).toBe(said);
    }
  }
});

test('what cannot be served, in one line', async () => {
  const { code, stderr } = await postnasHere(['serve', 'models/none', '--quiet']);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^postnas: .*models\/none/);
  const open = await postnasHere(['serve', 'models/base', '--host', '0.0.0.0', '--quiet']);
  expect(open.stderr).toBe(
    'postnas: 0.0.0.0 can be reached by other machines: give an API key, or serve on 127.0.0.1\n',
  );
});

test('--help has examples', async () => {
  const { stdout } = await postnas(['serve', '--help']);
  expect(stdout).toMatch(/--drain <seconds>[\s\S]*?\(default: 30\)/);
  expect(stdout).toMatch(/Examples:[\s\S]*curl http:\/\/127\.0\.0\.1:8000\/v1\/completions/);
});
