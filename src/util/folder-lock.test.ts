import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkFree, withFolder } from './folder-lock.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'postnas-lock-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const lockOf = (folder: string) => join(folder, 'postnas.lock');
const busy = (pattern: RegExp) =>
  expect.objectContaining({ name: 'InputError', message: expect.stringMatching(pattern) });

/** A folder with a lock that says this. */
function locked(name: string, lock: object | string): string {
  const folder = join(dir, name);
  mkdirSync(folder);
  writeFileSync(lockOf(folder), typeof lock === 'string' ? lock : JSON.stringify(lock));
  return folder;
}

/** A Node.js process that runs this code with `withFolder` and `folder`; resolves at its first line of output. */
async function child(folder: string, code: string): Promise<ChildProcess> {
  const module = new URL('./folder-lock.ts', import.meta.url).href;
  const started = spawn(
    process.execPath,
    [
      ...['--import', 'tsx', '--input-type=module', '--eval'],
      `import { withFolder } from ${JSON.stringify(module)};
       const folder = ${JSON.stringify(folder)};
       ${code}`,
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  await once(started.stdout!, 'data');
  return started;
}

/** Has the folder until a line comes in, then does as `then` says. */
const holding = (then: string) => `
  await withFolder(folder, 'a long search', async () => {
    console.log('held');
    await new Promise((resolve) => process.stdin.once('data', resolve));
    ${then}
  });
  process.exit(0);`;

/** The least pid that no process has. */
const GONE = 2 ** 22 + 1;

describe('a folder that another process has', () => {
  test('is refused with who has it and since when, and free when that has ended', async () => {
    const folder = join(dir, 'process');
    const first = await child(folder, holding(''));
    const said = busy(
      new RegExp(`process is in use by process ${first.pid} \\(a long search\\) since \\d{4}-.*T`),
    );
    await expect(withFolder(folder, 'mine', async () => 'done')).rejects.toThrow(said);
    expect(() => checkFree(folder)).toThrow(said);
    first.stdin!.write('go\n');
    await once(first, 'exit');
    expect(existsSync(lockOf(folder))).toBe(false);
    expect(await withFolder(folder, 'mine', async () => 'done')).toBe('done');
  });

  test('is free when it exits in the midst of its work, and when its work fails', async () => {
    for (const [name, then] of [
      ['exit', 'process.exit(3)'],
      ['failure', "throw new Error('of no matter'); "],
    ] as const) {
      const folder = join(dir, name);
      const caught = "process.on('uncaughtException', () => process.exit(3));";
      const first = await child(folder, caught + holding(then));
      first.stdin!.write('go\n');
      const [code] = await once(first, 'exit');
      expect(code).toBe(3);
      expect(existsSync(lockOf(folder))).toBe(false);
    }
  });

  test('is taken over after a kill', async () => {
    const folder = join(dir, 'killed');
    const first = await child(folder, holding(''));
    first.kill('SIGKILL');
    await once(first, 'exit');
    expect(existsSync(lockOf(folder))).toBe(true);
    expect(() => checkFree(folder)).not.toThrow();
    await withFolder(folder, 'mine', async () => {
      expect(JSON.parse(readFileSync(lockOf(folder), 'utf8'))).toMatchObject({ pid: process.pid });
    });
    expect(existsSync(lockOf(folder))).toBe(false);
  });
});

describe('a lock that was left behind', () => {
  test.runIf(existsSync('/proc/self/stat'))(
    'by a process whose id another has got since (needs /proc)',
    async () => {
      const lock = { pid: process.pid, host: hostname(), started: '1', what: 'x', since: 'then' };
      const folder = locked('reused', lock);
      expect(await withFolder(folder, 'mine', async () => 'done')).toBe('done');
    },
  );

  test('cut off or empty', async () => {
    for (const [i, text] of ['', '{"pid": 1', 'null', '{"pid": "1"}'].entries()) {
      expect(await withFolder(locked(`damaged-${i}`, text), 'mine', async () => 'done')).toBe('done');
    }
  });

  test('on another machine: nobody here can tell, so it is said what to delete', async () => {
    const folder = locked('elsewhere', { pid: GONE, host: 'elsewhere', what: 'postnas run', since: 'noon' });
    await expect(withFolder(folder, 'mine', async () => 'done')).rejects.toThrow(
      busy(/process \d+ on elsewhere \(postnas run\) since noon.*delete .*elsewhere\/postnas\.lock$/),
    );
    expect(existsSync(lockOf(folder))).toBe(true);
  });

  describe.runIf(existsSync('/proc/self/ns/pid') && existsSync('/etc/machine-id'))(
    'that a living process of this id may have (needs /proc and a machine id)',
    () => {
      /** What this process writes, with other values. */
      async function ours(name: string, more: object): Promise<string> {
        const folder = join(dir, name);
        let own = '';
        await withFolder(folder, 'postnas run', async () => {
          own = readFileSync(lockOf(folder), 'utf8');
        });
        writeFileSync(lockOf(folder), JSON.stringify({ ...JSON.parse(own), ...more }));
        return folder;
      }
      const mine = (folder: string) => withFolder(folder, 'mine', async () => 'done');

      test('it has it', async () => {
        await expect(mine(await ours('alive', {}))).rejects.toThrow(
          busy(/alive is in use by process \d+ \(postnas run\) /),
        );
      });

      test('of before the machine was started again: taken over, in whatever container it was', async () => {
        expect(await mine(await ours('restarted', { boot: 'another' }))).toBe('done');
        expect(await mine(await ours('restarted-2', { boot: 'another', namespace: 'pid:[1]' }))).toBe('done');
      });

      test('on another machine of the same name, or in another container: said, and what to delete', async () => {
        const clone = await ours('clone', { machine: 'another', boot: 'another' });
        await expect(mine(clone)).rejects.toThrow(
          busy(/process \d+ on another machine called \S+ \(postnas run\) .*delete .*clone\/postnas\.lock$/),
        );
        const container = await ours('container', { namespace: 'pid:[1]' });
        await expect(mine(container)).rejects.toThrow(
          busy(/process \d+ in another container \(postnas run\) .*delete .*container\/postnas\.lock$/),
        );
        expect(existsSync(lockOf(container))).toBe(true);
      });
    },
  );

  test('is taken over by one process at a time, however many want it', async () => {
    const folder = locked('race', { pid: GONE, host: hostname(), what: 'gone', since: 'noon' });
    const gone = readFileSync(lockOf(folder), 'utf8');
    // Each has the folder 20 times, sees that it is alone there, and leaves as if it had been killed.
    const code = `
      import { linkSync, rmSync, writeFileSync } from 'node:fs';
      import { setTimeout as sleep } from 'node:timers/promises';
      console.log('ready');
      await new Promise((resolve) => process.stdin.once('data', resolve));
      const own = folder + '/own-' + process.pid;
      writeFileSync(own, ${JSON.stringify(gone)});
      for (let had = 0; had < 20; ) {
        try {
          await withFolder(folder, 'race', async () => {
            writeFileSync(folder + '/inside', '', { flag: 'wx' });
            await sleep(1);
            rmSync(folder + '/inside');
          });
          had++;
          try { linkSync(own, folder + '/postnas.lock'); } catch {}
        } catch (error) {
          if (error.name !== 'InputError') { console.error(error); process.exit(1); }
          await sleep(2);
        }
      }
      process.exit(0);`;
    const children = await Promise.all([1, 2, 3].map(() => child(folder, code)));
    const ends = Promise.all(children.map((each) => once(each, 'exit')));
    for (const each of children) each.stdin!.write('go\n');
    expect(await ends).toEqual(children.map(() => [0, null]));
  });
});

test('two pieces of work in one process are kept apart too; other folders are free', async () => {
  const folder = join(dir, 'same');
  await withFolder(folder, 'the first', async () => {
    await expect(withFolder(folder, 'the second', async () => 'done')).rejects.toThrow(
      busy(new RegExp(`process ${process.pid} \\(the first\\)`)),
    );
    expect(await withFolder(join(folder, 'below'), 'the second', async () => 'done')).toBe('done');
    expect(existsSync(lockOf(folder))).toBe(true);
  });
  expect(await withFolder(folder, 'the second', async () => 'done')).toBe('done');
});

test('a folder that cannot be made is named', async () => {
  const file = join(dir, 'a file');
  writeFileSync(file, '');
  await expect(withFolder(file, 'mine', async () => 'done')).rejects.toThrow(busy(/a file/));
});
