import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { identityOf, recall, remember } from './remember.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'postnas-remember-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

test('makes once, and anew for another identity or a damaged file', async () => {
  const path = join(dir, 'a', 'kept.json');
  let made = 0;
  const make = async () => ({ made: ++made });
  expect(await remember(path, 'one', make)).toEqual({ made: 1 });
  expect(await remember(path, 'one', make)).toEqual({ made: 1 });
  expect(await remember(path, 'two', make)).toEqual({ made: 2 });
  expect(recall(path, 'one')).toBeUndefined();
  writeFileSync(path, readFileSync(path, 'utf8').slice(0, -5));
  expect(await remember(path, 'two', make)).toEqual({ made: 3 });
});

test('a file that was damaged is named, and made anew', async () => {
  const path = join(dir, 'damaged.json');
  await remember(path, 'one', async () => ({ accuracy: 0.125, seconds: 7 }));
  const text = readFileSync(path, 'utf8');
  const notices: string[] = [];
  const read = () => recall(path, 'one', (line) => notices.push(line));
  // Cut off anywhere, or another digit in the middle, which is JSON all the same.
  const damaged = Array.from({ length: text.length - 1 }, (_, length) => text.slice(0, length));
  damaged.push(text.replace('0.125', '0.225'), text.replace('"seconds":7', '"seconds":8'), 'null', '[]');
  for (const each of damaged) {
    notices.length = 0;
    writeFileSync(path, each);
    expect(read(), each).toBeUndefined();
    // Of an identity that cannot be told it might be another's; all else is said.
    if (each !== '[]')
      expect(notices, each).toEqual([expect.stringMatching(/damaged\.json is damaged \(.*\): made anew$/)]);
  }
  writeFileSync(path, text);
  expect(read()).toEqual({ accuracy: 0.125, seconds: 7 });
});

test('keeps nothing of what failed', async () => {
  const path = join(dir, 'failed.json');
  await expect(remember(path, 'x', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(await remember(path, 'x', async () => 1)).toBe(1);
});

test('identities tell data apart', () => {
  expect(identityOf([1, 2], 'a')).toBe(identityOf([1, 2], 'a'));
  expect(identityOf([1, 2], 'a')).not.toBe(identityOf([1], [2], 'a'));
});
