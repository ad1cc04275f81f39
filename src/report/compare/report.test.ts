import { parseHTML } from 'linkedom';
import { expect, test } from 'vitest';
import { sampleComparison } from '../../../test/report/sample-comparison.ts';
import { renderCompareReport } from './report.ts';

const result = sampleComparison({ change: 0.05, recall: { 512: 1, 1024: 0.4 }, bytes: 1e6 }, { change: 0.1 });
const markup = renderCompareReport(result);
const { document } = parseHTML(markup);
const text = (selector: string) => document.querySelector(selector)?.textContent ?? '';

test('the verdict comes first, then every part', () => {
  expect(text('h1')).toBe(result.verdicts[0]!.headline);
  expect([...document.querySelectorAll('main > section')].map(({ id }) => id)).toEqual([
    ...['text', 'recall', 'tasks', 'cost', 'answers', 'settings'],
  ]);
  for (const point of result.verdicts[0]!.points) expect(text('.points')).toContain(point.text);
});

test('a map for each model and kind, with figures in its cells and what they are', () => {
  const charts = [...document.querySelectorAll('#recall .panel')];
  expect(charts.map((chart) => chart.querySelector('h4')!.textContent)).toEqual(
    ['one number', 'one of five numbers'].flatMap((kind) =>
      result.models.map(({ name }) => `${name} ${kind}`),
    ),
  );
  const hybrid = charts[1]!;
  expect(hybrid.querySelector('desc')!.textContent).toContain('hybrid, 1024 tokens, at 25\u00a0%: 8 of 20');
  expect(hybrid.innerHTML).toContain('var(--score-4)');
  expect(hybrid.innerHTML).toContain('var(--score-9)');
});

test('every number is in a table too, thresholds included, and names are escaped', () => {
  expect(text('#text-table + .scroll')).toContain('+0.050 ± 0.010');
  expect(text('#thresholds-table + .scroll')).toContain('0.95');
  expect(text('#answers-table + .scroll')).toContain('An answer of <hybrid> & others');
  expect(markup).not.toContain('<hybrid>');
  expect(text('#settings')).toContain('a note.');
  expect(text('pre')).toBe(result.command!);
});

test('it needs nothing from elsewhere and no script', () => {
  expect(markup).not.toMatch(/<script|src="http|url\(http/);
  expect(new Set([...document.querySelectorAll('[id]')].map(({ id }) => id)).size).toBe(
    document.querySelectorAll('[id]').length,
  );
});

test('what was not measured has no section', () => {
  const models = result.models.map((model) => ({ ...model, recall: [], tasks: [], speed: [], answers: [] }));
  const page = renderCompareReport({ ...result, prompts: [], models });
  const sections = [...parseHTML(page).document.querySelectorAll('main > section')].map(({ id }) => id);
  expect(sections).toEqual(['text', 'settings']);
});
