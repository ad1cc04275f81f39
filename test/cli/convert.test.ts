import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openCheckpoint } from '../../src/model/checkpoint.ts';
import type { ConversionResult } from '../../src/search/conversion/result.ts';
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
  const hours = await other('--controls');
  expect(hours.stderr).toContain('controls is of the training, which has 0 hours: expected --hours above 0');
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

test('with hours it trains the hybrid and controls by as many steps, writes whole models, and goes on', async () => {
  const trained = [
    ...args(),
    '--no-compare',
    '--hours',
    '0.002',
    '--length',
    '32',
    '--held-out-share',
    '0.1',
  ];
  const estimate = await postnasHere([...trained, '--controls', '--estimate']);
  expect(estimate.stdout).toMatch(
    /training for 0.002 hours is about [\d,]+ tokens .* GB of memory; each of up to 4 controls takes as long: up to 0.01 hours in all/,
  );
  expect(existsSync(at('out/training'))).toBe(false);
  const { code, stdout, stderr } = await postnasHere([...trained, '--controls', '--json', '--quiet']);
  expect(code, stderr).toBe(0);
  const { training } = JSON.parse(stdout) as ConversionResult;
  expect(training).toMatchObject({
    hours: 0.002,
    rows: 2,
    length: 32,
    ended: 'time',
    model: at('out/model'),
  });
  const { steps, tokens, curve, controls, skipped } = training!;
  expect(tokens).toBe(64 * steps);
  expect(curve!.at(-1)!.tokens).toBe(tokens);
  const [random, windows] = controls;
  expect([random!.steps, windows!.steps]).toEqual([steps, steps]);
  expect([random!.name, windows!.name]).toEqual([
    'random-trained',
    expect.stringMatching(/^windows-\d+-trained$/),
  ]);
  expect(skipped.map(({ name }) => name)).toEqual(['uniform-trained', 'parent-trained']);
  expect(openCheckpoint(windows!.model).config.layers.every(({ kind }) => kind === 'sliding_window')).toBe(
    true,
  );
  expect(openCheckpoint(at('out/model')).config.layers.some(({ kind }) => kind === 'head_attention')).toBe(
    true,
  );
  // The same again reads what was kept, and with more time there are more steps.
  const again = JSON.parse((await postnasHere([...trained, '--controls', '--json', '--quiet'])).stdout);
  expect(again.training).toEqual(training);
  const longer = await postnasHere([...trained, '--hours', '0.003', '--json', '--quiet']);
  expect(longer.code, longer.stderr).toBe(0);
  const more = (JSON.parse(longer.stdout) as ConversionResult).training!;
  expect(more.steps).toBeGreaterThan(steps);
  expect(more.curve!.slice(0, curve!.length)).toEqual(curve);
  const table = await postnasHere([...trained, '--hours', '0.003', '--quiet']);
  expect(table.stdout).toMatch(
    /^trained: [\d,]+ tokens in \d+s; on held-out text 0\.\d+ -> 0\.\d+ nats from its parent; /m,
  );
  expect(table.stdout).toContain(`postnas generate ${at('out/model')} --prompt "..."  (trained)`);
  expect(readFileSync(at('out/report.html'), 'utf8')).toContain('id="training-curve"');
}, 300_000);
