import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { documentFigures, FIGURES, PAGE } from '../../scripts/docs-figures.ts';
import { markupMistakes } from './markup.ts';

test('figures and tables of docs/postnas.md are those of docs/nano/result.json', () => {
  const { charts, page } = documentFigures();
  // If not: npx tsx scripts/docs-figures.ts
  expect(readFileSync(PAGE, 'utf8')).toBe(page);
  for (const [file, text] of charts) {
    expect(readFileSync(join(FIGURES, file), 'utf8'), file).toBe(text);
    expect(markupMistakes(text), file).toEqual([]);
    expect(page).toContain(`nano/figures/${file}`);
  }
});
