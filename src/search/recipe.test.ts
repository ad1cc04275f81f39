import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { readRecipe, recipeIn, recipeOf } from './read-recipe.ts';

const dir = mkdtempSync(join(tmpdir(), 'postnas-recipe-'));
afterAll(() => rmSync(dir, { recursive: true }));

const path = join(dir, 'recipe.json');
const read = (text: string) => {
  writeFileSync(path, text);
  return readRecipe(path);
};

const training = { alignSteps: 2, trainSteps: 2 };
const full = {
  model: 'model',
  tasks: ['recall'],
  placement: { budget: 1, alignSteps: 2, supernetSteps: 2 },
  blocks: training,
  design: training,
  dimensions: training,
  decode: {},
  windows: { size: 4, budget: 2 },
  final: { featureSteps: 2, logitSteps: 1, allSteps: 2 },
};

/** Every place of a recipe that holds a number, with the least and the most that it may be. */
const NUMBERS: [string, number, number][] = [
  ['rows', 1, 65_536],
  ['length', 2, 2 ** 24],
  ['examples', 1, 1e6],
  ['heldOutShare', 1e-9, 0.5],
  ...['placement', 'blocks', 'design', 'dimensions', 'final'].flatMap((stage): [string, number, number][] => [
    [`${stage}.rows`, 1, 65_536],
    [`${stage}.length`, 2, 2 ** 24],
  ]),
  ...['blocks', 'design', 'dimensions'].flatMap((stage): [string, number, number][] => [
    [`${stage}.alignSteps`, 1, 1e9],
    [`${stage}.trainSteps`, 1, 1e9],
    [`${stage}.rate`, 1e-9, 100],
  ]),
  ['placement.alignSteps', 1, 1e9],
  ['placement.supernetSteps', 1, 1e9],
  ['placement.finishSteps', 0, 1e9],
  ['placement.rate', 1e-9, 100],
  ['placement.budget', 1, 10_000],
  ['placement.beam', 1, 10_000],
  ['placement.random', 0, 1e6],
  ['dimensions.aspect', 1, 1024],
  ['dimensions.slack', 0, 10],
  ['decode.context', 1, 2 ** 24],
  ['decode.tokens', 1, 2 ** 24],
  ['decode.rounds', 1, 10_000],
  ['windows.size', 1, 2 ** 24],
  ['windows.budget', 1, 10_000],
  ['windows.beam', 1, 10_000],
  ['final.featureSteps', 0, 1e9],
  ['final.logitSteps', 0, 1e9],
  ['final.allSteps', 0, 1e9],
  ['final.featureRate', 1e-9, 100],
  ['final.logitRate', 1e-9, 100],
  ['final.allRate', 1e-9, 100],
  ['final.bodyRate', 0, 1000],
  ['final.crossEntropy', 0, 1000],
  ['final.windowDropout', 0, 1],
  ['final.patience', 0, 1e6],
  ['final.rateLeft', 0, 1],
  ['placement.windowDropout', 0, 1],
  ['blocks.windowDropout', 0, 1],
  ['design.windowDropout', 0, 1],
  ['dimensions.windowDropout', 0, 1],
  ['final.temperature', 1e-9, 1000],
  ['final.examples', 1, 1e6],
  ['final.cacheLimit', 1, 2 ** 49],
];

/** A recipe with this value at this place, as JSON. */
function withValue(at: string, value: string): string {
  const recipe = JSON.parse(JSON.stringify(full)) as Record<string, unknown>;
  const names = at.split('.');
  const last = names.pop()!;
  const within = names.reduce((object, name) => object[name] as typeof recipe, recipe);
  within[last] = '@';
  return JSON.stringify(recipe).replace('"@"', value);
}

const refusal = (at: string) =>
  expect.objectContaining({
    name: 'InputError',
    message: expect.stringMatching(new RegExp(`is no recipe:\n {2}${at.replaceAll('.', '\\.')}: .*expected`)),
  });

describe('numbers beyond their bounds are refused by name, those at the bounds are taken', () => {
  test.each(NUMBERS)('%s', (at, least, most) => {
    for (const right of [least, most]) read(withValue(at, String(right)));
    const wrong = [String(most + 1), '1e12', '1e15', '-1', '1e400', '"8"', 'null', '[]', '{}'];
    if (least >= 1) wrong.push('0');
    if (Number.isInteger(least) && !/slack|bodyRate|crossEntropy|rateLeft/.test(at)) wrong.push('1.5');
    for (const value of wrong.filter((each) => each !== '1e12' || most < 1e12)) {
      expect(() => read(withValue(at, value)), value).toThrow(refusal(at));
    }
  });
});

test('no number of a recipe is without bounds', () => {
  const filled = read(JSON.stringify(full)) as unknown as Record<string, unknown>;
  const numbers = (value: unknown, at: string): string[] =>
    typeof value === 'number'
      ? [at]
      : typeof value === 'object' && value !== null && !Array.isArray(value)
        ? Object.entries(value).flatMap(([name, each]) => numbers(each, at ? `${at}.${name}` : name))
        : [];
  expect(numbers(filled, '').filter((at) => !NUMBERS.some(([known]) => known === at))).toEqual([]);
});

test('seeds: whole, different, not too many', () => {
  read(withValue('seeds', '[0, 1, 2147483647]'));
  for (const [seeds, at] of [
    ['[]', 'seeds'],
    ['[1, 1]', 'seeds'],
    ['[1, 1.5]', 'seeds.1'],
    ['[-1]', 'seeds.0'],
    ['[1e12]', 'seeds.0'],
    [JSON.stringify(Array.from({ length: 1001 }, (_, i) => i)), 'seeds'],
  ] as const) {
    expect(() => read(withValue('seeds', seeds)), seeds.slice(0, 20)).toThrow(
      expect.objectContaining({ message: expect.stringMatching(new RegExp(`\n {2}${at}: `)) }),
    );
  }
});

test.each<[string, string, RegExp]>([
  ['a misspelt key', withValue('placement.bugdet', '1'), /placement: .*"bugdet"/],
  [
    '__proto__',
    withValue('__proto__', '{"rows": 1}').replace(/^\{/, '{"__proto__": {"rows": 4}, '),
    /__proto__/,
  ],
  [
    '__proto__ in a stage',
    '{"model": "m", "tasks": ["a"], "placement": {"__proto__": {"budget": 1}}}',
    /__proto__/,
  ],
  ['constructor', withValue('constructor', '{}'), /"constructor"/],
  [
    'examples of a task',
    withValue('tasks', '["recall:loss:1000000000000"]'),
    /tasks\.0: examples 1000000000000: /,
  ],
  ['no examples of a task', withValue('tasks', '["recall:loss:0"]'), /tasks\.0: examples 0: /],
  ['a list in place of all', '[]', /recipe: .*object/],
  ['a number in place of all', '7', /recipe: .*object/],
  ['null', 'null', /recipe: .*object/],
  ['lists 200,000 deep', withValue('rows', '['.repeat(200_000) + ']'.repeat(200_000)), /rows: expected/],
  ['objects 100,000 deep', `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`, /model|cannot read/],
  ['a file that is another', `"${'x'.repeat(1_100_000)}"`, /has \d+ bytes, a recipe has at most/],
])('%s is refused, at once', (_, text, message) => {
  const begun = performance.now();
  expect(() => read(text)).toThrow(
    expect.objectContaining({ name: 'InputError', message: expect.stringMatching(message) }),
  );
  expect(performance.now() - begun).toBeLessThan(1000);
  expect(({} as { rows?: number }).rows).toBeUndefined();
});

test('the recipes of the package', () => {
  const folder = new URL('../../recipes/', import.meta.url);
  const names = readdirSync(folder).filter((name) => name.endsWith('.json'));
  expect(names.length).toBeGreaterThan(2);
  for (const name of names) readRecipe(new URL(name, folder).pathname);
});

test('texts are one or several names, which are looked for beside the recipe, globs too', () => {
  mkdirSync(join(dir, 'texts'));
  for (const name of ['texts/a.jsonl', 'b.txt']) writeFileSync(join(dir, name), '');
  const found = (data: unknown) => read(JSON.stringify({ ...full, data })).data;
  const beside = (name: string) => join(dir, name);
  expect(found('b.txt')).toBe(beside('b.txt'));
  expect(found(['b.txt', 'texts', 'texts/*.jsonl'])).toEqual(['b.txt', 'texts', 'texts/*.jsonl'].map(beside));
  // What is not there is named as it was given.
  expect(found(['texts/*.txt', 'world'])).toEqual(['texts/*.txt', 'world']);
  expect(read(JSON.stringify({ ...full, heldOut: ['b.txt'], field: 'body' }))).toMatchObject({
    heldOut: [beside('b.txt')],
    field: 'body',
  });
  for (const wrong of [[], '', [''], 3, [3]]) expect(() => found(wrong)).toThrow(/data/);
  expect(() => read(JSON.stringify({ ...full, field: '' }))).toThrow(/field/);
});

test('what is written into a folder still means what it meant before the folder had something of that name', () => {
  const file = join(dir, 'run/recipe.json');
  const [model, text] = ['src/search', 'src/search/recipe.ts'];
  const recipe = recipeOf({ ...{ model, data: [text, 'src/*.ts'] }, final: { hybrid: 'src' } });
  for (const name of [...[model, text].map((each) => join(dir, 'run', dirname(each))), join(dir, 'run/src')])
    mkdirSync(name, { recursive: true });
  writeFileSync(join(dir, 'run', text), '');
  writeFileSync(file, JSON.stringify(recipeIn(file, recipe)));
  expect(readRecipe(file)).toEqual(recipe);
  // Names of the Hub, and where a file lies from the root.
  const elsewhere = recipeOf({ model: 'org/name', placement: {}, data: join(dir, 'b.txt') });
  expect(recipeIn(file, elsewhere)).toEqual(elsewhere);
});
