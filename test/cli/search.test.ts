/** `postnas pretrain` and `postnas search` as processes, on runs of a few steps. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { SearchResult } from '../../src/search/result.ts';
import { postnas } from '../support/command.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'postnas-search-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const tiny = ['--width', '32', '--layers', '2', '--tokens', '128', '--length', '64', '--threads', '1'];
const pretrain = (name: string) => [
  'pretrain',
  join(folder, name),
  ...tiny,
  '--json',
  '--short-share',
  '0.5',
];

/** Waits until a file holds a text, so that a signal comes in the middle of a run. */
async function until(path: string, text: string): Promise<void> {
  for (let i = 0; i < 600; i++) {
    if (existsSync(path) && readFileSync(path, 'utf8').includes(text)) return;
    await new Promise((next) => setTimeout(next, 50));
  }
  throw new Error(`${path} never held ${text}`);
}

test('a pretraining stopped by Ctrl-C goes on to the same model', async () => {
  const steps = ['--steps', '12'];
  const straight = await postnas([...pretrain('straight'), ...steps]);
  expect(straight.code, straight.stderr).toBe(0);

  const stopped = await postnas([...pretrain('stopped'), ...steps], (child) => {
    void until(join(folder, 'stopped', 'log.jsonl'), '"step":3').then(() => child.kill('SIGINT'));
  });
  // A fast machine may be done before the signal comes; the code says which it was.
  expect([0, 130]).toContain(stopped.code);
  if (stopped.code === 130) expect(stopped.stderr).toContain('the last good state is kept');
  const resumed = await postnas([...pretrain('stopped'), ...steps]);
  expect(resumed.code, resumed.stderr).toBe(0);
  const weights = (name: string) => readFileSync(join(folder, name, 'model', 'model.safetensors'));
  expect(weights('stopped').equals(weights('straight'))).toBe(true);
  const { scores } = JSON.parse(resumed.stdout) as { scores: { name: string }[] };
  expect(scores.map(({ name }) => name)).toContain('recall');
});

test('the embedded model becomes a hybrid with a report, which generates', async () => {
  const out = join(folder, 'search');
  const steps = ['--align-steps', '2', '--supernet-steps', '2', '--rows', '2', '--length', '64'];
  const judging = ['--examples', '8', '--beam', '1', '--random', '2', '--objective', 'recall', 'choice:loss'];
  const { code, stdout, stderr } = await postnas([
    'search',
    'models/base',
    '--out',
    out,
    ...steps,
    ...judging,
    '--json',
  ]);
  expect(code, stderr).toBe(0);
  const result = JSON.parse(stdout) as SearchResult;
  const [run] = result.runs;
  expect(run!.architecture).toMatch(/^[AG]{8}$/);
  expect(run!.placement).toHaveLength(2);
  expect(result.base.tasks.recall!.accuracy).toBe(1);
  expect(readFileSync(join(out, 'report.html'), 'utf8')).toContain('</html>');

  const written = await postnas([
    'generate',
    join(out, 'seed-1', 'hybrid'),
    '--prompt',
    'Sums: 1+2=',
    '-n',
    '3',
  ]);
  expect(written.code, written.stderr).toBe(0);
  expect(written.stdout.trim().length).toBeGreaterThan(0);
});

test.each([
  [['--budget', '9'], /9.*8 layers/],
  [['--mixer', 'transformer'], /unknown mixer 'transformer'; expected one of retnet, gla/],
  [['--objective', 'chess'], /unknown task 'chess'; expected one of/],
  [['--objective', 'recall:speed'], /metric is 'speed', expected accuracy or loss/],
  [['--objective', 'recall:loss:none'], /'none' examples, expected a whole number above 0/],
  [['--data', '/nowhere.txt'], /\/nowhere\.txt: no such file/],
  [['--length', '1024'], /512/],
])('refuses %s with exit code 1', async (options, message) => {
  const { code, stderr } = await postnas([
    'search',
    'models/base',
    '--out',
    join(folder, 'refused'),
    ...options,
  ]);
  expect(stderr).toMatch(message);
  expect(code).toBe(1);
});

test('refuses an empty corpus', async () => {
  const empty = join(folder, 'empty.txt');
  writeFileSync(empty, ' \n');
  const { code, stderr } = await postnas([
    'search',
    'models/base',
    '--out',
    join(folder, 'e'),
    '--data',
    empty,
  ]);
  expect(stderr).toContain(`${empty} is empty`);
  expect(code).toBe(1);
});
