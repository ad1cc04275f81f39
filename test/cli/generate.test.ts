/** `postnas generate` as a process: what it prints where, and its exit codes. */
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { saveCheckpoint } from '../../src/model/checkpoint.ts';
import { Model } from '../../src/runtime/model.ts';
import { command, root } from '../support/command.ts';
import { randomWeights, tinyConfig } from '../support/random-model.ts';
import { tinyTokenizerFiles } from '../support/tiny-tokenizer.ts';

function run(
  args: string[],
  input?: string,
  env: NodeJS.ProcessEnv = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((done) => {
    const child = execFile(
      process.execPath,
      [command, 'generate', ...args],
      { cwd: root, env: { ...process.env, ...env } },
      (error, stdout, stderr) => done({ code: (error?.code as number | undefined) ?? 0, stdout, stderr }),
    );
    child.stdin!.end(input);
  });
}

let folder: string;
/** What the library writes after the prompt. */
let text: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'postnas-generate-'));
  const config = tinyConfig([{ kind: 'attention' }], { maxPositionEmbeddings: 100_000 });
  await saveCheckpoint(folder, config, randomWeights(config, 3), { dtype: 'F32', files: tinyTokenizerFiles });
  await using model = await Model.fromPretrained(folder, { threads: 1 });
  text = '';
  for await (const token of model.generate('hello', { maxNewTokens: 20, temperature: 1, seed: 5 })) {
    text += token.text;
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

const sampled = ['-n', '20', '--temperature', '1', '--seed', '5'];

test('the text on standard output, the rate on standard error', async () => {
  const { code, stdout, stderr } = await run([folder, '--prompt', 'hello', ...sampled]);
  expect(stderr).toMatch(/\d+ tokens, [\d.]+ tokens\/s, first after [\d.]+ s\n$/);
  expect(stdout).toBe(`${text}\n`);
  expect(code).toBe(0);
});

test('the prompt from standard input, the result as JSON, no word on standard error', async () => {
  const { code, stdout, stderr } = await run([folder, '--json', '--quiet', ...sampled], 'hello\n');
  const result = JSON.parse(stdout);
  expect(result).toMatchObject({ text, finish: expect.stringMatching(/^(stop|length)$/) });
  expect(result.tokens[0]).toEqual({ id: expect.any(Number), logProb: expect.any(Number) });
  expect(stderr).toBe('');
  expect(code).toBe(0);
});

test('what is wrong in one line, without a stack', async () => {
  const { code, stdout, stderr } = await run([folder, '--prompt', 'hello', '--top-p', '3', '--quiet']);
  expect(stderr).toBe('postnas: topP is 3, expected a number above 0 and up to 1\n');
  expect(stdout).toBe('');
  expect(code).toBe(1);
});

test('without an adapter it says what is missing', async () => {
  // A driver that is not there, whatever this machine has.
  const { code, stdout, stderr } = await run(
    [folder, '--prompt', 'hello', '--device', 'webgpu', '--quiet'],
    '',
    {
      VK_DRIVER_FILES: join(folder, 'no-driver.json'),
    },
  );
  expect(stderr).toMatch(/^postnas: device webgpu: .*(no adapter was found|has no WebGPU provider)/m);
  if (process.platform === 'linux') expect(stderr).toMatch(/Vulkan is needed|only cpu/);
  expect(stdout).toBe('');
  expect(code).toBe(1);
});

test('float16 is for a device', async () => {
  const { code, stderr } = await run([folder, '--prompt', 'hello', '--dtype', 'f16', '--quiet']);
  expect(stderr).toBe("postnas: dtype f16 is for device 'webgpu'; on the CPU weights are f32, q8 or q4\n");
  expect(code).toBe(1);
});

test('Ctrl-C ends it with code 130, and says how far it came', async () => {
  const child = spawn(
    process.execPath,
    [command, 'generate', folder, '--prompt', 'a', '-n', '90000', '--stop', '#'],
    {
      cwd: root,
    },
  );
  let [stdout, stderr] = ['', ''];
  child.stdout.once('data', () => child.kill('SIGINT'));
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  const code = await new Promise((done) => child.on('close', done));
  expect(stderr).toMatch(/^stopped after [1-9]\d* tokens?\n$/);
  expect(stdout.endsWith('\n')).toBe(true);
  expect(code).toBe(130);
});
