/** `postnas report`. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { renderReport } from '../../src/report/report.ts';
import { readResult } from '../../src/search/read-result.ts';
import type { Result } from '../../src/search/result.ts';
import { sampleResult, wholeOf } from '../report/sample-result.ts';
import { sampleBlocks, sampleRun } from '../report/sample-run.ts';
import { postnas, postnasHere } from '../support/command.ts';

const run = (...args: string[]) => postnas(['report', ...args]);

let folder: string;
let json: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'postnas-report-'));
  json = join(folder, 'result.json');
  writeFileSync(json, JSON.stringify(wholeOf({ placement: await sampleResult() })));
});
afterAll(() => rmSync(folder, { recursive: true }));

test('writes the page beside the result, or where it is told to', async () => {
  const [beside, elsewhere] = [join(folder, 'report.html'), join(folder, 'a', 'page.html')];
  expect(await run(json)).toEqual({ code: 0, stdout: `written to ${beside}\n`, stderr: '' });
  expect(await run(json, '-o', elsewhere, '--json')).toMatchObject({
    code: 0,
    stdout: `${JSON.stringify({ report: elsewhere }, null, 2)}\n`,
  });
  const page = renderReport(readResult(json) as Result);
  expect(readFileSync(beside, 'utf8')).toBe(page);
  expect(readFileSync(elsewhere, 'utf8')).toBe(page);
});

test('a folder stands for its result, whatever stages that has', async () => {
  const results = {
    whole: await sampleRun({ seeds: 1 }),
    blocks: wholeOf({ blocks: await sampleBlocks('blocks', { seeds: 1 }) }),
  };
  for (const [name, result] of Object.entries(results)) {
    const at = join(folder, name);
    mkdirSync(at);
    writeFileSync(join(at, 'result.json'), JSON.stringify(result));
    expect(await postnasHere(['report', at])).toMatchObject({ code: 0, stderr: '' });
    expect(readFileSync(join(at, 'report.html'), 'utf8')).toBe(
      renderReport(readResult(join(at, 'result.json')) as Result),
    );
  }
});

test('a wrong file is named in one line', async () => {
  const wrong = join(folder, 'config.json');
  writeFileSync(wrong, '{"model_type": "llama"}');
  expect(await postnasHere(['report', wrong])).toEqual({
    code: 1,
    stdout: '',
    stderr: `postnas: ${wrong}: format is missing, expected "postnas-result-2", "postnas-bench-1", "postnas-compare-1", "postnas-convert-1", "postnas-search-1", "postnas-blocks-1" or "postnas-run-1": this is no result\n`,
  });
});
