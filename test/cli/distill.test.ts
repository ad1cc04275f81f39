/** `postnas distill` as a process, on a hybrid of the embedded model and runs of a few steps. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LEFTOVERS, removeRun } from '../../src/cli/restart.ts';
import { openCheckpoint, saveCheckpoint } from '../../src/model/checkpoint.ts';
import { BranchWeights } from '../../src/search/network/branches.ts';
import { hybridOf } from '../../src/search/network/hybrid.ts';
import { linearMixer } from '../../src/search/network/linear-mixer.ts';
import { Network } from '../../src/search/network/network.ts';
import type { Result } from '../../src/search/result.ts';
import { postnas, postnasHere } from '../support/command.ts';

let folder: string;
let hybrid: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'postnas-distill-'));
  hybrid = join(folder, 'hybrid');
  const { config, weights, generation } = openCheckpoint('models/base');
  const network = new Network(config, weights);
  const branches = new BranchWeights(network, [1, 3], linearMixer('gated_deltanet', config));
  branches.initialise(1);
  branches.attach();
  const model = hybridOf(network, [0, 1, 0, 1, 0, 0, 0, 0]);
  await saveCheckpoint(hybrid, model.config, model.weights, {
    dtype: 'F32',
    tokenizerFrom: 'models/base',
    generation,
  });
});
afterAll(() => rmSync(folder, { recursive: true }));

const distill = (out: string, ...more: string[]) => [
  'distill',
  'models/base',
  hybrid,
  ...['--out', join(folder, out), '--rows', '2', '--length', '32', '--threads', '1', '--json'],
  ...['--feature-steps', '2', '--logit-steps', '2', '--all-steps', '8'],
  ...['--objective', 'recall', '--examples', '4'],
  ...more,
];

/** Waits until a file holds a text, so that a signal comes in the middle of a run. */
async function until(path: string, text: string): Promise<void> {
  for (let i = 0; i < 6000; i++) {
    if (existsSync(path) && readFileSync(path, 'utf8').includes(text)) return;
    await new Promise((next) => setTimeout(next, 25));
  }
  throw new Error(`${path} never held ${text}`);
}

test('stopped by Ctrl-C it goes on to the same model', async () => {
  const straight = await postnas(distill('straight'));
  expect(straight.code, straight.stderr).toBe(0);
  const result = JSON.parse(straight.stdout);
  const { base, runs } = (result as Result).final!;
  expect(runs[0]!.stages.map(({ name }) => name)).toEqual(['search', 'features', 'logits', 'all']);
  expect(base.tasks.recall!.accuracy).toBe(1);
  expect(result.hybrid).toBe(join(folder, 'straight/hybrid'));
  expect(readFileSync(join(folder, 'straight/report.html'), 'utf8')).toContain('</html>');
  expect(result.command).toMatch(/^postnas distill models\/base \S+hybrid --out /);

  const stopped = await postnas(distill('stopped'), (child) => {
    void until(join(folder, 'stopped', 'all', 'log.jsonl'), '"step":2').then(() => child.kill('SIGINT'));
  });
  // A fast machine may be done before the signal comes; the code says which it was.
  expect([0, 130]).toContain(stopped.code);
  if (stopped.code === 130) expect(stopped.stderr).toContain('the last good state is kept');
  const resumed = await postnas(distill('stopped'));
  expect(resumed.code, resumed.stderr).toBe(0);
  const weights = (name: string) => readFileSync(join(folder, name, 'hybrid', 'model.safetensors'));
  expect(weights('stopped').equals(weights('straight'))).toBe(true);

  const restarted = await postnas(
    distill('stopped', '--logit-rate', '0.5', '--restart', '--logit-steps', '1'),
  );
  expect(restarted.code, restarted.stderr).toBe(0);
  expect(restarted.stderr).toMatch(/stopped: removed the \d+ files of the earlier run \([\d.]+ MiB\)\n/);
  removeRun(join(folder, 'stopped'), LEFTOVERS.distill, () => {});
  expect(readdirSync(join(folder, 'stopped'))).toEqual([]);
});

test.each([
  [['--temperature', '0'], /option '--temperature <x>' argument '0' is invalid\. Expected a number above 0/],
  [['--all-rate', '0'], /option '--all-rate <x>' argument '0' is invalid\. Expected a number above 0/],
  [['--length', '1024'], /stage features has rows of 1024 tokens, expected 2 to 512/],
  [['--cache-logits', 'x', '--cache-limit', '1B'], /would take \S+ GB in x, allowed are/],
])('refuses %s with exit code 1', async (options, message) => {
  const { code, stderr } = await postnasHere(distill('refused', ...options));
  expect(stderr).toMatch(message);
  expect(code).toBe(1);
});
