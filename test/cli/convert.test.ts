import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Finished, postnas, postnasHere, root } from '../support/command.ts';

let dir: string;
let first: Finished;
const at = (name: string) => join(dir, name);
const args = () => [
  ...['convert', at('model'), '--data', join(root, 'docs/LOG.md'), '-o', at('out'), '--threads', '1'],
  ...['--context', '128', '--windows', '16', '--full-heads', '3', '--no-timing'],
];
const few = ['--task', 'choice:accuracy:4', '--examples', '4'];

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'postnas-convert-cli-'));
  cpSync(join(root, 'models/base'), at('model'), { recursive: true });
  first = await postnas([...args(), ...few, '--no-compare']);
}, 300_000);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test('a table of placements, the choice, and how to use it', () => {
  expect(first).toMatchObject({ code: 0 });
  expect(first.stdout).toMatch(/^-> +refined +3 /m);
  expect(first.stdout).toMatch(/^ +windows +0 /m);
  expect(first.stdout).toMatch(/^ +random 1 +3 /m);
  expect(first.stdout).toContain('128-3-heads: the best that the budget allows: 3 KV heads');
  expect(first.stdout).toContain(`postnas generate ${at('model')} --placement 128-3-heads --prompt`);
  expect(readFileSync(at('out/report.html'), 'utf8')).toContain('<h1>3\u00a0KV heads of 32 see everything');
});

test('the placement is a few hundred bytes, stands in the folder of the model, and runs', async () => {
  const text = readFileSync(at('out/placements/128-3-heads.json'), 'utf8');
  expect(text.length).toBeLessThan(900);
  expect(readFileSync(at('model/placements/128-3-heads.json'), 'utf8')).toBe(text);
  const heads = Object.values(JSON.parse(text).full_heads as Record<string, number[]>).flat();
  expect(heads).toHaveLength(3);
  const run = ['generate', at('model'), '--prompt', 'Story: Tom found the', '--max-tokens', '4'];
  expect((await postnas([...run, '--placement', '128-3-heads'])).code).toBe(0);
});

test('again it is read from what was kept, as JSON, and postnas report makes the same page', async () => {
  const page = readFileSync(at('out/report.html'), 'utf8');
  expect((await postnasHere(['report', at('out'), '-o', at('page.html')])).code).toBe(0);
  expect(readFileSync(at('page.html'), 'utf8')).toBe(page);
  const { code, stdout } = await postnasHere([...args(), ...few, '--no-compare', '--json', '--quiet']);
  expect(code).toBe(0);
  const found = JSON.parse(stdout);
  expect(found).toMatchObject({ format: 'postnas-convert-1', name: '128-3-heads', comparison: null });
  expect(found.command).toMatch(/ --no-timing --no-compare$/);
}, 120_000);

test('mistakes are told before anything is measured', async () => {
  const other = (...more: string[]) => postnasHere([...args().slice(0, 4), '-o', at('x'), ...more]);
  const hours = await other('--hours', '2');
  expect(hours.stderr).toContain('--hours 2: expected 0');
  const heads = await other('--full-heads', '32');
  expect(heads.stderr).toContain('--full-heads 32: expected fewer than the 32 KV heads that there are');
  const memory = await other('--context', '512', '--memory', '100MB');
  expect(memory.stderr).toMatch(/--memory 100.0MB: full attention takes 4.2MB at 512 tokens/);
  expect([hours.code, heads.code, memory.code]).toEqual([1, 1, 1]);
  expect((await other('--placement-name', 'a/b')).stderr).toContain(
    'the placement\'s name is "a/b", expected',
  );
  expect((await other('--task', 'foo')).stderr).toContain("unknown task 'foo'");
  const short = await other('--context', '200');
  expect(short.stderr).toMatch(/a context of 200 tokens.*expected more than the longest window \(256\)/s);
  const hybrid = ['convert', join(root, 'models/hybrid'), '--data', join(root, 'docs/LOG.md'), '-o', at('x')];
  expect((await postnasHere(hybrid)).stderr).toContain('expected full attention in all layers');
  expect(existsSync(at('x'))).toBe(false);
});
