import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sampleResult } from '../../test/report/sample-result.ts';
import { sampleBlocks, sampleRun } from '../../test/report/sample-run.ts';
import { InputError } from '../util/errors.ts';
import { readResult } from './read-result.ts';
import type { RunResult } from './result.ts';
import type { BlocksResult } from './stages/blocks/result.ts';
import type { SearchResult } from './stages/placement/result.ts';

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

/** What reading says after a change: the message, or undefined. */
function mistakeIn<R>(sample: R, change: (result: R) => void): string | undefined {
  const result = JSON.parse(JSON.stringify(sample)) as R;
  change(result);
  writeFileSync(path, JSON.stringify(result));
  try {
    readResult(path);
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(InputError);
    return (error as Error).message.replace(`${path}: `, '');
  }
}

test('whether a task guides is true or false', () => {
  const guides = (value: unknown) => (r: SearchResult) => Object.assign(r.objective[0]!, { guides: value });
  expect(mistakeIn(whole, guides(false))).toBeUndefined();
  expect(mistakeIn(whole, guides('no'))).toBe('objective[0].guides is "no", expected true or false');
});

describe('a comparison of blocks', () => {
  let blocks: BlocksResult;
  beforeAll(async () => {
    blocks = await sampleBlocks('dimensions', { objective: 'mixed' });
  });

  test('is read as it was', () => {
    expect(mistakeIn(blocks, () => {})).toBeUndefined();
    expect(readResult(path)).toEqual(JSON.parse(JSON.stringify(blocks)));
  });

  test.each<[string, (result: BlocksResult) => void]>([
    ['stage is "x", expected blocks or design or dimensions', (r) => Object.assign(r, { stage: 'x' })],
    [
      'candidates[1].decode is [], expected at least one entry',
      (r) => Object.assign(r.candidates[1]!, { decode: [] }),
    ],
    ['candidates[2].runs is [1,2], expected the seeds 1, 2, 3', (r) => r.candidates[2]!.runs.pop()],
    [
      'candidates[0].runs[1].judged.score is "x", expected a number',
      (r) => Object.assign(r.candidates[0]!.runs[1]!.judged, { score: 'x' }),
    ],
    [
      'choice.name is "9x9x9", expected the name of a candidate',
      (r) => Object.assign(r.choice, { name: '9x9x9' }),
    ],
    ['decode.device is missing, expected a string', (r) => Object.assign(r.decode, { device: undefined })],
  ])('%s', (message, change) => {
    expect(mistakeIn(blocks, change)).toBe(message);
  });
});

describe('a whole run', () => {
  let run: RunResult;
  beforeAll(async () => {
    run = await sampleRun({ objective: 'mixed' });
  });

  test('is read as it was, with all stages and with the first alone', async () => {
    expect(mistakeIn(run, () => {})).toBeUndefined();
    expect(readResult(path)).toEqual(JSON.parse(JSON.stringify(run)));
    expect(mistakeIn(await sampleRun({ stages: [] }), () => {})).toBeUndefined();
  });

  test.each<[string, (result: RunResult) => void]>([
    ['recipe is missing, expected an object', (r) => Object.assign(r, { recipe: undefined })],
    [
      'placement.budget is 9, expected at most 8, the number of layers',
      (r) => Object.assign(r.placement!, { budget: 9 }),
    ],
    [
      'chosen.placement is [8], expected layers from 0 to 7, ascending',
      (r) => Object.assign(r.chosen!, { placement: [8] }),
    ],
    ['mlps.runs[1].trained.length is 27, expected 28', (r) => r.mlps!.runs[1]!.trained.pop()],
    [
      'design.candidates[0].parameters is null, expected a number',
      (r) => Object.assign(r.design!.candidates[0]!, { parameters: null }),
    ],
    [
      'throughput.points[3].series is "x", expected dimensions or state size or full layers',
      (r) => Object.assign(r.throughput!.points[3]!, { series: 'x' }),
    ],
    ['windows.rule is missing, expected a string', (r) => Object.assign(r.windows!, { rule: undefined })],
    [
      'final.architecture is "AJ", expected a letter for each of 8 layers',
      (r) => Object.assign(r.final!, { architecture: 'AJ' }),
    ],
    [
      'final.runs[0].stages[2].loss is missing, expected a number',
      (r) => Object.assign(r.final!.runs[0]!.stages[2]!, { loss: undefined }),
    ],
    [
      'final.cost.base.stateBytes is missing, expected a number',
      (r) => Object.assign(r.final!.cost.base, { stateBytes: undefined }),
    ],
  ])('%s', (message, change) => {
    expect(mistakeIn(run, change)).toBe(message);
  });
});
