import { defineConfig } from 'vitest/config';
import { SkippedReporter } from './test/support/skipped-reporter.ts';

const at = (path: string) => new URL(path, import.meta.url).pathname;
const packageEntries = {
  'postnas/graph': at('src/graph/index.ts'),
  'postnas/mixers': at('src/mixers/index.ts'),
  'postnas/search': at('src/search/index.ts'),
};

// Unit tests stand beside their source, cross-folder ones under test/. What needs a download, a browser or a
// driver lives under test/extra and has an npm script of its own.
export default defineConfig({
  // Examples import the package by its name, as users do: here its source.
  resolve: { alias: packageEntries },
  test: {
    include: ['src/**/*.test.ts', 'bench/**/*.test.ts', 'test/**/*.test.ts'],
    exclude: ['test/extra/**', 'node_modules/**'],
    reporters: ['default', new SkippedReporter()],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});
