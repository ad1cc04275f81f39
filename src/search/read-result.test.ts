import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sampleResult, wholeOf } from '../../test/report/sample-result.ts';
import { sampleBlocks, sampleRun } from '../../test/report/sample-run.ts';
import { InputError } from '../util/errors.ts';
import { readResult } from './read-result.ts';
import type { Result } from './result.ts';
import type { BlocksResult } from './stages/blocks/result.ts';
import type { PlacementResult } from './stages/placement/result.ts';

let folder: string;
let path: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'postnas-result-'));
  path = join(folder, 'result.json');
});
afterAll(() => rmSync(folder, { recursive: true }));

// Not structuredClone: it would keep what two places share.
const copied = <T>(value: T) => JSON.parse(JSON.stringify(value)) as T;

function read(result: unknown): ReturnType<typeof readResult> {
  writeFileSync(path, JSON.stringify(result));
  return readResult(path);
}

/** What reading says after a change: the message, or undefined. */
function mistakeIn<R>(sample: R, change: (result: R) => void): string | undefined {
  const result = copied(sample);
  change(result);
  try {
    read(result);
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(InputError);
    return (error as Error).message.replace(`${path}: `, '');
  }
}

/** As a search by itself, a comparison and a run were written before there was one format. */
const old = {
  search: ({ model, created, command, placement }: Result) => ({
    ...{ format: 'postnas-search-1', command, created, model },
    ...placement!,
  }),
  blocks: ({ model, created }: Result, stage: string, blocks: BlocksResult) => ({
    ...{ format: 'postnas-blocks-1', stage, created, model },
    ...blocks,
  }),
  run: (result: Result) => {
    const { model: _, blocks, design, dimensions, final, ...rest } = result;
    const compared = { blocks, design, dimensions };
    const { objective: __, ...found } = final!;
    return {
      ...rest,
      format: 'postnas-run-1',
      placement: old.search(result),
      ...Object.fromEntries(
        Object.entries(compared).map(([stage, each]) => [stage, old.blocks(result, stage, each!)]),
      ),
      final: found,
    };
  },
};

describe('a search alone', () => {
  let whole: Result;
  beforeAll(async () => {
    whole = wholeOf({ placement: await sampleResult({ objective: 'mixed' }) });
  });

  test('is read as it was', () => {
    expect(read(whole)).toEqual(copied(whole));
  });

  const changes: [string, (result: PlacementResult) => void, string][] = [
    ['a budget beyond the layers', (r) => Object.assign(r, { budget: 9 }), 'budget is 9, expected at most 8'],
    ['no task', (r) => Object.assign(r, { objective: [] }), 'objective is [], expected at least one entry'],
    [
      'an unknown metric',
      (r) => Object.assign(r.objective[1]!, { metric: 'f1' }),
      'objective[1].metric is "f1", expected accuracy or accuracy_norm or loss',
    ],
    ['no run', (r) => Object.assign(r, { runs: [] }), 'runs is [], expected at least one entry'],
    [
      'a base without a task',
      (r) => delete r.base.tasks.recall,
      'base.tasks.recall is missing, expected an object',
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
  ];

  test.each(changes)('%s is refused, naming the place', (_, change, message) => {
    expect(mistakeIn(whole, ({ placement }) => change(placement!))).toContain(`placement.${message}`);
  });

  test.each(changes)('of the format before: %s is refused, naming the place', (_, change, message) => {
    expect(mistakeIn(old.search(whole), change)?.startsWith(message)).toBe(true);
  });

  test.each<[string, object, string]>([
    [
      'another format',
      { format: 'postnas-result-9' },
      'format is "postnas-result-9", expected "postnas-result-2", ',
    ],
    [
      'no layers',
      { model: { path: 'x', layers: 0, parameters: 1 } },
      'model.layers is 0, expected a whole number of at least 1',
    ],
    ['a date that is none', { created: 'today' }, 'created is "today", expected a date'],
    ['a recipe that is none', { recipe: 3 }, 'recipe is 3, expected an object'],
    [
      'a recipe whose slack is none',
      { recipe: { dimensions: { slack: 'x' } } },
      'recipe.dimensions.slack is "x", expected a number',
    ],
  ])('%s', (_, change, message) => {
    expect(mistakeIn(whole, (result) => Object.assign(result, change))).toContain(message);
    expect(mistakeIn(whole, (result) => Object.assign(result, change))?.startsWith(message)).toBe(true);
  });

  test('what is not described is left out, in every part', () => {
    const more = copied(whole);
    Object.assign(more, { mood: 'good' });
    Object.assign(more.placement!.runs[0]!.heatMap[0]!, { mood: 'good' });
    expect(read(more)).toEqual(copied(whole));
  });

  test('tasks may have the names of what every object has', () => {
    const text = JSON.stringify(whole);
    for (const name of ['constructor', 'toString', 'hasOwnProperty']) {
      expect(read(JSON.parse(text.replaceAll('"recall"', `"${name}"`)))).toMatchObject({
        placement: { objective: [{}, { task: name }, {}] },
      });
    }
    const named = copied(whole);
    named.placement!.objective[1]!.task = 'constructor';
    expect(mistakeIn(named, () => {})).toBe(
      'placement.base.tasks.constructor is missing, expected an object',
    );
  });

  test('a file that is missing, and one that is no JSON', () => {
    expect(() => readResult(join(folder, 'none.json'))).toThrow(/cannot read .*none\.json/);
    writeFileSync(path, '{"format": ');
    expect(() => readResult(path)).toThrow(`${path} is not JSON`);
  });

  test('whether a task guides is true or false', () => {
    const guides = (value: unknown) => (r: Result) =>
      Object.assign(r.placement!.objective[0]!, { guides: value });
    expect(mistakeIn(whole, guides(false))).toBeUndefined();
    expect(mistakeIn(whole, guides('no'))).toBe(
      'placement.objective[0].guides is "no", expected true or false',
    );
  });
});

describe('a comparison of blocks alone', () => {
  let blocks: BlocksResult;
  let whole: Result;
  beforeAll(async () => {
    blocks = await sampleBlocks('dimensions', { objective: 'mixed' });
    whole = wholeOf({ dimensions: blocks });
  });

  test('is read as it was', () => {
    expect(read(whole)).toEqual(copied(whole));
  });

  const changes: [string, (result: BlocksResult) => void][] = [
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
  ];

  test.each(changes)('%s', (message, change) => {
    expect(mistakeIn(whole, ({ dimensions }) => change(dimensions!))).toBe(`dimensions.${message}`);
    expect(mistakeIn(old.blocks(whole, 'dimensions', blocks), change)).toBe(message);
  });

  test('of the format before names its stage', () => {
    expect(mistakeIn(old.blocks(whole, 'x', blocks), () => {})).toBe(
      'stage is "x", expected blocks or design or dimensions',
    );
  });
});

describe('a whole run', () => {
  let run: Result;
  beforeAll(async () => {
    run = await sampleRun({ objective: 'mixed' });
  });

  test('is read as it was, with all stages and with the first alone', async () => {
    expect(read(run)).toEqual(copied(run));
    const first = await sampleRun({ stages: [] });
    expect(read(first)).toEqual(copied(first));
  });

  const changes: [string, (result: Result) => void][] = [
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
  ];

  test.each(changes)('%s', (message, change) => {
    expect(mistakeIn(run, change)).toBe(message);
    expect(mistakeIn(old.run(run), (result) => change(result as unknown as Result))).toBe(message);
  });
});

describe('results of earlier formats are read into the present one', () => {
  test('a search, a comparison and a run', async () => {
    const run = await sampleRun({ objective: 'mixed' });
    const { placement, design, model, created, command } = run;
    const about = { format: 'postnas-result-2', created, model };
    const { seconds, tokens } = placement!;
    expect(read(old.search(run))).toEqual(copied({ ...about, command, placement, seconds, tokens }));
    expect(read(old.blocks(run, 'design', design!))).toEqual(
      copied({ ...about, design, seconds: design!.seconds, tokens: 10 * 3 * design!.trainedTokens }),
    );
    // The final model was judged by the tasks of the placement.
    const final = { ...run.final!, objective: placement!.objective };
    expect(read(old.run(run))).toEqual(copied({ ...run, final }));
  });

  test.each([
    [
      'docs/nano/result.json',
      ['placement', 'chosen', 'blocks', 'design', 'dimensions', 'throughput', 'windows', 'final', 'mlps'],
    ],
    ['docs/smollm2-search/result.json', ['placement']],
  ])('%s', (file, parts) => {
    const committed = resolve(import.meta.dirname, '../..', file);
    const found = readResult(committed) as Result;
    const before = JSON.parse(readFileSync(committed, 'utf8'));
    expect(Object.keys(found)).toEqual(expect.arrayContaining(parts));
    expect(found).toMatchObject({
      format: 'postnas-result-2',
      created: before.created,
      seconds: before.seconds,
    });
    const { runs } = before.placement ?? before;
    expect(found.placement!.runs).toEqual(runs);
  });

  test('a run without what it had to have', async () => {
    const run = old.run(await sampleRun());
    for (const [field, what] of Object.entries({
      recipe: 'an object',
      machine: 'an object',
      placement: 'an object',
      chosen: 'an object',
    })) {
      expect(mistakeIn(run, (r) => Object.assign(r, { [field]: undefined }))).toBe(
        `${field} is missing, expected ${what}`,
      );
    }
  });
});
