/** `postnas bench` as a process: its table, its JSON and what it refuses. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { postnas, postnasHere } from '../support/command.ts';

const BASE = 'models/base';
const QUICK = ['--tokens', '2', '--rounds', '2', '--threads', '1', '--quiet'];

test('rates, state and memory as JSON', async () => {
  const { code, stdout, stderr } = await postnas([
    'bench',
    BASE,
    '--context',
    '16,64',
    '--batch',
    '1,2',
    '--memory',
    '8MB',
    '--dtype',
    'q8',
    '--json',
    ...QUICK,
  ]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const { rows, throughput, leftOut } = JSON.parse(stdout);
  expect(rows.map(({ context, batch }: { context: number; batch: number }) => [context, batch])).toEqual([
    [16, 1],
    [16, 2],
    [64, 1],
    [64, 2],
  ]);
  for (const row of rows) {
    const read = row.batch * row.context;
    expect(row.prefillTokensPerSecond).toBeCloseTo(read / row.firstTokenSeconds, 6);
    expect(row.decodeTokensPerSecond).toBeGreaterThan(0);
    // Keys and values of 8 layers and 4 heads of 32, after one token to warm up and two more.
    expect(row.stateBytes).toBeGreaterThan(row.context * 8 * 2 * 128 * 4);
    expect(row.formulaBytes).toBeGreaterThan(row.context * 8 * 2 * 128 * 4);
    // Caches grow 256 tokens at a time.
    expect(row.stateBytes).toBe(256 * 8 * 2 * 128 * 4);
    expect(row.peakBytes).toBeGreaterThan(row.stateBytes);
  }
  expect(leftOut).toEqual([]);
  // 8 MB less the weights hold two sequences of 64 + 128 tokens, which are decoded together.
  expect(throughput).toMatchObject({ memory: 8e6, context: 64, batch: 2, measured: { iterations: 7 } });
  expect(throughput.measured.decodeTokensPerSecond).toBeGreaterThan(0);
});

test('throughput of states that are drawn, in fewer iterations', async () => {
  const given = ['--context', '64', '--memory', '8MB', '--dtype', 'q8', '--fill', '--iterations', '2'];
  const { code, stdout, stderr } = await postnas(['bench', BASE, ...given, '--json', ...QUICK]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const { measured } = JSON.parse(stdout).throughput;
  expect(measured).toMatchObject({ iterations: 1, prefillTokensPerSecond: null });
  expect(measured.decodeTokensPerSecond).toBeGreaterThan(0);
});

test('a page of one model, and of results side by side', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'postnas-bench-'));
  try {
    const page = join(folder, 'page.html');
    const args = ['bench', BASE, '--context', '16,64', '--json', '--report', page, ...QUICK];
    const { code, stdout, stderr } = await postnas(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(readFileSync(page, 'utf8')).toContain('models/base decodes');
    const result = join(folder, 'bench.json');
    writeFileSync(result, stdout);
    const both = await postnasHere(['report', result, result, '-o', join(folder, 'both.html')]);
    expect(both).toMatchObject({ code: 0, stderr: '' });
    expect(readFileSync(join(folder, 'both.html'), 'utf8')).toContain('times as fast as');
    const mixed = await postnasHere(['report', result, 'docs/nano/result.json']);
    expect(mixed.stderr).toContain('only results of postnas bench go on one page together');
    writeFileSync(result, stdout.replace('"batch": 1', '"batch": 0'));
    expect((await postnasHere(['report', result])).stderr).toMatch(
      /bench\.json: rows\[0\]\.batch is 0, expected a whole number of at least 1/,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a table of what fits, drawn states for what does not', async () => {
  const fits = await postnas(['bench', BASE, ...QUICK]);
  expect(fits.stdout).toMatch(/^context +batch +prefill tok\/s/);
  expect(fits.stdout).toContain("beyond the model's context of 512: 4,096, 16,384, 65,536 (--stretch)");
  const stretched = await postnas([
    'bench',
    BASE,
    '--context',
    '1K',
    '--fill',
    '--stretch',
    '--json',
    ...QUICK,
  ]);
  expect(JSON.parse(stretched.stdout).rows).toMatchObject([
    { context: 1024, prefillTokensPerSecond: null, firstTokenSeconds: null },
  ]);
});

test.each([
  [
    ['--context', '512'],
    /512 tokens and 5 more to decode do not fit the model's context of 512: --contexts 507/,
  ],
  [['--context', 'many'], /whole numbers above 0/],
  [['--memory', '8'], /such as 8GB/],
  [['--iterations', '2'], /--iterations 2 is for --memory <size>, which is not given/],
  [['--dtype', 'q1'], /Expected one of f32, q8, q4/],
])('%j is refused', async (args, message) => {
  const { code, stdout, stderr } = await postnasHere(['bench', BASE, ...args, ...QUICK]);
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toMatch(message);
});
