import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GROUPS } from '../tasks/datasets/sets.ts';
import { type Evaluation, evaluate } from './evaluate.ts';
import { exampleText } from './evaluation/show.ts';

const model = fileURLToPath(new URL('../../models/base', import.meta.url));
let folder: string;
let dataDir: string;

const lines = (...rows: object[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'postnas-eval-'));
  dataDir = join(folder, 'data');
  mkdirSync(join(dataDir, 'gsm8k'), { recursive: true });
  mkdirSync(join(dataDir, 'test'));
  writeFileSync(
    join(dataDir, 'piqa.jsonl'),
    lines(...[0, 1, 0].map((label, i) => ({ goal: `${i}`, sol1: 'red', sol2: 'in the garden', label }))),
  );
  const sums = [1, 2].map((n) => ({ question: `${n} + ${n}?`, answer: `#### ${2 * n}` }));
  for (const split of ['train', 'test'])
    writeFileSync(join(dataDir, 'gsm8k', `${split}.jsonl`), lines(...sums));
  writeFileSync(
    join(dataDir, 'winogrande.jsonl'),
    lines({ sentence: 'A or B, _ won', option1: 'A', option2: 'B', answer: '2' }),
  );
  for (const name of GROUPS.get('mmlu_stem')!) {
    const subject = name.slice('mmlu_'.length);
    writeFileSync(join(dataDir, 'test', `${subject}_test.csv`), 'Which?,a,b,c,d,A\nWho?,a,b,c,d,D\n');
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('public, generated and world tasks', () => {
  let found: Evaluation;
  const out = () => join(folder, 'out');
  const settings = () => ({
    ...{ model, dataDir, out: out(), logSamples: true, threads: 1, seed: 3 },
    tasks: ['piqa', 'winogrande', 'gsm8k', 'needle@96:loss:2', 'recall:accuracy:4'],
    shots: 1,
  });
  beforeAll(async () => {
    writeFileSync(
      join(dataDir, 'piqa_train.jsonl'),
      lines(...['x', 'y', 'z'].map((goal) => ({ goal, sol1: 'a', sol2: 'b', label: 1 }))),
    );
    writeFileSync(
      join(dataDir, 'winogrande_train.jsonl'),
      lines(
        ...['Up', 'Down', 'In'].map((word) => ({
          sentence: `${word} _`,
          option1: 'C',
          option2: 'D',
          answer: '1',
        })),
      ),
    );
    found = await evaluate(settings());
  });

  test('have the fields of lm-evaluation-harness', () => {
    expect(Object.keys(found.results)).toEqual(['piqa', 'winogrande', 'gsm8k', 'needle@96', 'recall']);
    const { piqa, gsm8k, recall, winogrande } = found.results as Record<string, Record<string, number>>;
    for (const key of ['acc', 'acc_norm', 'gold_loss']) {
      expect(piqa![`${key},none`]).toBeTypeOf('number');
      expect(piqa![`${key}_stderr,none`]).toBeTypeOf('number');
    }
    expect(winogrande).not.toHaveProperty('acc_norm,none');
    expect(winogrande!['acc_stderr,none']).toBe('N/A');
    expect(gsm8k).toHaveProperty('exact_match,flexible-extract');
    expect(gsm8k).toHaveProperty('exact_match,strict-match');
    expect(recall!['acc,none']).toBe(found.scores.at(-1)!.accuracy);
    expect(found['n-shot']).toEqual({ piqa: 1, winogrande: 1, gsm8k: 1, 'needle@96': 0, recall: 0 });
    expect(found['n-samples'].piqa).toEqual({ original: 3, effective: 3 });
    expect(found.versions).toEqual({ piqa: 1, winogrande: 1, gsm8k: 3 });
    expect(found.higher_is_better.piqa).toMatchObject({ acc: true, gold_loss: false });
    expect(found.config).toMatchObject({ model, fewshot_seed: 3, num_fewshot: 1, limit: null });
    expect(found.configs.piqa).toMatchObject({ dataset_path: 'baber/piqa', output_type: 'multiple_choice' });
    expect(JSON.parse(readFileSync(join(out(), 'results.json'), 'utf8'))).toEqual(
      JSON.parse(JSON.stringify(found)),
    );
  });

  test('stand in a table', () => {
    const [header, rule, ...rows] = found.table.split('\n');
    expect(header).toMatch(
      /^\|Tasks +\|Version\|Filter +\|n-shot\|Metric +\| +\| *Value\| +\| *Stderr\|95 % interval +\|$/,
    );
    expect(rule).toMatch(/^\|-+\|-+:\|/);
    expect(rows[0]).toMatch(/^\|piqa +\| +1\|none +\| +1\|acc +\|↑ +\|/);
    expect(new Set(rows.map((row) => row.length))).toEqual(new Set([header!.length]));
  });

  test('leave log-likelihoods of every document', () => {
    expect(readdirSync(out()).sort()).toEqual(
      [
        'kept',
        'results.json',
        ...['gsm8k', 'piqa', 'winogrande'].map((name) => `samples_${name}.jsonl`),
      ].sort(),
    );
    const samples = (name: string) =>
      readFileSync(join(out(), `samples_${name}.jsonl`), 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
    const [first, second] = samples('piqa');
    expect(first).toMatchObject({
      ...{ doc_id: 0, target: '0', filter: 'none', metrics: ['acc', 'acc_norm', 'gold_loss'] },
      doc: { goal: '0', sol1: 'red', sol2: 'in the garden', label: 0 },
    });
    expect(first.arguments.gen_args_1).toEqual({
      ...{
        arg_0: expect.stringMatching(/^Question: \w\nAnswer: b\n\nQuestion: 0\nAnswer:$/),
        arg_1: ' in the garden',
      },
    });
    expect(first.resps).toEqual(first.filtered_resps.map((response: unknown) => [response]));
    expect(-Number(first.filtered_resps[0][0])).toBe(first.gold_loss);
    expect(['True', 'False']).toContain(first.filtered_resps[0][1]);
    const right = Number(second.filtered_resps[1][0]) > Number(second.filtered_resps[0][0]);
    expect(second.acc).toBe(Number(right));
    expect(samples('gsm8k').map(({ doc_id, filter }) => [doc_id, filter])).toEqual(
      [0, 1].flatMap((id) => [
        [id, 'flexible-extract'],
        [id, 'strict-match'],
      ]),
    );
    expect(samples('gsm8k')[0].arguments.gen_args_0.arg_0).toMatch(/Question: \d \+ \d\?\nAnswer:$/);
    expect(samples('winogrande')[0].arguments.gen_args_0.arg_0).toMatch(/^\w+ C \n\nA or B, A$/);
  });

  test('are not computed again, and other settings are refused', async () => {
    const began = performance.now();
    const again = await evaluate(settings());
    expect(again).toEqual(found);
    expect(performance.now() - began).toBeLessThan(60_000);
    await expect(evaluate({ ...settings(), seed: 4 })).rejects.toThrow(/saved by a run with other settings/);
    await expect(evaluate({ ...settings(), dtype: 'q8' })).rejects.toThrow(/dtype: "as stored" -> "q8"/);
  });
});

test('the first documents of each set; parts of MMLU as one', async () => {
  const found = await evaluate({ model, dataDir, tasks: ['mmlu_stem'], limit: 1, threads: 1 });
  expect(Object.keys(found.results)).toHaveLength(20);
  expect(found.groups!.mmlu_stem).toEqual(found.results.mmlu_stem);
  expect(found.group_subtasks!.mmlu_stem).toHaveLength(19);
  expect(found['n-samples'].mmlu_anatomy).toEqual({ original: 2, effective: 1 });
  const accuracies = found.scores.map(({ accuracy }) => accuracy);
  expect(found.results.mmlu_stem!['acc,none']).toBeCloseTo(accuracies.reduce((a, b) => a + b) / 19, 12);
});

test('so many examples of every task that does not say', async () => {
  const tasks = ['mmlu_anatomy', 'piqa:accuracy:2', 'recall'];
  const found = await evaluate({ model, dataDir, tasks, examples: 1, threads: 1 });
  expect(found.scores.map(({ name, examples }) => [name, examples])).toEqual([
    ['mmlu_anatomy', 1],
    ['piqa', 2],
    ['recall', 1],
  ]);
});

test('all of a text, by words and bytes', async () => {
  const heldOut = join(folder, 'text.txt');
  writeFileSync(heldOut, 'Ann has the key. Bob has the map. '.repeat(9));
  const settings = { model, heldOut, tasks: ['perplexity'], threads: 1 };
  const [whole, windows] = [await evaluate(settings), await evaluate({ ...settings, maxLength: 16 })];
  const { perplexity } = whole.results as Record<string, Record<string, number>>;
  const bytes = 9 * 'Ann has the key. Bob has the map. '.length;
  expect(perplexity!['bits_per_byte,none']).toBeCloseTo(whole.scores[0]!.goldLoss / bytes / Math.LN2, 12);
  expect(windows.scores[0]!.goldLoss).toBeGreaterThan(whole.scores[0]!.goldLoss);
  await expect(evaluate({ model, tasks: ['perplexity'] })).rejects.toThrow('needs --held-out FILE');
});

test.each([
  [{ limit: 0 }, /limit is 0, expected a whole number of at least 1/],
  [{ shots: -1 }, /shots is -1, expected a whole number of at least 0/],
  [{ seed: 0.5 }, /seed is 0.5/],
  [{ logSamples: true }, /--log-samples writes into the folder of --out/],
  [{ tasks: ['recall:accuracy:2', 'recall:loss:3'] }, /the task recall is there twice, expected each once/],
  [{ tasks: ['needle@600'], examples: 1 }, /the task needle@600: rows of \d+ tokens, expected at most 513/],
  [{ dataDir: '/no/such/folder' }, /\/no\/such\/folder: .*expected a folder with data sets/],
])('%j is refused', async (settings, message) => {
  await expect(evaluate({ model, tasks: ['piqa'], ...settings })).rejects.toThrow(message);
});

test('examples as text', async () => {
  expect(await exampleText('piqa', model, { folder: dataDir })).toBe(
    '--- context:\nQuestion: 0\nAnswer:\n--- answer 1 (right):\n red\n--- answer 2:\n in the garden',
  );
  expect(await exampleText('winogrande', model, { folder: dataDir })).toBe(
    '--- context 1:\nA or B, A\n--- context 2 (right):\nA or B, B\n--- goes on:\n won',
  );
  expect(await exampleText('passkey@100', model)).toMatch(/pass key is \d+.*\n--- answer:\n \d+$/s);
  await expect(exampleText('chess', model)).rejects.toThrow(/unknown task 'chess'/);
});
