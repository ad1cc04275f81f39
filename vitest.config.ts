import { defineConfig } from 'vitest/config';

// Unit tests stand beside their source, cross-folder ones under test/. What needs a download, a browser or a
// driver lives under test/extra and has an npm script of its own.
export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'bench/**/*.test.ts', 'test/**/*.test.ts'],
    exclude: ['test/extra/**', 'node_modules/**'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});
