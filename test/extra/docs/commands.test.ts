/**
 * Every command of the README and of docs/ is run as a user would: the built package in a fresh folder, one folder per
 * page, its blocks in order. Stand-ins, such as a small model for a large one, are in plan.ts.
 */
import { execFileSync, spawn } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { blocksOf, commandsOf } from './blocks.ts';

const root = resolve(import.meta.dirname, '../../..');
/** Records of what was done, not instructions. */
const RECORDS = ['docs/LOG.md', 'docs/bench-peers.md'];
const pages = ['README.md', ...markdown('docs')].filter((page) => !RECORDS.includes(page));

function markdown(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md') && !file.startsWith('api'))
    .map((file) => join(folder, file))
    .sort();
}

describe.each(pages)('%s', (page) => {
  const blocks = blocksOf(readFileSync(join(root, page), 'utf8'), page);
  let folder: string;
  const background: number[] = [];
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'postnas-docs-'));
    for (const part of ['models', 'recipes', 'examples', 'docs']) {
      symlinkSync(join(root, part), join(folder, part));
    }
    // A recipe that takes seconds.
    symlinkSync(join(import.meta.dirname, 'short.json'), join(folder, 'short.json'));
    // The command's link is npm's own.
    writeFileSync(join(folder, 'package.json'), '{}\n');
    const install = ['install', '--silent', '--offline', '--ignore-scripts', '--no-audit', '--no-fund', root];
    execFileSync('npm', install, { cwd: folder });
  });
  afterAll(() => {
    // What a block left in the background is in its process group.
    for (const group of background) {
      try {
        process.kill(-group, 'SIGKILL');
      } catch {
        // It has ended.
      }
    }
    rmSync(folder, { recursive: true, force: true });
  });

  for (const block of blocks) {
    const { line, language, text, how } = block;
    const { file } = how ?? {};
    if (file) {
      test(`line ${line}: ${file}`, () => {
        mkdirSync(dirname(join(folder, file)), { recursive: true });
        writeFileSync(join(folder, file), `${text}\n`);
      });
    } else if (language === 'js' && !how?.elsewhere) {
      test(`line ${line}: ${text.split('\n')[0]}`, async () => {
        const script = `script-${line}.mjs`;
        writeFileSync(join(folder, script), `${commandsOf(block)}\n`);
        const { code, said } = await run(`node ${script}`, folder, background);
        expect({ code, said: code === 0 ? '' : said }).toEqual({ code: 0, said: '' });
      });
    } else if (language === 'sh' && !how?.elsewhere) {
      test(`line ${line}: ${text.split('\n')[0]}`, async () => {
        const { code, said } = await run(commandsOf(block), folder, background);
        expect({ code, said: code === 0 ? '' : said }).toEqual({ code: 0, said: '' });
      });
    } else {
      test(`line ${line}: is told why it is not run`, () => {
        // A tree of files or a sketch has no language; anything with one is run, or says where it is.
        if (language !== '' && language !== 'text') expect(how?.elsewhere ?? '').toMatch(/\w+ \w+/);
        const commands = language === '' && /^(npx|npm|postnas|curl|node) /m.test(text);
        expect(commands ? how?.elsewhere : 'told').toBeTruthy();
      });
    }
  }
  if (blocks.length === 0) test('has no commands', () => {});
});

/** Runs a block by bash, which stops at the first command that fails. */
function run(commands: string, cwd: string, background: number[]): Promise<{ code: number; said: string }> {
  return new Promise((done) => {
    const env = {
      ...process.env,
      PATH: `${join(root, 'node_modules/.bin')}:${process.env.PATH}`,
      CI: 'true',
    };
    const child = spawn('bash', ['-euo', 'pipefail', '-c', commands], { cwd, env, detached: true });
    background.push(child.pid!);
    let said = '';
    const hear = (text: Buffer) => {
      said = (said + text).slice(-3000);
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    // Not 'close': a server in the background keeps the pipes open.
    child.on('exit', (code) => done({ code: code ?? 1, said }));
  });
}
