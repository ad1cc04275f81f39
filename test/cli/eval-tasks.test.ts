/** `postnas eval` on public and generated tasks. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { postnas, postnasHere } from '../support/command.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'postnas-tasks-'));
  const rows = [0, 1, 0, 1].map((label, i) => ({
    goal: `find the ${i}`,
    sol1: 'look',
    sol2: 'sleep',
    label,
  }));
  writeFileSync(join(folder, 'piqa.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
});
afterAll(() => rmSync(folder, { recursive: true }));

const run = (...options: string[]) => postnas(['eval', ...options, '--quiet']);
const here = (...options: string[]) => postnasHere(['eval', ...options, '--quiet']);

test('a table, and what an interrupted evaluation goes on from', async () => {
  const out = join(folder, 'out');
  const options = [
    'models/base',
    '--task',
    'piqa',
    'mqar@256:accuracy:4',
    '--data-dir',
    folder,
    '--limit',
    '3',
  ];
  const first = await run(...options, '-o', out, '--log-samples', '--threads', '1');
  expect(first.code, first.stderr).toBe(0);
  expect(first.stdout).toMatch(
    /^\|Tasks +\|Version\|Filter\|.*\n\|-.*\n\|piqa +\| +1\|none +\| +0\|acc +\|↑/,
  );
  expect(first.stdout).toMatch(/\n\|mqar@256\|/);
  expect(readFileSync(join(out, 'samples_piqa.jsonl'), 'utf8').trim().split('\n')).toHaveLength(3);
  const other = await here(...options, '-o', out, '--dtype', 'q8');
  expect(other.code).toBe(1);
  expect(other.stderr).toContain('dtype: "as stored" -> "q8"');
});

test('all tasks, and an example of one', async () => {
  const listed = await here('--list-tasks', '--json');
  const names = (JSON.parse(listed.stdout) as { name: string }[]).map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining(['arc_easy', 'mmlu', 'gsm8k', 'needle@LENGTH', 'recall']));
  const shown = await here('models/base', '--show-example', 'piqa', '--data-dir', folder);
  expect(shown.stdout).toBe(
    '--- context:\nQuestion: find the 0\nAnswer:\n--- answer 1 (right):\n look\n--- answer 2:\n sleep\n',
  );
});

test('what is wrong is said in a line', async () => {
  expect((await here()).stderr).toMatch(/eval needs a model: a folder, or a name on the Hub/);
  expect((await here('models/base', '--task', 'chess')).stderr).toMatch(
    /unknown task 'chess'; expected one of lambada/,
  );
  const missing = await here('models/base', '--task', 'boolq', '--data-dir', folder);
  expect(missing.stderr).toMatch(
    /has no validation split of boolq: expected a file such as boolq\/validation\.jsonl/,
  );
  expect(missing.code).toBe(1);
});
