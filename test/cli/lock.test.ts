/** Commands that keep their state in a folder, two at a time with the same one. */
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { type Finished, postnas } from '../support/command.ts';

const folder = mkdtempSync(join(tmpdir(), 'postnas-lock-'));
afterAll(() => rmSync(folder, { recursive: true }));

const recipe = join(folder, 'recipe.json');
writeFileSync(
  recipe,
  JSON.stringify({
    model: resolve('models/base'),
    rows: 1,
    length: 16,
    seeds: [1, 2],
    tasks: ['recall:accuracy:2'],
    placement: { budget: 1, alignSteps: 100_000, supernetSteps: 1 },
  }),
);

const few = ['--rows', '1', '--length', '16', '--examples', '2', '--objective', 'recall', '--threads', '1'];
/** More than the test has time for. */
const endless = '100000';

test.each<[string, string[], string[]]>([
  ['search', ['models/base', '--align-steps', endless, ...few], ['--out']],
  ['run', [recipe, '--jobs', '2'], ['--out']],
  ['pretrain', ['--steps', endless, '--layers', '1', '--width', '32', '--tokens', '64'], []],
])('%s', async (command, args, flag) => {
  const out = join(folder, command);
  const line = [command, ...args, ...flag, out];
  const lock = join(out, 'postnas.lock');
  let pid: number | undefined;
  let refused: Finished | undefined;
  const first = await postnas(line, (child) => {
    pid = child.pid;
    void (async () => {
      while (!existsSync(lock) && child.exitCode === null) await new Promise((next) => setTimeout(next, 20));
      refused = await postnas(line);
      child.kill('SIGINT');
    })();
  });
  expect(first.code, first.stderr).toBe(130);
  // Before all else: no plan and no estimate.
  expect(refused!.code).toBe(1);
  expect(refused!.stderr).toMatch(new RegExp(`^postnas: .* is in use by process ${pid} \\(.*\\) since `));
  expect(existsSync(lock)).toBe(false);
  expect(readdirSync(out, { recursive: true }).filter((name) => String(name).endsWith('.lock'))).toEqual([]);
});

test('of two that begin at once, the one that is refused leaves the recipe of the other', async () => {
  const out = join(folder, 'at-once');
  const steps = [1e5, 2e5];
  const children: ChildProcess[] = [];
  const ended = await Promise.all(
    steps.map(async (n, i) => {
      const line = ['search', 'models/base', '--align-steps', String(n), ...few, '--out', out];
      const result = await postnas(line, (child) => children.push(child));
      // The first to end was refused.
      children[1 - i]!.kill('SIGINT');
      return result;
    }),
  );
  const at = ended.findIndex(({ code }) => code === 130);
  expect(ended[1 - at]!.stderr).toMatch(/is in use by process/);
  const { placement } = JSON.parse(readFileSync(join(out, 'recipe.json'), 'utf8'));
  expect(placement.alignSteps).toBe(steps[at]);
});
