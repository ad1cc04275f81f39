import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { systemMeaning } from './system-errors.ts';

const folder = mkdtempSync(join(tmpdir(), 'postnas-system-'));
writeFileSync(join(folder, 'file'), '');
afterAll(() => rmSync(folder, { recursive: true }));

function thrownBy(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

test.each([
  ['a missing file', () => readFileSync(join(folder, 'none')), 'no such file or folder'],
  ['a folder', () => readFileSync(folder), 'it is a folder, a file is expected'],
  ['a file', () => readdirSync(join(folder, 'file', 'x')), /part of the path is a file/],
  ['a long name', () => readFileSync(join(folder, 'x'.repeat(5000))), 'the name is too long'],
])('%s', (_, act, meaning) => {
  expect(systemMeaning(thrownBy(act))).toMatch(meaning);
});

test('what has no words of its own keeps those of the system; other errors are none of it', () => {
  expect(systemMeaning(Object.assign(new Error('EODD: odd, read'), { code: 'EODD', syscall: 'read' }))).toBe(
    'EODD: odd, read',
  );
  expect(systemMeaning(new Error('odd'))).toBeUndefined();
  expect(systemMeaning(thrownBy(() => new Uint8Array(-1)))).toBeUndefined();
  expect(systemMeaning(Object.assign(new Error('x'), { code: 'ERR_INVALID_ARG_TYPE' }))).toBeUndefined();
});
