import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { randomWeights, tinyConfig } from '../../test/support/random-model.ts';
import { tinyTokenizerFiles } from '../../test/support/tiny-tokenizer.ts';
import { saveCheckpoint } from '../model/checkpoint.ts';
import { InputError } from '../util/errors.ts';
import { type DataSettings, dataOf } from './data.ts';

let folder: string;
let other: string;
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
});
afterAll(() => rmSync(folder, { recursive: true }));

const data = (more: Partial<DataSettings>, model = other) =>
  dataOf(model, { examples: 2, rows: 1, length: 8, ...more });
const names = ({ tasks }: Awaited<ReturnType<typeof dataOf>>) =>
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
    await expect(data({ data: at('a.txt') })).rejects.toThrow(
      `${at('a.txt')} has too few documents to hold out 1 % of them: expected other text by --held-out, or a larger`,
    );
    await expect(
      data({ data: at('a.txt'), heldOut: at('b.txt'), task: ['vocabulary-recall'] }),
    ).rejects.toThrow(
      `the held-out text ${at('b.txt')} is for the task held-out-loss, which is none of the tasks: vocabulary-recall`,
    );
  });
});

describe('what is not said', () => {
  test('another model than those of the world is judged by its held-out text', async () => {
    expect(names(await data({ data: at('a.txt'), heldOut: at('b.txt') }))).toEqual(['held-out-loss:loss']);
  });

  test('and needs a text, unless it is told to take that of the world', async () => {
    await expect(data({})).rejects.toThrow(
      /needs text to train on, and other text to judge it by, such as\n {2}--data novels\.txt --held-out/,
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
  await task('recall:speed').toThrow(/--task recall:speed: the metric is 'speed', expected accuracy or loss/);
  await task('recall:loss:0').toThrow(/'0' examples, expected a whole number above 0/);
  await task('recall:loss:2:3').toThrow(/'2:3' examples/);
  await task('chess').toThrow(
    /unknown task 'chess'; expected one of held-out-loss, vocabulary-recall, recall/,
  );
});
