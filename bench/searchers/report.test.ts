import { expect, test } from 'vitest';
import type { Cell } from './cells.ts';
import { costFigure } from './figure.ts';
import { type SearchersResult, searchersMarkdown } from './report.ts';
import { rowsOf } from './rows.ts';

const spent = { tokens: 12_345, trainedTokens: 2000, seconds: 7 };

function cell(searcher: string, seed: number, right: number, more: Partial<Cell> = {}): Cell {
  return { searcher, seed, budget: 2, placement: [], spent, quality: { right, kl: 0.5 }, ...more };
}

function result(cells: Cell[], known = true): SearchersResult {
  const quality = { right: 0.9, kl: 0 };
  const references = [1, 2].map((seed) => ({
    ...{ seed, parent: quality, none: { right: 0.3, kl: 1 } },
    best: known ? [{ budget: 2, placement: [1], quality }] : [],
  }));
  return {
    ...{ format: 'postnas-searchers-1', created: '2026-11-30T00:00:00.000Z' },
    settings: [
      {
        ...{
          name: 'windows',
          title: 'Windows',
          what: 'What is chosen.',
          command: 'npm run bench',
          cells,
          references,
        },
        machine: { processor: 'a CPU', cores: 2, node: 'v20', onnxruntime: '1.30.0' },
      },
    ],
  };
}

test('a row for each searcher, the best in front, what is not told apart from it in bold', () => {
  const page = searchersMarkdown(
    result([
      ...[cell('good', 1, 0.8), cell('good', 2, 0.82)],
      ...[cell('near', 1, 0.85), cell('near', 2, 0.7)],
      ...[cell('bad', 1, 0.3), cell('bad', 2, 0.321)],
    ]),
  );
  const table = page.split('\n').filter((line) => line.startsWith('| '));
  expect(table.map((row) => row.split(' | ')[0])).toEqual([
    ...['| searcher', '| ---', '| **good**', '| **near**', '| bad'],
  ]);
  expect(table[2]).toContain('| 81.0 ± 1.4 | 0.5000 | 9.0 |  | - | 12.3 K | 2.0 K | 7.0 |');
  expect(table[3]).toContain('undecided');
  expect(table[4]).toContain('| 31.1 ± 1.5 | 0.5000 | 59.0 |  | 49.9 ± 0.6 |');
  expect(page).toContain('Undecided (the 95 % interval of the paired differences holds 0): near.');
  expect(page).toContain('Behind: bad.');
  expect(page).toContain(
    '2 seeds; the parent 90.0 % right, all exchanged 30.0 %. Not computed yet: uniform; ',
  );
  expect(page).not.toContain('once-for-all, beam;');
});

test('with training, before and after it; no regret where the best is not known', () => {
  const page = searchersMarkdown(result([cell('a', 1, 0.5, { trained: { right: 0.75, kl: 0.1 } })], false));
  expect(page).toContain('| **a** | 1 | 75.0 | 50.0 | 0.1000 | - |');
  expect(page).not.toContain('| regret |');
});

test('the figure has every searcher, with what takes nothing at its left edge', () => {
  const cells = [cell('a', 1, 0.8), cell('uniform', 1, 0.4, { spent: { ...spent, seconds: 0 } })];
  const svg = costFigure(rowsOf(result(cells).settings[0]!, 2), { id: 'one', title: 'Two layers' });
  expect(svg).toMatch(/^<svg xmlns/);
  for (const text of ['>a<', '>uniform<', 'uniform: 40.0 % right, 0.0 s', 'Two layers'])
    expect(svg).toContain(text);
});
