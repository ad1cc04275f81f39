import { parseHTML } from 'linkedom';
import { expect, test } from 'vitest';
import { sampleConversion } from '../../../test/report/sample-conversion.ts';
import type { ConversionResult } from '../../search/conversion/result.ts';
import { renderConversionReport } from './report.ts';

const result = sampleConversion();
const page = (changed: Partial<ConversionResult> = {}) =>
  parseHTML(renderConversionReport({ ...result, ...changed })).document;
const sections = (document: ReturnType<typeof page>) =>
  [...document.querySelectorAll('main > section')].map(({ id }) => id);

test('the verdict first, then which heads look far, what they cost, and the comparison', () => {
  const document = page();
  expect(document.querySelector('h1')!.textContent).toBe(result.comparison!.verdicts[0]!.headline);
  expect(sections(document)).toEqual([
    ...['heads', 'curve', 'text', 'recall', 'tasks', 'cost', 'answers', 'settings'],
  ]);
  expect(sections(page({ comparison: null }))).toEqual(['heads', 'curve', 'settings']);
});

test('the first figure names the heads that look far, and has a cell for each', () => {
  const figure = page().querySelector('#heads')!;
  expect(figure.querySelector('h3')!.textContent).toMatch(
    /^Heads 2\.1, 1\.0 and \S+ look far: of 8 KV heads, 2 are left to see everything$/,
  );
  expect(figure.querySelectorAll('.panel')).toHaveLength(3);
  expect(figure.querySelectorAll('.panel:first-of-type rect').length).toBeGreaterThanOrEqual(8 + 2);
  // Of a gap of 3.9 nats.
  expect(figure.querySelector('figcaption')!.textContent).toContain(
    'head 2.1 brings back 51\u00a0% of the gap',
  );
});

test('what the whole model loses without a head is shown where it is known', () => {
  const { fromWindows } = result.reach.scores;
  const fromFull = fromWindows.map((score) => ({
    ...score,
    recall: [-score.recall[0]!, null],
    kl: -score.kl!,
  }));
  const reach = { ...result.reach, scores: { ...result.reach.scores, fromFull } };
  const figure = page({ reach }).querySelector('#heads')!;
  // Farther texts were not read for it.
  expect([...figure.querySelectorAll('h4')].map((title) => title.textContent)).toEqual([
    'told 64 to 256 tokens ago',
    'plain text',
  ]);
  expect(figure.querySelector('figcaption')!.textContent).toContain('head 2.1 loses 34\u00a0% of the gap');
  expect(figure.querySelector('.reading')!.textContent).toContain('this one alone a short window');
});

test('baselines of the same budget stand beside the chosen placement', () => {
  const figure = page().querySelector('#curve')!;
  const caption = figure.querySelector('figcaption')!.textContent!;
  expect(caption).toMatch(
    /^searched by KV head, 2\u00a0heads.*: 100\u00a0% found, text \+0\.020\. Beside it: /,
  );
  expect(caption).toContain('windows everywhere, 0\u00a0heads');
  expect(caption).toContain('whole layers, evenly spread, 2\u00a0heads');
  expect(caption).toContain('random heads, 2\u00a0heads');
});

test('ids are unique, nothing comes from elsewhere', () => {
  const document = page();
  const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  expect(renderConversionReport(result)).not.toMatch(/<script|src="http|url\(http/);
});
