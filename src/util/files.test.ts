import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { removeLeftoversBelow, writeFileAtomic, writeFileAtomicAsync } from './files.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'postnas-files-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function* failing(): Generator<Uint8Array> {
  yield new Uint8Array([1]);
  throw new Error('halfway');
}

describe.each([
  ['at once', async (path: string, parts: Iterable<Uint8Array>) => writeFileAtomic(path, parts)],
  ['part by part', writeFileAtomicAsync],
])('%s', (name, write) => {
  test('parts are joined, folders made', async () => {
    const path = join(dir, name, 'a/b');
    await write(path, [new Uint8Array([1, 2]), new Uint8Array(0), new Uint8Array([3])]);
    expect([...readFileSync(path)]).toEqual([1, 2, 3]);
  });

  test('a failure leaves the last good version alone in its folder', async () => {
    const path = join(dir, name, 'c/d');
    await write(path, [new Uint8Array([9])]);
    await expect(write(path, failing())).rejects.toThrow('halfway');
    expect([...readFileSync(path)]).toEqual([9]);
    expect(readdirSync(join(dir, name, 'c'))).toEqual(['d']);
  });

  test('a refusal of the system names the file', async () => {
    const file = join(dir, `${name} file`);
    writeFileSync(file, '');
    await expect(write(join(file, 'below'), [])).rejects.toThrow(
      expect.objectContaining({
        name: 'InputError',
        message: expect.stringContaining(`cannot write ${file}/below: `),
      }),
    );
  });
});

test('a text', () => {
  writeFileAtomic(join(dir, 'text'), 'naïve');
  expect(readFileSync(join(dir, 'text'), 'utf8')).toBe('naïve');
});

test('a signal ends a long write', async () => {
  const controller = new AbortController();
  function* parts(): Generator<Uint8Array> {
    yield new Uint8Array(10);
    controller.abort();
    yield new Uint8Array(10);
  }
  await expect(writeFileAtomicAsync(join(dir, 'aborted'), parts(), controller.signal)).rejects.toThrow(
    /abort/i,
  );
  expect(readdirSync(dir)).not.toContain('aborted');
});

test.skipIf(!existsSync('/dev/full'))('a device is written to, not replaced (needs /dev/full)', () => {
  const [nothing, full] = [join(dir, 'nothing'), join(dir, 'full')];
  symlinkSync('/dev/null', nothing);
  symlinkSync('/dev/full', full);
  writeFileAtomic(nothing, 'text');
  expect(lstatSync(nothing).isSymbolicLink()).toBe(true);
  expect(() => writeFileAtomic(full, 'text')).toThrow(`cannot write ${full}: no space is left on the disk`);
  expect(lstatSync(full).isSymbolicLink()).toBe(true);
});

test('a folder in the way is told', () => {
  mkdirSync(join(dir, 'a folder'));
  expect(() => writeFileAtomic(join(dir, 'a folder'), 'text')).toThrow('it is a folder, a file is expected');
});

test('what killed processes left in a folder goes, and nothing else', () => {
  const folder = join(dir, 'left');
  mkdirSync(join(folder, 'seed-1'), { recursive: true });
  const left = [
    'result.json.1.tmp',
    'report.html.12.tmp',
    'seed-1/state.safetensors.7.tmp',
    'postnas.lock.3.tmp',
  ];
  const others = ['result.json', 'notes.1.tmp', 'seed-1/log.jsonl', `seed-1/log.jsonl.${process.pid}.tmp`];
  for (const path of [...left, ...others]) writeFileSync(join(folder, path), '');
  removeLeftoversBelow(folder);
  expect(readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()).toEqual(
    [...others, 'seed-1'].sort(),
  );
});
