import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { sampleComparison } from '../../../test/report/sample-comparison.ts';
import { cardOf, writeCards } from './card.ts';

const dir = mkdtempSync(join(tmpdir(), 'postnas-card-'));
afterAll(() => rmSync(dir, { recursive: true }));

const result = sampleComparison({ change: 0.05 }, { change: 0.1 });
const about = { parent: 'org/parent', license: 'apache-2.0' };
const card = (before: string) => cardOf(before, result, 1, about);

test('a card from nothing: metadata of the Hub, the verdict, and the figures beside parent and baseline', () => {
  const text = card('');
  const [, metadata, body] = text.split(/^---$/m) as [string, string, string];
  expect(metadata).toMatch(/^license: apache-2.0$/m);
  expect(metadata).toMatch(/^base_model: org\/parent$/m);
  expect(metadata).toMatch(/^tags:\n {2}- postnas$/m);
  expect(metadata).toMatch(
    /^model-index:\n {2}- name: "hybrid"\n {4}results:\n {6}- task:\n {10}type: text-generation$/m,
  );
  expect(metadata).toMatch(
    / {8}dataset:\n {10}name: "arc_easy"\n {10}type: "arc_easy"\n {8}metrics:\n {10}- type: accuracy\n {12}value: 0.55/,
  );
  expect(body).toContain('# hybrid');
  expect(body).toContain(`**${result.verdicts[0]!.headline}.**`);
  expect(body).toMatch(/\| \| parent \| hybrid \| parent cut to windows of 100 \+ 4 tokens \|/);
  expect(body).toContain('| nats a token of text | 3.000 | 3.050 | 3.100 |');
});

test('what a user wrote stays, in front and behind; the section is replaced, and twice is as once', () => {
  const own = '---\nlicense: mit\ntags:\n  - mine\n---\n# My hybrid\n\nBefore.\n';
  const once = card(own);
  expect(once).toContain('license: mit');
  expect(once).not.toContain('apache-2.0');
  expect(once).not.toMatch(/^ {2}- postnas$/m);
  expect(once.match(/^# My hybrid$/gm)).toHaveLength(1);
  const edited = `${once}\nAfter.\n`;
  const other = cardOf(edited, sampleComparison({ change: 0.2 }), 1, about);
  expect(other).toContain('Before.');
  expect(other).toContain('After.');
  expect(other).toContain('3.200');
  expect(other).not.toContain('3.050');
  expect(other.match(/^license:/gm)).toHaveLength(1);
  expect(other.match(/^model-index:/gm)).toHaveLength(1);
  expect(cardOf(other, sampleComparison({ change: 0.2 }), 1, about)).toBe(other);
});

test('a text without metadata, and a section whose end was lost', () => {
  expect(card('Just text.\n')).toContain('Just text.\n\n<!-- postnas compare -->');
  const cut = card('').replace('<!-- end of postnas compare -->\n', '');
  expect(card(cut)).toBe(card(''));
  expect(card(`${cut}\n## Mine\n\nIt stays.\n`)).toBe(`${card('')}\n## Mine\n\nIt stays.\n`);
});

test('folders get one with the license of the parent; what is no folder here does not', () => {
  for (const name of ['parent', 'hybrid']) {
    mkdirSync(join(dir, name));
    writeFileSync(join(dir, name, 'config.json'), '{}');
  }
  writeFileSync(join(dir, 'parent/README.md'), '---\nlicense: bsd\n---\n');
  const hybrid = join(dir, 'hybrid');
  expect(writeCards(result, { parent: join(dir, 'parent'), hybrids: [hybrid] })).toEqual([
    { path: join(hybrid, 'README.md') },
  ]);
  const text = readFileSync(join(hybrid, 'README.md'), 'utf8');
  expect(text).toContain('license: bsd');
  // A folder is no name on the Hub.
  expect(text).not.toContain('base_model');
  expect(writeCards(result, { parent: hybrid, hybrids: [`${hybrid}/`] })).toEqual([]);
  expect(writeCards(result, { parent: 'org/parent', hybrids: ['org/hybrid'] })).toEqual([]);
});
