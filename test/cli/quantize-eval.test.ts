/** `postnas quantize` and `postnas eval`: what weights of few bits take and cost. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { postnas, postnasHere } from '../support/command.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'postnas-quantize-'));
  vi.stubEnv('XDG_CACHE_HOME', join(folder, 'cache'));
});
afterAll(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

const few = ['--examples', '8', '--threads', '1', '--json', '--quiet'];

test('a folder of 8 bits is smaller, is evaluated and writes', async () => {
  const small = join(folder, 'q8');
  const made = await postnas(['quantize', 'models/base', small, '--dtype', 'q8', '--quiet']);
  expect(made.code, made.stderr).toBe(0);
  const size = (path: string) => statSync(join(path, 'model.safetensors')).size;
  expect(size(small)).toBeLessThan(0.6 * size('models/base'));

  const text = join(folder, 'text.txt');
  writeFileSync(text, 'Story: Tom found the box. '.repeat(200));
  const evaluate = async (model: string, ...more: string[]) => {
    const tasks = ['--task', 'recall', '--text', text, '--rows', '2', '--length', '64'];
    const { code, stdout, stderr } = await postnas(['eval', model, ...tasks, ...more, ...few]);
    expect(code, stderr).toBe(0);
    return JSON.parse(stdout) as { perplexity: number; scores: { name: string; accuracy: number }[] };
  };
  const [stored, whole] = [await evaluate(small), await evaluate('models/base', '--dtype', 'f32')];
  expect(stored.scores.map(({ name }) => name)).toEqual(['text', 'recall']);
  expect(stored.scores[1]!.accuracy).toBe(1);
  expect(Math.abs(stored.perplexity / whole.perplexity - 1)).toBeLessThan(0.05);
  expect(stored.perplexity).not.toBe(whole.perplexity);

  const ruled = ['--logit-bias', '5=-Infinity', '--presence-penalty', '1', '--top-logprobs', '2'];
  const options = [...ruled, '-n', '4', '--json', '--quiet'];
  const written = await postnas(['generate', small, '--prompt', 'Story: Tom found the', ...options]);
  expect(written.code, written.stderr).toBe(0);
  const { tokens, usage } = JSON.parse(written.stdout);
  expect(tokens).toHaveLength(4);
  for (const token of tokens) expect(token.top).toHaveLength(2);
  expect(usage).toMatchObject({ completionTokens: 4, cachedTokens: 0 });
});

test('texts from several files, folders and globs, in the field that is named', async () => {
  const texts = join(folder, 'texts');
  mkdirSync(join(texts, 'below'), { recursive: true });
  const lines = (name: string) =>
    Array.from(
      { length: 50 },
      (_, i) => `${JSON.stringify({ body: `Story ${i}: ${name} found the box.` })}\n`,
    ).join('');
  writeFileSync(join(texts, 'a.jsonl'), lines('Tom'));
  writeFileSync(join(texts, 'below/b.jsonl.gz'), gzipSync(lines('Ana')));
  const evaluate = (...args: string[]) =>
    postnasHere([
      'eval',
      'models/base',
      ...args,
      '--held-out-rows',
      '4',
      '--length',
      '32',
      '--threads',
      '1',
      '--quiet',
      '--json',
    ]);
  const perplexities: number[] = [];
  for (const given of [
    [texts],
    [join(texts, '**/*.jsonl*')],
    [join(texts, 'below'), join(texts, 'a.jsonl')],
  ]) {
    const { code, stdout, stderr } = await evaluate('--field', 'body', '--held-out', ...given);
    expect(code, stderr).toBe(0);
    perplexities.push(JSON.parse(stdout).perplexity as number);
  }
  expect(perplexities[0]).toBeGreaterThan(1);
  expect(new Set(perplexities).size).toBe(1);
  const { code, stderr } = await evaluate('--held-out', texts);
  expect(code).toBe(1);
  expect(stderr).toBe(
    `postnas: ${join(texts, 'a.jsonl')}:1 has no field 'text', 'messages', 'conversations': its fields are body; ` +
      'name the one with the text by --field\n',
  );
});

test('never over its input, and over another model by --overwrite alone', async () => {
  const [model, other] = [join(folder, 'input'), join(folder, 'other')];
  const quantize = async (...args: string[]) => {
    const { code, stderr } = await postnasHere(['quantize', ...args, '--dtype', 'BF16', '--quiet']);
    return { code, stderr };
  };
  expect(await quantize('models/hybrid', model)).toMatchObject({ code: 0 });
  const before = readFileSync(join(model, 'model.safetensors'));
  for (const more of [[], ['--overwrite']]) {
    const { code, stderr } = await quantize(model, model, ...more);
    expect(code).toBe(1);
    expect(stderr).toMatch(/is what is read: choose another folder/);
  }
  expect(readFileSync(join(model, 'model.safetensors')).equals(before)).toBe(true);

  mkdirSync(other);
  writeFileSync(join(other, 'config.json'), 'mine');
  writeFileSync(join(other, 'chat_template.jinja'), 'of another model');
  expect(await quantize(model, other)).toEqual({
    code: 1,
    stderr: expect.stringMatching(/has chat_template\.jinja in it: choose another folder, or --overwrite/),
  });
  expect(readFileSync(join(other, 'config.json'), 'utf8')).toBe('mine');
  expect(await quantize(model, other, '--overwrite')).toMatchObject({ code: 0 });
  expect(readFileSync(join(other, 'model.safetensors')).equals(before)).toBe(true);
  expect(existsSync(join(other, 'chat_template.jinja'))).toBe(
    existsSync('models/hybrid/chat_template.jinja'),
  );
});

test('16 bits of what has 16 bits are the same weights', async () => {
  const same = join(folder, 'F16');
  const made = await postnas(['quantize', 'models/hybrid', same, '--dtype', 'F16', '--quiet']);
  expect(made.code, made.stderr).toBe(0);
  const bytes = (path: string) => readFileSync(join(path, 'model.safetensors'));
  expect(bytes(same).equals(bytes('models/hybrid'))).toBe(true);
});

test.each([
  [['eval', 'models/base'], /nothing to evaluate: give --held-out FILE or --task NAME/],
  [['eval', 'models/base', '--task', 'chess'], /unknown task 'chess'/],
  [['generate', 'models/base', '--prompt', 'a', '--logit-bias', 'much'], /such as 42=-5/],
])('%j is refused', async (args, message) => {
  const { code, stderr } = await postnasHere(args);
  expect(stderr).toMatch(message);
  expect(code).toBe(1);
});
