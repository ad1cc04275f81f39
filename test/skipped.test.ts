import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { skippedLines } from './support/skipped-reporter.ts';

test('what was skipped, by what it would have needed', () => {
  expect(skippedLines([])).toEqual([]);
  expect(
    skippedLines([
      { file: 'a.test.ts', name: 'stories (needs ../shared/data) > are told' },
      { file: 'b.test.ts', name: 'a GPU', note: 'a driver' },
      { file: 'c.test.ts', name: 'sets (needs ../shared/data) > are read' },
      { file: 'd.test.ts', name: 'for no reason' },
    ]),
  ).toEqual([
    '',
    ' 4 tests were skipped:',
    '   2 would need ../shared/data:',
    '     a.test.ts > stories (needs ../shared/data) > are told',
    '     c.test.ts > sets (needs ../shared/data) > are read',
    '   1 would need a driver:',
    '     b.test.ts > a GPU',
    '   1 would need something that their names do not say:',
    '     d.test.ts > for no reason',
    '',
  ]);
});

test('every test that may be skipped says what it needs', () => {
  const root = join(import.meta.dirname, '..');
  const files = ['src', 'test', 'bench'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true })
      .map((name) => join(folder, String(name)))
      .filter((name) => name.endsWith('.test.ts') && !name.startsWith(join('test', 'extra'))),
  );
  expect(files.length).toBeGreaterThan(100);
  const silent = files.flatMap((file) =>
    // The call with its condition, and the name that comes next.
    [
      ...readFileSync(join(root, file), 'utf8').matchAll(
        /\.(?:skipIf|runIf)\((?:[^()]|\([^()]*\))*\)\(\s*(.*)/g,
      ),
    ]
      .map(([, name]) => name!)
      .filter((name) => !name.includes('(needs '))
      .map((name) => `${file}: ${name}`),
  );
  expect(silent).toEqual([]);
});
