import { describe, expect, test } from 'vitest';
import { idMistakes, markupMistakes, parsePage } from '../../test/report/markup.ts';
import type { BenchResult } from '../runtime/bench/result.ts';
import { renderBenchReport } from './bench-report.ts';

/** As `postnas bench` leaves it, with invented rates. */
function sample(model: string, architecture: string, { fill = false, batches = [1] } = {}): BenchResult {
  const full = [...architecture].filter((letter) => letter === 'A').length;
  const rows = [128, 4096, 65_536].flatMap((context) =>
    batches.map((batch) => ({
      context,
      batch,
      prefillTokensPerSecond: fill ? null : 400,
      firstTokenSeconds: fill ? null : context / 400,
      prefillRounds: fill ? 0 : 3,
      decodeTokensPerSecond: (batch * 1e5) / (1000 + full * context),
      stateBytes: 1e5 + full * context * 1024,
      formulaBytes: 1e5 + full * context * 1024,
      peakBytes: 1e9,
    })),
  );
  const shared = {
    created: '2026-05-06T07:08:09.000Z',
    processor: 'Invented CPU 3000',
    dtype: 'q8',
    threads: 2,
  };
  return {
    format: 'postnas-bench-1',
    ...{ model, architecture, ...shared, tokens: 16, rounds: 3, fill, leftOut: [131_072], rows },
    throughput: {
      ...{ memory: 8e9, context: 65_536, weightBytes: 1e8, stateBytes: 3e8, batch: 26, refused: null },
      measured: { prefillTokensPerSecond: 500, decodeTokensPerSecond: 60, iterations: 7, peakBytes: 1e9 },
    },
  };
}

const hybrid = sample('runs/a/hybrid', 'JJAJ');
const base = sample('models/base', 'AAAA');

describe.each<[string, BenchResult[]]>([
  ['one model', [hybrid]],
  ['a hybrid beside its base', [hybrid, base]],
  ['several batches, states drawn', [sample('x', 'DDDA', { fill: true, batches: [1, 8] })]],
  ['one model twice', [base, { ...base, dtype: 'f32' }]],
])('%s', (_, results) => {
  const page = renderBenchReport(results);

  test('is well-formed, whole, and needs nothing from elsewhere', () => {
    expect(markupMistakes(page)).toEqual([]);
    expect(idMistakes(page)).toEqual([]);
    const visible = page.replace(/<style>[\s\S]*?<\/style>|href="data:[^"]*"/g, '');
    expect(visible).not.toMatch(/undefined|NaN|Infinity|\[object|null/);
    expect(page).not.toMatch(/\b(?:https?:)?\/\/(?!www\.w3\.org)|<script/);
  });

  test('the data behind the figure is what was measured', () => {
    const { table } = parsePage(page);
    const measured = table('bench-data').slice(1);
    const rows = results.flatMap((result) =>
      [...result.rows].sort((a, b) => a.batch - b.batch || a.context - b.context),
    );
    expect(measured.map((row) => [row[1], row[2], row[5], row[6]])).toEqual(
      rows.map((row) => [row.context, row.batch, row.decodeTokensPerSecond, row.stateBytes]),
    );
  });
});

test('opens with the answer: of two models the first against the second at the longest text', () => {
  const { text } = parsePage(renderBenchReport([hybrid, base]));
  const times = (1000 + 4 * 65_536) / (1000 + 65_536);
  expect(text('h1')).toBe(
    `After 65,536 tokens a/hybrid decodes ${times.toFixed(2)} times as fast as models/base`,
  );
  expect(text('#bench h3')).toMatch(
    /^At 65,536 tokens a\/hybrid keeps 0\.25 times the bytes of models\/base$/,
  );
});

test('what was not measured is not drawn', () => {
  const { document } = parsePage(renderBenchReport([sample('x', 'DDDA', { fill: true })]));
  const panels = [...document.querySelectorAll('#bench h4')].map((title) => title.textContent);
  expect(panels).toEqual(['Writing tokens per second', 'State of a sequence lower is better']);
});

test('models of one name are told apart', () => {
  const { table } = parsePage(renderBenchReport([base, { ...base, dtype: 'f32' }]));
  expect(
    table('settings-table')
      .slice(1)
      .map(([name]) => name),
  ).toEqual(['models/base (AAAA, q8)', 'models/base (AAAA, f32)']);
});
