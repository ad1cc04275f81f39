import { readdirSync, readFileSync } from 'node:fs';
import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config';
import { SkippedReporter } from './test/support/skipped-reporter.ts';

const at = (path: string) => new URL(path, import.meta.url).pathname;
const packageEntries = {
  'postnas/graph': at('src/graph/index.ts'),
  'postnas/mixers': at('src/mixers/index.ts'),
  'postnas/search': at('src/search/index.ts'),
};

/**
 * Tests that want a process of their own: what they replace, register or set would stay for the files after them, or the
 * memory that they measure would be that of the files before. Where the code of a test does not show it, its comment does.
 */
const ALONE =
  /vi\.(mock|resetModules)\(|registerMixer\(|process\.env\.\w+ = |memoryUsage\(|^\/\/ Isolated: /m;
const isolated = ['src', 'bench', 'test']
  .flatMap((root) =>
    readdirSync(at(root), { recursive: true, encoding: 'utf8' }).map((file) => `${root}/${file}`),
  )
  .filter((file) => file.endsWith('.test.ts') && ALONE.test(readFileSync(at(file), 'utf8')));

function project(name: string, include: string[], isolate = false): TestProjectInlineConfiguration {
  const exclude = ['test/extra/**', ...(isolate ? [] : isolated)];
  return {
    // Examples import the package by its name, as users do: here its source.
    resolve: { alias: packageEntries },
    test: { name, include, exclude, isolate, pool: 'forks', testTimeout: 300_000, hookTimeout: 300_000 },
  };
}

// Unit tests stand beside their source, cross-folder ones under test/. What needs a download, a browser or a driver lives
// under test/extra and has an npm script of its own.
export default defineConfig({
  test: {
    reporters: ['default', new SkippedReporter()],
    maxWorkers: 2,
    // In this order, that of their names: whole commands take longest, and what is last is to be short. A process loads the
    // sources once for all files of a project, and ends with it: that bounds its memory.
    projects: [
      project('across', ['test/**/*.test.ts']),
      project('isolated', isolated, true),
      project('units', ['src/**/*.test.ts', 'bench/**/*.test.ts']),
    ],
  },
});
