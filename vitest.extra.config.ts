import { defineConfig } from 'vitest/config';

// What needs a download, a browser or a driver; each folder of test/extra has an npm script that provides it.
export default defineConfig({
  test: {
    include: ['test/extra/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 1,
    testTimeout: 600_000,
    hookTimeout: 600_000,
  },
});
