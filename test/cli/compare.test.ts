import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Finished, postnas, postnasHere, root } from '../support/command.ts';

let dir: string;
let first: Finished;
const at = (name: string) => join(dir, name);
const few = ['--context', '128', '--rows', '1', '--tasks', 'choice:accuracy:4', '--recall-texts', '1'];
const args = () => ['compare', join(root, 'models/base'), at('hybrid'), '-o', at('out'), '--threads', '1'];
const more = ['--answers', '1', '--no-speed'];

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'postnas-compare-cli-'));
  cpSync(join(root, 'models/hybrid'), at('hybrid'), { recursive: true });
  first = await postnas([...args(), ...few, ...more]);
}, 120_000);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test('a table, a verdict, the files, and the hybrid’s card with the user’s text', () => {
  expect(first).toMatchObject({ code: 0 });
  expect(first.stdout).toMatch(/^model +nats a token +change/m);
  expect(first.stdout).toMatch(/^base cut to windows of \d+ \+ 4 tokens +baseline/m);
  expect(first.stdout).toMatch(/^- Text: /m);
  expect(first.stdout).toMatch(/^- Next: /m);
  expect(readFileSync(at('out/report.html'), 'utf8')).toContain('<h1>hybrid ');
  const card = readFileSync(at('hybrid/README.md'), 'utf8');
  expect(card).toContain('# The embedded hybrid');
  expect(card).toMatch(/^---\n[\s\S]*model-index:/);
  expect(card).toContain('## Compared with base');
});

test('again it is read from what was kept, as JSON, and postnas report makes the same page', async () => {
  const card = readFileSync(at('hybrid/README.md'), 'utf8');
  const { code, stdout } = await postnasHere([...args(), ...few, ...more, '--no-card', '--json', '--quiet']);
  expect(code).toBe(0);
  const found = JSON.parse(stdout);
  expect(found).toMatchObject({ format: 'postnas-compare-1', context: 128 });
  expect(found.command).toContain('--held-out-rows 1');
  // What repeats it has no option that there is not.
  expect(found.command).toMatch(/ --no-speed$/);
  expect(found.command).not.toMatch(/--speed|--card/);
  expect(readFileSync(at('hybrid/README.md'), 'utf8')).toBe(card);
  expect((await postnasHere(['report', at('out'), '-o', at('page.html')])).code).toBe(0);
  expect(readFileSync(at('page.html'), 'utf8')).toBe(readFileSync(at('out/report.html'), 'utf8'));
});

test('mistakes are told before anything is measured', async () => {
  const { code, stderr } = await postnasHere([
    'compare',
    join(root, 'models/base'),
    at('none'),
    '-o',
    at('x'),
  ]);
  expect(code).toBe(1);
  expect(stderr).toMatch(/none is neither a folder nor the name of a model|there is no folder/);
  expect(existsSync(at('x'))).toBe(false);
});
