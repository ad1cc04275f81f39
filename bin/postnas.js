#!/usr/bin/env node
/**
 * The `postnas` command. It stands in the repository, not in the build, so that npm finds it, executable, in a clone that
 * was not built yet; there it builds when the build is missing or older than the sources.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const built = join(root, 'dist/cli/main.js');
const source = join(root, 'src');

// A package from the registry has no sources: its build is what it is.
const fault = existsSync(source) && isOutdated() ? build() : undefined;
if (fault) {
  process.stderr.write(`postnas: ${fault}\n`);
  process.exitCode = 1;
} else {
  // Workers are started by this path: they are to run the same build, whatever happens to the sources meanwhile.
  process.argv[1] = built;
  await import('../dist/cli/main.js');
}

function isOutdated() {
  const made = statSync(built, { throwIfNoEntry: false })?.mtimeMs;
  if (made === undefined) return true;
  const files = readdirSync(source, { recursive: true, encoding: 'utf8' });
  return files.some((file) => file.endsWith('.ts') && statSync(join(source, file)).mtimeMs > made);
}

/** Builds beside the place of the build, so that one that fails leaves the one before. Returns what went wrong. */
function build() {
  const compiler = join(root, 'node_modules/typescript/bin/tsc');
  if (!existsSync(compiler)) {
    return 'it is not built, and its compiler is not installed: run `npm ci` in its folder, then this again';
  }
  process.stderr.write('building postnas from its sources, which takes a few seconds...\n');
  const fresh = join(root, `dist.${process.pid}`);
  const before = `${fresh}.before`;
  const args = [compiler, '-p', join(root, 'tsconfig.build.json'), '--outDir', fresh];
  const { status, error } = spawnSync(process.execPath, args, { stdio: ['ignore', 2, 2] });
  try {
    if (status !== 0) return `the build failed${error ? `: ${error.message}` : ''}`;
    if (existsSync(join(root, 'dist'))) renameSync(join(root, 'dist'), before);
    renameSync(fresh, join(root, 'dist'));
    return undefined;
  } catch (refused) {
    // Of two commands that were started at once the other one was first: its build is as good.
    return existsSync(built) ? undefined : `the build cannot be put in its place: ${refused.message}`;
  } finally {
    for (const folder of [fresh, before]) rmSync(folder, { recursive: true, force: true });
  }
}
