import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { randomWeights, tinyConfig } from '../../test/support/random-model.ts';
import { tinyTokenizerFiles } from '../../test/support/tiny-tokenizer.ts';
import { saveCheckpoint } from '../model/checkpoint.ts';
import { loadTokenizer } from '../model/folder.ts';
import type { ObjectiveTask } from '../tasks/objective.ts';
import { InputError } from '../util/errors.ts';
import { Random } from '../util/random.ts';
import { type DataSettings, dataOf, unseenTasks } from './data.ts';

let folder: string;
let other: string;
let paragraphs: string[];
const at = (name: string) => join(folder, name);
const words = (first: number, count: number) =>
  Array.from({ length: count }, (_, i) => `word${first + i}`).join(' ');

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'postnas-data-'));
  other = at('other');
  const config = tinyConfig([{ kind: 'attention' }]);
  await saveCheckpoint(other, config, randomWeights(config, 3), { dtype: 'F32', files: tinyTokenizerFiles });
  writeFileSync(at('a.txt'), words(0, 2000));
  writeFileSync(at('b.txt'), words(5000, 2000));
  cpSync(at('a.txt'), at('copy.txt'));
  symlinkSync('a.txt', at('link.txt'));
  writeFileSync(at('padded.txt'), `\n ${words(0, 2000)}\n\n`);
  writeFileSync(at('part.txt'), words(500, 400));
  writeFileSync(at('overlapping.txt'), `${words(1600, 400)} ${words(9000, 400)}`);
  mkdirSync(at('below'));
  vi.stubEnv('XDG_CACHE_HOME', at('cache'));
  // In digits that the tokenizer has.
  paragraphs = Array.from({ length: 3000 }, (_, i) => `p${i.toString(6)} ${words(i, 12)}`);
  // Many stand there twice, far from each other.
  writeFileSync(at('long.txt'), [...paragraphs, ...paragraphs.slice(0, 2000)].join('\n\n'));
  mkdirSync(at('records'));
  const half = (from: number) =>
    [...paragraphs.slice(from, from + 1500), ...paragraphs.slice(0, 700)]
      .map((body) => `${JSON.stringify({ body })}\n`)
      .join('');
  writeFileSync(at('records/a.jsonl'), half(0));
  writeFileSync(at('records/b.jsonl.gz'), gzipSync(half(1500)));
});
afterAll(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

const data = (more: Partial<DataSettings>, model = other) =>
  dataOf(model, { examples: 2, rows: 1, length: 8, ...more });
const names = ({ tasks }: { tasks: ObjectiveTask[] }) =>
  tasks.map(({ plan, metric }) => `${plan.name}:${metric}`);

describe('the held-out text', () => {
  test.each(['a.txt', 'copy.txt', 'link.txt', 'padded.txt', 'below/../a.txt'])(
    'is not the training text: %s',
    async (name) => {
      const heldOut = `${folder}/${name}`;
      await expect(data({ data: at('a.txt'), heldOut })).rejects.toThrow(
        new InputError(
          `the training text ${at('a.txt')} and the held-out text ${heldOut} are the same: expected texts that have nothing in common`,
        ),
      );
    },
  );

  test('by a relative path', async () => {
    const heldOut = relative(process.cwd(), at('a.txt'));
    await expect(data({ data: at('a.txt'), heldOut })).rejects.toThrow(
      `the held-out text ${heldOut} are the same`,
    );
  });

  test.each(['part.txt', 'overlapping.txt'])('nor has a part of it: %s', async (name) => {
    await expect(data({ data: at('a.txt'), heldOut: at(name) })).rejects.toThrow(
      `a part of the held-out text ${at(name)} is in the training text ${at('a.txt')}`,
    );
  });

  test('is there for the task that needs it, and for that alone', async () => {
    await expect(data({ data: 'world', task: ['held-out-loss'] })).rejects.toThrow(
      /held-out-loss needs a text that is not trained on: --held-out FILE/,
    );
    await expect(data({ data: at('a.txt'), heldOutShare: 1e-6 })).rejects.toThrow(
      `${at('a.txt')} has too few documents to hold out 0.0001 % of them: expected other text by --held-out, or a larger`,
    );
    await expect(
      data({ data: at('a.txt'), heldOut: at('b.txt'), task: ['vocabulary-recall'] }),
    ).rejects.toThrow(
      `the held-out text ${at('b.txt')} is for the task held-out-loss, which is none of the tasks: vocabulary-recall`,
    );
  });
});

describe('text that is held out by share', () => {
  const tokenizer = () => loadTokenizer(other);
  /** The numbers of the paragraphs that rows have whole. */
  const numbersIn = (rows: readonly (readonly number[])[]) =>
    new Set(
      rows.flatMap((ids) =>
        [
          ...tokenizer()
            .decode(ids)
            .matchAll(/p(\d+) word/g),
        ].map(([, i]) => Number.parseInt(i!, 6)),
      ),
    );
  const judgedOn = async (tasks: Promise<ObjectiveTask[]>) =>
    numbersIn((await tasks).flatMap(({ plan }) => plan.rows.map(({ ids }) => ids)));

  test.each([
    ['plain text', {}, () => at('long.txt')],
    ['records', { field: 'body' }, () => at('records')],
  ])('is never trained on, and nothing is chosen on what is reported: %s', async (_, more, path) => {
    const settings = { data: path(), ...more, heldOutShare: 0.2, examples: 40, rows: 1, length: 600 };
    const { batches, tasks } = await dataOf(other, settings);
    expect(names({ tasks })).toEqual(['held-out-loss:loss']);
    const rows = new Int32Array(600 * 600);
    batches.fill(rows, 600, new Random(1));
    const trained = numbersIn(
      Array.from({ length: 600 }, (_, i) => [...rows.subarray(600 * i, 600 * (i + 1))]),
    );
    const chosen = await judgedOn(Promise.resolve(tasks));
    const reported = await judgedOn(unseenTasks(other, settings));
    // Most of them are seen, and each on one side.
    expect(trained.size).toBeGreaterThan(1500);
    expect(chosen.size).toBeGreaterThan(100);
    expect(reported.size).toBeGreaterThan(100);
    expect(new Set([...trained, ...chosen, ...reported]).size).toBe(
      trained.size + chosen.size + reported.size,
    );
  });

  test('is a hundredth where nothing else is said, and where the task is asked for', async () => {
    const { identity } = (await data({ data: at('long.txt') })).batches;
    expect((await data({ data: at('long.txt'), heldOutShare: 0.01 })).batches.identity).toBe(identity);
    const without = await data({ data: at('long.txt'), task: ['recall'] });
    expect(without.batches.identity).not.toBe(identity);
  });

  test.each<[Partial<DataSettings>, RegExp]>([
    [
      { heldOutShare: 0.1, heldOut: 'b.txt' },
      /--held-out-share 0\.1: the held-out text is .*b\.txt; expected one of/,
    ],
    [
      { heldOutShare: 0.1, task: ['vocabulary-recall'] },
      /share 0\.1 is for the task held-out-loss, which is none of/,
    ],
    [{ heldOutShare: 0 }, /--held-out-share 0: expected a number above 0 and up to 0\.5/],
    [{ heldOutShare: 0.6 }, /--held-out-share 0\.6: expected a number above 0 and up to 0\.5/],
    [{ data: ['world', 'long.txt'] }, /--data world .*long\.txt: 'world' is a text by itself/],
    [{ field: 'body' }, /--field body: .*long\.txt has no fields; expected \.jsonl, \.json or \.parquet/],
    [{ field: 'body', data: 'world', task: ['recall'] }, /--field body: what is generated has no fields/],
  ])('%j is refused', async (more, message) => {
    const named = (text: string) => (text === 'world' ? text : at(text));
    const texts = {
      data: [more.data ?? 'long.txt'].flat().map(named),
      ...(more.heldOut && { heldOut: [more.heldOut].flat().map(named) }),
    };
    await expect(data({ ...more, ...texts })).rejects.toThrow(message);
  });
});

test('public and generated tasks are drawn; what is reported on is apart from what is chosen on', async () => {
  const rows = Array.from({ length: 12 }, (_, i) => ({
    goal: `word${i}`,
    sol1: 'a',
    sol2: 'b',
    label: i % 2,
  }));
  mkdirSync(at('sets'), { recursive: true });
  writeFileSync(at('sets/piqa.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  const task = ['piqa:loss:5', 'openbookqa:accuracy_norm:3', 'needle@128:loss'];
  const book = (i: number) => ({
    ...{ question_stem: `word${i}`, choices: { text: ['a', 'bc'], label: ['A', 'B'] }, answerKey: 'A' },
  });
  writeFileSync(at('sets/openbookqa.json'), JSON.stringify(Array.from({ length: 6 }, (_, i) => book(i))));
  const settings = { data: 'world', task, dataDir: at('sets') };
  const { tasks } = await data(settings, 'models/base');
  expect(names({ tasks })).toEqual(['piqa:loss', 'openbookqa:accuracy_norm', 'needle@128:loss']);
  expect(tasks.map(({ plan }) => plan.examples.length)).toEqual([5, 3, 2]);
  const fresh = await unseenTasks('models/base', { examples: 2, rows: 1, length: 8, ...settings });
  for (const [i, { plan }] of fresh.entries()) {
    const seen = new Set(tasks[i]!.plan.rows.map(({ ids }) => ids.join(' ')));
    expect(plan.rows.filter(({ ids }) => seen.has(ids.join(' ')))).toEqual([]);
    expect(plan.examples).toHaveLength(tasks[i]!.plan.examples.length);
  }
  await expect(data({ ...settings, task: ['piqa:loss:13'] }, 'models/base')).rejects.toThrow(
    'only 12 are left',
  );
});

test('texts of the embedded model are encoded alike, with and without the token that ends them', async () => {
  const { batches } = await data({ data: at('records'), field: 'body', task: ['recall'] }, 'models/base');
  const rows = new Int32Array(64 * 64);
  batches.fill(rows, 64, new Random(1));
  const { eosIds } = loadTokenizer('models/base');
  expect(rows.filter((id) => id === eosIds[0]).length).toBeGreaterThan(20);
});

describe('what is not said', () => {
  test('another model than those of the world is judged by its held-out text', async () => {
    expect(names(await data({ data: at('a.txt'), heldOut: at('b.txt') }))).toEqual(['held-out-loss:loss']);
  });

  test('and needs a text, unless it is told to take that of the world', async () => {
    await expect(data({})).rejects.toThrow(
      /needs text to train on, of which 1 % are held out to judge it by unless other text is given, such as\n {2}--data novels\.txt --held-out/,
    );
    await expect(data({ heldOut: at('b.txt') })).rejects.toThrow(/needs text to train on, such as/);
    expect(names(await data({ data: 'world', task: ['recall'] }))).toEqual(['recall:accuracy']);
  });

  test('models of the world have its text and its tasks', async () => {
    for (const model of ['models/base', 'models/hybrid']) {
      const found = await data({}, model);
      expect(names(found)).toEqual(expect.arrayContaining(['recall:accuracy', 'needle:accuracy']));
      expect(names(await data({ data: at('a.txt'), heldOut: at('b.txt') }, model)).at(-1)).toBe(
        'held-out-loss:loss',
      );
    }
  });
});

test('tasks that are not understood', async () => {
  const task = (text: string) => expect(data({ data: 'world', task: [text] })).rejects;
  await task('recall:speed').toThrow(
    /the task recall:speed: the metric is 'speed', expected one of accuracy, accuracy_norm, loss/,
  );
  await task('recall:loss:0').toThrow(/'0' examples, expected a whole number above 0/);
  await task('recall:loss:2:3').toThrow(/'2:3' examples/);
  await task('chess').toThrow(/unknown task 'chess'; expected one of .*arc_easy.*needle@LENGTH.*recall/);
  await task('needle@4M').toThrow(
    /expected the length in tokens behind the @, such as needle@4096 or needle@64K/,
  );
  await task('chess@4096').toThrow(/unknown generated task 'chess'/);
  await task('gsm8k:accuracy').toThrow(/its answers are written.*expected gsm8k:loss/);
  await task('winogrande:accuracy_norm').toThrow(/it has no accuracy_norm; expected winogrande:accuracy/);
  await task('recall:accuracy_norm').toThrow(/it has no accuracy_norm/);
});
