/**
 * The figures and tables of docs/postnas.md, out of docs/nano/result.json: charts of the report as SVG files that follow
 * light and dark, and tables in place of those with the same first column.
 *
 *   npx tsx scripts/docs-figures.ts
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseHTML } from 'linkedom';
import { renderReport } from '../src/report/report.ts';
import { standalone } from '../src/report/standalone.ts';
import { readResult } from '../src/search/read-result.ts';
import type { Result } from '../src/search/result.ts';

const root = resolve(import.meta.dirname, '..');
export const PAGE = join(root, 'docs/postnas.md');
export const FIGURES = join(root, 'docs/nano/figures');

/** File by the id of a chart's description in the report. */
const CHARTS: Record<string, string> = {
  'heat-map.svg': 'heat-map-wide-description',
  'placement.svg': 'budget-curve-wide-description',
  'blocks.svg': 'blocks-wide-description',
  'dimensions.svg': 'pareto-wide-description',
  'cost.svg': 'throughput-state-description',
};

/** Columns of a table of the report, by its id. */
const TABLES: Record<string, readonly number[]> = {
  'final-table': [0, 1, 2, 3, 4],
  'blocks-table': [0, 4, 5, 6, 7, 8, 9, 10],
};

/** What the files should hold: charts by name, and the page with its tables. */
export function documentFigures(): { charts: Map<string, string>; page: string } {
  const result = readResult(join(root, 'docs/nano/result.json')) as Result;
  const { document } = parseHTML(renderReport(result));
  const charts = Object.entries(CHARTS).map(([file, id]): [string, string] => {
    const svg = document.querySelector(`[aria-describedby="${id}"]`);
    if (!svg) throw new Error(`the report has no chart ${id}`);
    return [file, standalone(svg.outerHTML)];
  });
  let page = readFileSync(PAGE, 'utf8');
  for (const [id, columns] of Object.entries(TABLES)) {
    const rows = [...document.querySelectorAll(`table[aria-labelledby="${id}"] tr`)].map((row) => {
      const cells = [...row.querySelectorAll('th, td')].map((cell) =>
        cell.textContent!.replaceAll('\u00a0', ' ').trim(),
      );
      return columns.map((column) => cells[column] ?? '');
    });
    const [head, ...body] = rows.map((cells) => `| ${cells.join(' | ')} |`);
    const table = [head, `|${columns.map(() => '---|').join('')}`, ...body].join('\n');
    // The page's table of the same first column.
    const place = new RegExp(`^\\| ${rows[0]![0]} \\|(.*\\n\\|)*.*$`, 'm');
    if (!place.test(page)) throw new Error(`${PAGE} has no table whose first column is ${rows[0]![0]}`);
    page = page.replace(place, () => table);
  }
  return { charts: new Map(charts), page };
}

if (process.argv[1] === import.meta.filename) {
  const { charts, page } = documentFigures();
  mkdirSync(FIGURES, { recursive: true });
  for (const [file, text] of charts) writeFileSync(join(FIGURES, file), text);
  writeFileSync(PAGE, page);
}
