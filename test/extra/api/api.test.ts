/** schemathesis against a live server: whatever fits /openapi.json or nearly does is answered as that document says. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { serveTiny, type TestServer } from '../../support/server.ts';

const root = resolve(import.meta.dirname, '../../..');
const st = join(process.env.POSTNAS_CACHE ?? join(root, '.cache'), 'schemathesis/bin/st');
/** Of the generator, so that a run can be repeated. */
const SEED = '1';

let server: TestServer;
let work: string;
beforeAll(async () => {
  // A body that lacks max_tokens writes to the end of the context.
  server = await serveTiny({ contextLength: 256, limits: { maxTokens: 8 }, maxBatch: 8 });
  work = mkdtempSync(join(tmpdir(), 'postnas-api-'));
});
afterAll(async () => {
  await server?.stop();
  if (work) rmSync(work, { recursive: true });
});

test('no failure, no status and no answer that is not documented', async () => {
  const { stdout } = await promisify(execFile)(
    st,
    [
      ...['run', `${server.url}/openapi.json`, '--seed', SEED, '--max-time', '120', '--continue-on-failure'],
      ...['--phases', 'examples,coverage,fuzzing', '--max-examples', '60', '--generation-database', 'none'],
      '--checks',
      'not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,unsupported_method,allow_header_conformance',
    ],
    { cwd: work, maxBuffer: 2 ** 26, env: { ...process.env, NO_COLOR: '1' } },
  ).catch((error: { stdout: string; stderr: string }) => {
    throw new Error(`${error.stdout}\n${error.stderr}`);
  });
  expect(stdout).toMatch(/passed/);
  // It did ask, and was taken and refused.
  const answered = server.log.map((line) => JSON.parse(line)).filter(({ msg }) => msg === 'request');
  for (const path of ['/v1/completions', '/v1/chat/completions', '/v1/responses']) {
    const statuses = answered.filter(({ route }) => route === path).map(({ status }) => status);
    expect(statuses.length).toBeGreaterThan(10);
    expect(statuses).toEqual(expect.arrayContaining([200, 400]));
  }
  expect(server.log.filter((line) => JSON.parse(line).level >= 50)).toEqual([]);
});
