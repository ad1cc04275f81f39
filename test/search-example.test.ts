/** examples/search.mjs as a user runs it: the built package, by its name, on the embedded model. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { readResult } from '../src/search/read-result.ts';
// It builds what is older than its source.
import { root } from './support/command.ts';

test('it searches, distils and writes', async () => {
  const out = mkdtempSync(join(tmpdir(), 'postnas-example-'));
  try {
    const node = promisify(execFile);
    const { stdout, stderr } = await node(process.execPath, ['examples/search.mjs', out], { cwd: root });
    expect(stdout).toMatch(
      /^full attention stays in layers \d and \d\nrecall: 1 before, [\d.]+ after\n.*\S.*\n$/s,
    );
    expect(stderr).toMatch(/^\d+ of 2048 tokens\n/);
    expect(readResult(join(out, 'distilled/result.json'))).toMatchObject({
      hybrid: join(out, 'distilled/hybrid'),
    });
  } finally {
    rmSync(out, { recursive: true });
  }
});

test('the guide shows it as it is', () => {
  const example = readFileSync(join(root, 'examples/search.mjs'), 'utf8');
  const guide = readFileSync(join(root, 'docs/guides/search.md'), 'utf8');
  // From its imports on: the comment before them is the guide's own text.
  expect(guide).toContain(`\`\`\`js\n${example.slice(example.indexOf('import '))}\`\`\``);
});
