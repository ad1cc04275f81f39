import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { requestsOf } from '../task.ts';
import { drawnTask, firstExamples } from './dataset.ts';
import { loadDatasets } from './load.ts';
import { descriptionsOf, GROUPS, publicTasks } from './sets.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'postnas-sets-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Objects are lines of JSON. */
function file(path: string, ...lines: (string | object)[]): void {
  const full = join(folder, path);
  mkdirSync(dirname(full), { recursive: true });
  writeFileSync(
    full,
    lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'),
  );
}

const piqa = (goal: string, label: number | string = 0) => ({ goal, sol1: 'a', sol2: 'b', label });
const asked = async (name: string, shots?: number) => {
  const [set] = await loadDatasets(name, { folder, shots });
  return firstExamples(set!).map(requestsOf);
};
const contexts = async (name: string) => (await asked(name)).map(([request]) => request![0]);

describe('files of a set are found', () => {
  test.each([
    ['by the name of the task', 'piqa.jsonl', ''],
    ['in a folder above', 'llm-foundry/piqa.jsonl', ''],
    ['by the split in a folder of its name', 'piqa/validation.jsonl', 'piqa/train.jsonl'],
    [
      'as the Hub names them',
      'piqa/data/validation-00000-of-00001.jsonl',
      'piqa/data/test-00000-of-00001.jsonl',
    ],
    ['by the split as a folder', 'piqa/valid/part.jsonl', 'piqa/train/part.jsonl'],
    ['by the split in the name', 'piqa_val.jsonl', 'piqa_train.jsonl'],
    ['not of what lies deeper', 'piqa.jsonl', 'out/kept/piqa.jsonl'],
    ['where another has no split', 'piqa/validation.jsonl', 'piqa/all.jsonl'],
  ])('%s', async (_, path, other) => {
    file(path, piqa('one'), '', piqa('two', '1'));
    if (other) file(other, piqa('other'));
    file('boolq.jsonl', { wrong: true });
    expect(await contexts('piqa')).toEqual(['Question: one\nAnswer:', 'Question: two\nAnswer:']);
  });

  test('of several configurations the own one', async () => {
    const question = (text: string) => ({
      ...{ question: text, choices: { text: ['a', 'b'], label: ['A', 'B'] }, answerKey: 'B' },
    });
    file('ai2_arc/ARC-Easy/test.jsonl', question('easy'));
    file('ai2_arc/ARC-Challenge/test.jsonl', question('hard'));
    expect(await contexts('arc_easy')).toEqual(['Question: easy\nAnswer:']);
    expect(await contexts('arc_challenge')).toEqual(['Question: hard\nAnswer:']);
    file('gsm8k/main/test.jsonl', { question: 'q', answer: '#### 1' });
    file('gsm8k/socratic/test.jsonl', { question: 'other', answer: '#### 1' });
    expect((await asked('gsm8k', 0)).map(([request]) => request![0])).toEqual(['Question: q\nAnswer:']);
  });

  test('parts of a split one behind the other; a list in JSON, and a table', async () => {
    file('piqa/validation-00000-of-00002.json', JSON.stringify([piqa('one'), piqa('two')]));
    file('piqa/validation-00001-of-00002.csv', 'goal,sol1,sol2,label', '"three, or ""3""",a,b,1');
    expect(await contexts('piqa')).toEqual(
      ['one', 'two', 'three, or "3"'].map((goal) => `Question: ${goal}\nAnswer:`),
    );
  });

  test('MMLU as tables, with a row of headers and without', async () => {
    file('dev/anatomy_dev.csv', 'question,choice0,choice1,choice2,choice3,answer', 'Q1,a,b,c,d,3');
    file('test/anatomy_test.csv', 'Q2,a,b,c,d,B');
    const [[request]] = (await asked('mmlu_anatomy', 1)) as [string[][]];
    expect(request![0]).toBe(
      'The following are multiple choice questions (with answers) about anatomy.\n\n' +
        'Q1\nA. a\nB. b\nC. c\nD. d\nAnswer: D\n\nQ2\nA. a\nB. b\nC. c\nD. d\nAnswer:',
    );
  });
});

describe('what is wrong is said', () => {
  test.each<[string, string, (string | object)[], RegExp]>([
    [
      'a folder without it',
      'boolq.jsonl',
      [{}],
      /no validation split of piqa: expected a file such as piqa\/validation/,
    ],
    ['no file at all', 'readme.md', ['x'], /expected files that end in .jsonl/],
    ['a line that is no JSON', 'piqa.jsonl', [piqa('a'), '{'], /piqa.jsonl, line 2: .*expected JSON/],
    ['a line that is no object', 'piqa.jsonl', ['[1]'], /line 1: \[1\] is no object of JSON/],
    [
      'a missing field',
      'piqa.jsonl',
      [piqa('a'), '', { goal: 'x' }],
      /line 3: the field sol1 is nothing, expected a text \(piqa\)/,
    ],
    [
      'a label out of range',
      'piqa.jsonl',
      [piqa('a', 2)],
      /line 1: the field label is 2, expected a whole number from 0 to 1/,
    ],
    [
      'a short row',
      'piqa.csv',
      ['goal,sol1,sol2,label', 'a,b'],
      /piqa.csv, row 2: it has 2 fields, expected 4: goal, sol1/,
    ],
    ['no rows', 'piqa.jsonl', [''], /piqa: its files have no rows/],
    ['bytes that are no Parquet', 'piqa.parquet', ['PAR1'], /piqa.parquet: .*expected a Parquet file/],
    [
      'a copy of another kind',
      'piqa.jsonl',
      [{ query: 'dresser', choices: ['a'], gold: 0 }],
      /expected it to begin with 'Question: '/,
    ],
  ])('%s', async (_, path, lines, message) => {
    file(path, ...lines);
    await expect(loadDatasets('piqa', { folder })).rejects.toThrow(message);
  });

  test('more shots than there are', async () => {
    file('piqa/validation.jsonl', piqa('a'));
    file('piqa/train.jsonl', piqa('b'), piqa('c'), piqa('d'));
    expect(await asked('piqa', 2)).toHaveLength(1);
    await expect(loadDatasets('piqa', { folder, shots: 3 })).rejects.toThrow(
      /piqa: 3 shots, expected at most 2/,
    );
    await expect(loadDatasets('piqa', { folder: join(folder, 'no') })).rejects.toThrow(/expected a folder/);
  });
});

describe('examples that are drawn', () => {
  test('are different, the same for the same seed, and apart from others', async () => {
    file('piqa.jsonl', ...Array.from({ length: 12 }, (_, i) => piqa(`goal ${i % 10}`)));
    const task = drawnTask('piqa', await loadDatasets('piqa', { folder }));
    const first = task.examples(4, 7);
    expect(task.examples(4, 7)).toEqual(first);
    expect(task.examples(4, 8)).not.toEqual(first);
    const others = task.examples(6, 7, first);
    expect(new Set([...first, ...others].map(({ asks }) => asks)).size).toBe(10);
    expect(() => task.examples(7, 7, first)).toThrow(
      /7 examples were asked for, none of them among 4 others, but only 6/,
    );
  });

  test('have shots that do not make them another question', async () => {
    file('piqa/validation.jsonl', ...Array.from({ length: 5 }, (_, i) => piqa(`goal ${i}`)));
    file('piqa/train.jsonl', ...Array.from({ length: 9 }, (_, i) => piqa(`shot ${i}`)));
    const [bare, shot] = await Promise.all(
      [0, 2].map(async (shots) => drawnTask('piqa', await loadDatasets('piqa', { folder, shots }))),
    );
    expect(shot!.examples(2, 7, bare!.examples(3, 7))).toHaveLength(2);
    expect(requestsOf(shot!.examples(1, 7)[0]!)[0]![0]).toMatch(
      /^(Question: shot \d\nAnswer: a\n\n){2}Question: goal/,
    );
  });
});

test('groups are made of sets, and every name has a line for people', () => {
  expect([...GROUPS].map(([name, sets]) => [name, sets.length])).toEqual([
    ...[
      ['mmlu', 57],
      ['mmlu_stem', 19],
      ['mmlu_other', 13],
      ['mmlu_social_sciences', 12],
      ['mmlu_humanities', 13],
    ],
  ]);
  expect(descriptionsOf('mmlu_stem')!.map(({ name }) => name)).toContain('mmlu_anatomy');
  expect(descriptionsOf('recall')).toBeUndefined();
  expect(publicTasks().every(({ about }) => about.length > 0)).toBe(true);
});

const shared = fileURLToPath(new URL('../../../../shared/data/eval', import.meta.url));

describe.skipIf(!existsSync(shared))('the shared sets (needs ../shared/data/eval)', () => {
  const first = async (name: string) => {
    const sets = await loadDatasets(name, { folder: shared, shots: 0 });
    const [example] = firstExamples(sets[0]!, 1);
    return {
      count: sets.reduce((sum, { documents }) => sum + documents.length, 0),
      requests: requestsOf(example!),
    };
  };

  // The ends of what the harness asks of the same questions in the Hub's files.
  test.each([
    [
      'arc_easy',
      2376,
      /^Question: Which statement best .* webs\?\nAnswer:$/,
      ' Sunlight is the source of energy for nearly all ecosystems.',
    ],
    [
      'arc_challenge',
      1172,
      /^Question: An astronomer .*rotation\?\nAnswer:$/,
      ' Planetary density will decrease.',
    ],
    [
      'piqa',
      1838,
      /^Question: How do I ready a guinea pig cage for it's new occupants\?\nAnswer:$/,
      / Provide .* strips, .*dish\.$/,
    ],
    [
      'boolq',
      3270,
      /^All biomass goes through .*petroleum than producing gasoline\.\nQuestion: does ethanol take more energy make that produces\?\nAnswer:$/,
      ' no',
    ],
    [
      'openbookqa',
      500,
      /^A person wants to start .* best way to save money is to$/,
      ' make more phone calls',
    ],
    [
      'winogrande',
      1267,
      /^Sarah was a much better surgeon than Maria so Sarah$/,
      ' always got the easier cases.',
    ],
    ['lambada_openai', 5153, /^In my palm is a clear stone.*, I don't care about$/s, ' signs'],
    [
      'hellaswag',
      1000,
      /^Pole vault: Pole vault is a sport where you run .* your body\. A few women$/,
      ' go down a rock and stop.',
    ],
    ['gsm8k', 1319, /^Question: Janet’s ducks.*market\?\nAnswer:$/, /^ Janet sells .*#### 18$/s],
    ['mmlu', 14_042, /^The following are .* about abstract algebra\.\n\nFind .*\nA\. .*\nAnswer:$/s, ' A'],
  ] as const)('%s: %i documents', async (name, count, context, answer) => {
    const found = await first(name);
    expect(found.count).toBe(count);
    expect(found.requests[0]![0]).toMatch(context);
    if (typeof answer === 'string') expect(found.requests[0]![1]).toBe(answer);
    else expect(found.requests[0]![1]).toMatch(answer);
  });
});
