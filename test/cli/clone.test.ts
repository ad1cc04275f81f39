/** `npx postnas` in a clone as a stranger has it: nothing built, and no link to the command but those that npm makes. */
import { execFile } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '../..');

/** As in a shell of its own, not in one that npm started; nothing is asked of the registry. */
const env = {
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('npm_'))),
  npm_config_offline: 'true',
};

function run(command: string, args: string[], cwd: string) {
  return new Promise<{ code: number; stdout: string; stderr: string }>((done) => {
    execFile(command, args, { cwd, env, maxBuffer: 2 ** 24 }, (error, stdout, stderr) =>
      done({ code: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });
}

/** What git has or would take of the working tree, with its modes. */
async function cloneInto(folder: string): Promise<void> {
  const { stdout } = await run('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], root);
  for (const file of stdout.split('\0').filter(Boolean)) {
    // A file that was removed but not yet committed is no part of it.
    if (existsSync(join(root, file))) cpSync(join(root, file), join(folder, file));
  }
}

let clone: string;
const npx = (...args: string[]) => run('npx', ['postnas', ...args], clone);
beforeAll(async () => {
  clone = mkdtempSync(join(tmpdir(), 'postnas-clone-'));
  await cloneInto(clone);
});
afterAll(() => rmSync(clone, { recursive: true }));

test('git keeps the command executable', async () => {
  const { stdout } = await run('git', ['ls-files', '-s', 'bin/postnas.js'], root);
  expect(stdout).toMatch(/^100755 /);
});

test('without the dependencies it says what to run', async () => {
  const { code, stdout, stderr } = await run(join(clone, 'bin/postnas.js'), ['--help'], clone);
  expect(stderr).toMatch(/^postnas: .*run `npm ci` in its folder, then this again\n$/);
  expect(stdout).toBe('');
  expect(code).toBe(1);
});

test('it builds once by itself', async () => {
  // What `npm ci` would install.
  symlinkSync(join(root, 'node_modules'), join(clone, 'node_modules'));
  const first = await npx('--help');
  expect(first.stderr).toMatch(/^building postnas from its sources/);
  expect(first.stdout).toMatch(/^Usage: postnas /);
  expect(first.code).toBe(0);

  const second = await npx('--version');
  expect(second).toMatchObject({ code: 0, stdout: '0.1.0\n', stderr: '' });
});

test('from another folder, into which npm installed it, and as the package', async () => {
  const elsewhere = mkdtempSync(join(tmpdir(), 'postnas-elsewhere-'));
  try {
    const install = ['install', '--offline', '--no-audit', '--no-fund', '--ignore-scripts', clone];
    expect(await run('npm', install, elsewhere)).toMatchObject({ code: 0 });
    const { code, stdout } = await run('npx', ['postnas', '--version'], elsewhere);
    expect({ code, stdout }).toEqual({ code: 0, stdout: '0.1.0\n' });
  } finally {
    rmSync(elsewhere, { recursive: true });
  }
  const packed = await run('npm', ['pack', '--dry-run', '--json'], clone);
  const [{ files }] = JSON.parse(packed.stdout) as [{ files: { path: string; mode: number }[] }];
  const command = files.find(({ path }) => path === 'bin/postnas.js');
  expect(command!.mode & 0o111).toBe(0o111);
  expect(files.map(({ path }) => path)).toContain('dist/cli/main.js');
});

test('it builds again when a source changed, and is there after every other build', async () => {
  // When it is built hangs on no more than times: a program of one line is built in a tenth of the time.
  rmSync(join(clone, 'src'), { recursive: true });
  mkdirSync(join(clone, 'src/cli'), { recursive: true });
  writeFileSync(join(clone, 'src/cli/main.ts'), "console.log('0.1.1');\n");
  expect(await npx('--version')).toMatchObject({
    code: 0,
    stdout: '0.1.1\n',
    stderr: expect.stringMatching(/^building/),
  });
  expect(await npx('--version')).toMatchObject({ code: 0, stdout: '0.1.1\n', stderr: '' });

  expect(await run('npm', ['run', 'build'], clone)).toMatchObject({ code: 0 });
  expect(await npx('--version')).toMatchObject({ code: 0, stdout: '0.1.1\n', stderr: '' });
  expect(readdirSync(clone).filter((name) => name.startsWith('dist'))).toEqual(['dist']);
});

test('a build that fails ends with 1 and leaves no rest', async () => {
  const later = Date.now() / 1000 + 60;
  rmSync(join(clone, 'tsconfig.build.json'));
  utimesSync(join(clone, 'src/cli/main.ts'), later, later);
  const { code, stderr } = await npx('--version');
  expect(stderr).toMatch(/postnas: the build failed\n$/);
  expect(code).toBe(1);
  expect(readdirSync(clone).filter((name) => name.startsWith('dist'))).toEqual(['dist']);
});
