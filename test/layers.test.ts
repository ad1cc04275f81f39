/**
 * Imports point down: what a folder of src may know of the others. The order is that of the design; a new folder has
 * to be given its place here.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, posix, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';

/** From the bottom to the top; folders of one layer do not know each other. */
const LAYERS = [
  ['util'],
  ['graph'],
  ['mixers'],
  ['model'],
  ['train', 'runtime'],
  ['search', 'tasks', 'export'],
  ['server', 'report'],
  ['cli'],
];

/** Allowed within a layer: a search judges by tasks. */
const SIDEWAYS = [['search', 'tasks']];

/** A report reads results and runs no search, so that it loads without an engine. */
const TYPES_ONLY = [['report', 'search']];

interface Import {
  specifier: string;
  line: number;
  typeOnly: boolean;
}

const FORMS = [
  /^[ \t]*(?:import|export)\s+(?<clause>[^'"`;()]*?)\s*from\s*['"](?<specifier>\.[^'"]*)['"]/gm,
  /^[ \t]*import\s*['"](?<specifier>\.[^'"]*)['"]/gm,
  /^(?![ \t]*(?:\*|\/\/)).*?\bimport\(\s*['"](?<specifier>\.[^'"]*)['"]/gm,
];

/** The relative imports of a source text. */
function importsOf(source: string): Import[] {
  return FORMS.flatMap((form) =>
    [...source.matchAll(form)].map(({ index, groups }) => {
      const { specifier = '', clause = '' } = groups!;
      const names = /^\{(.*)\}$/s.exec(clause.trim())?.[1]?.split(',') ?? [];
      const named = names.map((name) => name.trim()).filter(Boolean);
      const typeOnly =
        /^type\s/.test(clause) || (named.length > 0 && named.every((name) => name.startsWith('type ')));
      return { specifier, line: source.slice(0, index).split('\n').length, typeOnly };
    }),
  );
}

const rankOf = (folder: string) => LAYERS.findIndex((layer) => layer.includes(folder));
const has = (pairs: string[][], from: string, to: string) => pairs.some(([a, b]) => a === from && b === to);

/** What is wrong with the imports of a file, as 'src/x/y.ts:3 ...'; `path` is relative to the project. */
function violations(path: string, source: string): string[] {
  const folderOf = (file: string) => /^src\/([^/]+)\//.exec(file)?.[1];
  const from = folderOf(path);
  // What stands in src itself is the package's front door.
  if (from === undefined) return [];
  if (rankOf(from) < 0) return [`${path}: the folder ${from} has no place in the layers`];
  return importsOf(source).flatMap(({ specifier, line, typeOnly }) => {
    const target = posix.join(posix.dirname(path), specifier);
    const to = folderOf(target);
    const wrong = (why: string) => [`${path}:${line} imports ${specifier}: ${why}`];
    if (to === from) return [];
    if (to === undefined) {
      if (target.startsWith('src/')) return wrong(`${from} does not know the package's front door`);
      // Tests may use what stands in test/.
      return path.endsWith('.test.ts') ? [] : wrong('outside of src');
    }
    if (rankOf(to) < 0) return wrong(`the folder ${to} has no place in the layers`);
    if (has(TYPES_ONLY, from, to)) return typeOnly ? [] : wrong(`${from} may know only types of ${to}`);
    if (rankOf(to) < rankOf(from) || has(SIDEWAYS, from, to)) return [];
    return wrong(`${from} does not know ${to}`);
  });
}

const root = resolve(import.meta.dirname, '..');

describe('src', () => {
  const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => posix.join('src', ...file.split(/[\\/]/)));

  test('imports point down', () => {
    expect(files.length).toBeGreaterThan(100);
    expect(files.flatMap((file) => violations(file, readFileSync(join(root, file), 'utf8')))).toEqual([]);
  });

  test('every import is seen', () => {
    const seen = files.flatMap((file) => importsOf(readFileSync(join(root, file), 'utf8')));
    // A line that ends an import of a relative path, however the import is written.
    const ends = files.flatMap((file) => [
      ...readFileSync(join(root, file), 'utf8').matchAll(/^(?:import|export|\}).*\bfrom '\.[^']*';$/gm),
    ]);
    expect(ends.length).toBeGreaterThan(300);
    expect(seen.length).toBeGreaterThanOrEqual(ends.length);
  });
});

describe('a violation is found', () => {
  test.each([
    ['src/graph/a.ts', "import { x } from '../model/b.ts';", 'graph does not know model'],
    ['src/train/a.ts', "import { x } from '../runtime/b.ts';", 'train does not know runtime'],
    ['src/tasks/a.ts', "import type { X } from '../search/b.ts';", 'tasks does not know search'],
    ['src/server/a.ts', "export * from '../report/b.ts';", 'server does not know report'],
    ['src/util/a.ts', "import '../graph/index.ts';", 'util does not know graph'],
    ['src/mixers/a.ts', "const x = await import('../cli/main.ts');", 'mixers does not know cli'],
    [
      'src/mixers/deep/a.ts',
      "import {\n  a,\n  type B,\n} from '../../train/b.ts';",
      'mixers does not know train',
    ],
    [
      'src/report/a.ts',
      "import { type A, b } from '../search/b.ts';",
      'report may know only types of search',
    ],
    ['src/model/a.ts', "import { x } from '../../test/support/b.ts';", 'outside of src'],
    ['src/model/a.ts', "import { x } from '../index.ts';", "model does not know the package's front door"],
    ['src/model/a.ts', "import { x } from '../new/b.ts';", 'the folder new has no place in the layers'],
  ])('%s: %s', (path, source, why) => {
    const specifier = /'(.*)'/.exec(source)![1];
    // Two lines before, to see that the line is counted.
    expect(violations(path, `/** import('./x') */\n\n${source}\n`)).toEqual([
      `${path}:3 imports ${specifier}: ${why}`,
    ]);
  });

  test('and what is right is not', () => {
    const right: [string, string][] = [
      ['src/search/a.ts', "import { x } from '../tasks/b.ts';"],
      [
        'src/report/a.ts',
        "import type { X } from '../search/b.ts';\nimport { type Y } from '../search/c.ts';",
      ],
      ['src/model/a.test.ts', "import { x } from '../../test/support/b.ts';"],
      ['src/model/a.ts', "import { x } from './b.ts';\nimport { y } from 'node:fs';"],
      ['src/index.ts', "export { x } from './cli/main.ts';"],
      ['src/graph/a.ts', " * import('../model/b.ts')\n// import { x } from '../model/b.ts'"],
    ];
    for (const [path, source] of right) expect(violations(path, source)).toEqual([]);
  });

  test('a folder without a place', () => {
    expect(violations('src/new/a.ts', '')).toEqual([
      'src/new/a.ts: the folder new has no place in the layers',
    ]);
  });
});
