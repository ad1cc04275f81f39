import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { parseCsv } from './csv.ts';
import { evaluationTasks, hellaswagTask, jsonLinesTask, mmluTask } from './datasets.ts';
import { planExamples } from './harness.ts';
import type { Encode } from './task.ts';

const folder = mkdtempSync(join(tmpdir(), 'datasets-'));
afterAll(() => rmSync(folder, { recursive: true }));

const file = (name: string, ...lines: unknown[]) => {
  const path = join(folder, name);
  writeFileSync(
    path,
    lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'),
  );
  return path;
};

const encode: Encode = (text) => [...(text.match(/ ?\w+|./gs) ?? [])].map((piece) => piece.length);

describe('evaluation sets', () => {
  it('reads the three shapes of llm-foundry', () => {
    const path = file(
      'shapes.jsonl',
      { query: 'Q', choices: ['x', 'y'], gold: 1 },
      { context: 'C', continuation: 'z' },
      { context_options: ['a', 'b'], continuation: 'c', gold: 0 },
      '',
    );
    const task = jsonLinesTask('shapes', path, '\nAnswer: ');
    expect(task.examples(10, 1)).toHaveLength(3);
    expect(task.examples(10, 1)).toEqual(
      expect.arrayContaining([
        { context: 'Q\nAnswer: ', options: ['x', 'y'], gold: 1 },
        { context: 'C\nAnswer: ', answer: 'z' },
        { contexts: ['a\nAnswer: ', 'b\nAnswer: '], continuation: 'c', gold: 0 },
      ]),
    );
  });

  it.each([
    ['{', 'line 2'],
    ['null', 'line 2'],
    [{ query: 'Q', choices: ['x'], gold: 1 }, 'line 2'],
    [{ context: 'C' }, 'line 2'],
  ])('names the line that is of no shape: %j', (line, message) => {
    const path = file('bad.jsonl', { context: 'C', continuation: 'z' }, line);
    expect(() => jsonLinesTask('bad', path).examples(1, 1)).toThrow(message);
  });

  it('cleans HellaSwag', () => {
    const path = file('h.jsonl', {
      activity_label: 'Cooking',
      ctx_a: 'How to boil [title] Take a pot. [step] Fill',
      ctx_b: 'then It',
      endings: ['boils [x] over', 'stops'],
      label: 0,
    });
    expect(hellaswagTask(path).examples(1, 1)).toEqual([
      {
        context: 'Cooking: How to boil. Take a pot. Fill Then it',
        options: [' boils over', ' stops'],
        gold: 0,
      },
    ]);
  });

  it('parses quoted fields', () => {
    expect(parseCsv('a,"b, ""c""\nd",\r\n,e\n')).toEqual([
      ['a', 'b, "c"\nd', ''],
      ['', 'e'],
    ]);
    expect(parseCsv('')).toEqual([]);
    expect(parseCsv('a,')).toEqual([['a', '']]);
  });

  it('names the row of a CSV that is not as expected', () => {
    expect(() => mmluTask(folder).examples(1, 1)).toThrow();
    expect(() => evaluationTasks(folder)).toThrow('expected llm-foundry');
  });
});

const shared = fileURLToPath(new URL('../../../shared/data/eval', import.meta.url));

describe.skipIf(!existsSync(shared))('the shared evaluation sets (needs ../shared/data/eval)', () => {
  it('are all read, and every example can be planned', () => {
    const tasks = evaluationTasks(shared);
    const counts = Object.fromEntries(tasks.map((task) => [task.name, task.examples(1e9, 1).length]));
    expect(counts).toEqual({
      arc_challenge: 1172,
      arc_easy: 2376,
      bigbench_dyck_languages: 1000,
      boolq: 3270,
      lambada_openai: 5153,
      openbook_qa: 500,
      piqa: 1838,
      simple_arithmetic_nospaces: 1000,
      winogrande: 1267,
      hellaswag: 1000,
      mmlu: expect.any(Number),
    });
    expect(counts.mmlu).toBeGreaterThan(14_000);
    for (const task of tasks) {
      expect(planExamples(task.name, task.examples(20, 2), encode).examples).toHaveLength(20);
      expect(task.examples(20, 2)).toEqual(task.examples(20, 2));
    }
  });
});
