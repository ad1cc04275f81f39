import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sampleResult } from '../../test/report/sample-result.ts';
import { InputError } from '../util/errors.ts';
import { readResult } from './read-result.ts';
import type { SearchResult } from './result.ts';

let folder: string;
let path: string;
let whole: SearchResult;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'postnas-result-'));
  path = join(folder, 'result.json');
  whole = await sampleResult({ objective: 'mixed' });
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Reads the sample after `change` has been made. */
function readChanged(change: (result: SearchResult) => void): SearchResult {
  // Not structuredClone: it would keep what two places share.
  const result = JSON.parse(JSON.stringify(whole)) as SearchResult;
  change(result);
  writeFileSync(path, JSON.stringify(result));
  return readResult(path) as SearchResult;
}

test('what a search wrote is read as it was', () => {
  expect(readChanged(() => {})).toEqual(JSON.parse(JSON.stringify(whole)));
});

describe('is refused, naming the place', () => {
  test.each<[string, (result: SearchResult) => void, string]>([
    [
      'another format',
      (r) => Object.assign(r, { format: 'postnas-search-9' }),
      'format is "postnas-search-9"',
    ],
    [
      'no layers',
      (r) => Object.assign(r.model, { layers: 0 }),
      'model.layers is 0, expected a whole number of at least 1',
    ],
    [
      'a date that is none',
      (r) => Object.assign(r, { created: 'today' }),
      'created is "today", expected a date',
    ],
    ['a budget beyond the layers', (r) => Object.assign(r, { budget: 9 }), 'budget is 9, expected at most 8'],
    ['no task', (r) => Object.assign(r, { objective: [] }), 'objective is [], expected at least one entry'],
    [
      'an unknown metric',
      (r) => Object.assign(r.objective[1]!, { metric: 'f1' }),
      'objective[1].metric is "f1", expected accuracy or loss',
    ],
    ['no run', (r) => Object.assign(r, { runs: [] }), 'runs is [], expected at least one entry'],
    [
      'a base without a task',
      (r) => delete r.base.tasks.recall,
      'base.tasks["recall"] is missing, expected an object',
    ],
    [
      'a loss that is no number',
      (r) => Object.assign(r.runs[1]!, { supernetLoss: Number.NaN }),
      'runs[1].supernetLoss is null, expected a number',
    ],
    [
      'alignment of other layers',
      (r) => r.runs[0]!.alignment.pop(),
      'runs[0].alignment.length is 7, expected 8',
    ],
    [
      'a layer beyond the last',
      (r) => Object.assign(r.runs[0]!.heatMap[7]!, { placement: [8] }),
      'runs[0].heatMap[7].placement is [8], expected layers from 0 to 7, ascending',
    ],
    ['a layer twice', (r) => Object.assign(r.runs[2]!, { placement: [3, 3] }), 'runs[2].placement is [3,3]'],
    [
      'a score in words',
      (r) => Object.assign(r.runs[0]!.searchers[0]!.best[1]!, { score: 'good' }),
      'runs[0].searchers[0].best[1].score is "good", expected a number',
    ],
    [
      'too few letters',
      (r) => Object.assign(r.runs[0]!, { architecture: 'AD' }),
      'runs[0].architecture is "AD", expected a letter for each of 8 layers',
    ],
    [
      'a stage without a cost',
      (r) => Object.assign(r.runs[0]!.stages[0]!, { seconds: undefined }),
      'runs[0].stages[0].seconds is missing, expected a number',
    ],
  ])('%s', (_, change, message) => {
    let error: unknown;
    try {
      readChanged(change);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(InputError);
    expect((error as Error).message).toContain(`${path}: ${message}`);
  });

  test('a file that is missing, and one that is no JSON', () => {
    expect(() => readResult(join(folder, 'none.json'))).toThrow(/cannot read .*none\.json/);
    writeFileSync(path, '{"format": ');
    expect(() => readResult(path)).toThrow(`${path} is not JSON`);
  });
});
