import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { canonical, hashOf } from './identity.ts';
import { begin, keep, misfit, recall, remember } from './kept.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'postnas-kept-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

const one = { rows: 8, data: hashOf('a text') };
const refused = (path: string, ...lines: string[]) =>
  expect.objectContaining({
    name: 'InputError',
    message: expect.stringContaining(
      `${path} was saved by a run with other settings:\n  ${lines.join('\n  ')}\n`,
    ),
  });

test('makes once, whatever the order of the fields', async () => {
  const path = join(dir, 'a', 'kept.json');
  let made = 0;
  const make = async () => ({ made: ++made });
  expect(await remember(path, one, make)).toEqual({ made: 1 });
  expect(await remember(path, one, make)).toEqual({ made: 1 });
  expect(await remember(path, { data: one.data, rows: 8, not: undefined }, make)).toEqual({ made: 1 });
});

test('work of other settings is refused with the fields that differ, and stays as it is', async () => {
  const path = join(dir, 'other.json');
  keep(path, one, 'found');
  const text = readFileSync(path, 'utf8');
  const never = () => Promise.reject(new Error('made'));
  const other = { rows: 4, data: hashOf('another text') };
  const lines = ['rows: 8 -> 4', 'training text: another one'];
  await expect(remember(path, other, never)).rejects.toThrow(refused(path, ...lines));
  expect(() => recall(path, other)).toThrow(refused(path, ...lines));
  expect(() => begin(path, other)).toThrow(refused(path, ...lines));
  expect(misfit(path, other)).toEqual(lines);
  expect(misfit(path, other, ['data'])).toEqual(['rows: 8 -> 4']);
  expect(misfit(path, one)).toEqual([]);
  expect(readFileSync(path, 'utf8')).toBe(text);
});

test('work that was begun has its identity and nothing else', async () => {
  const path = join(dir, 'begun.json');
  expect(misfit(path, one)).toBeUndefined();
  begin(path, one);
  expect(recall(path, one)).toBeUndefined();
  expect(() => recall(path, { ...one, rows: 4 })).toThrow(refused(path, 'rows: 8 -> 4'));
  keep(path, one, 'found');
  begin(path, one);
  expect(recall(path, one)).toBe('found');
});

test('the same with more seeds goes on from it, with fewer or others it is refused', () => {
  const path = join(dir, 'seeds.json');
  keep(path, { ...one, seeds: [1, 2] }, 'of both');
  const more = { ...one, seeds: [3, 2, 1] };
  expect(misfit(path, more)).toEqual([]);
  expect(recall(path, more)).toBeUndefined();
  begin(path, more);
  // Until it is done, what the earlier ones found stays.
  expect(recall(path, { ...one, seeds: [1, 2] })).toBe('of both');
  for (const seeds of [[1], [1, 3], undefined]) {
    expect(() => recall(path, { ...one, seeds })).toThrow(/\n {2}seeds: \[1,2\] -> /);
  }
  expect(() => recall(path, { ...more, rows: 4 })).toThrow(
    refused(path, 'rows: 8 -> 4', 'seeds: [1,2] -> [3,2,1]'),
  );
});

describe('a file of another version', () => {
  test.each([
    ['earlier', { identity: '0123456789abcdef', check: 'x', value: 1 }, /an earlier version .* did not say/],
    [
      'later',
      { format: 'postnas-kept-2', identity: {} },
      /another version .*\(postnas-kept-2, .*postnas-kept-1\)/,
    ],
  ])('%s: refused, and stays', (name, content, message) => {
    const path = join(dir, `${name}.json`);
    writeFileSync(path, JSON.stringify(content));
    expect(() => recall(path, one)).toThrow(message);
    expect(misfit(path, one)).toEqual([expect.stringMatching(message)]);
    expect(existsSync(path)).toBe(true);
  });
});

test('a file that was damaged is named, laid aside and made anew', async () => {
  const folder = join(dir, 'damaged');
  const path = join(folder, 'kept.json');
  await remember(path, one, async () => ({ accuracy: 0.125, seconds: 7 }));
  const text = readFileSync(path, 'utf8');
  const notices: string[] = [];
  const read = () => recall(path, one, (line) => notices.push(line));
  // Cut off anywhere, or another digit in the middle, which is JSON all the same.
  const damaged = Array.from({ length: text.length - 1 }, (_, length) => text.slice(0, length));
  damaged.push(text.replace('0.125', '0.225'), text.replace('"seconds":7', '"seconds":8'), 'null', '[]');
  damaged.push(text.replace('"rows":8', '"rows":9'), text.replace('postnas-kept-1', ''));
  for (const each of damaged) {
    notices.length = 0;
    writeFileSync(path, each);
    expect(read(), each).toBeUndefined();
    expect(notices, each).toEqual([
      expect.stringMatching(
        /kept\.json is damaged \(.*\) and laid aside as .*kept\.json\.damaged: made anew$/,
      ),
    ]);
    expect(readdirSync(folder)).toEqual(['kept.json.damaged']);
    expect(readFileSync(`${path}.damaged`, 'utf8')).toBe(each);
  }
  writeFileSync(path, text);
  expect(read()).toEqual({ accuracy: 0.125, seconds: 7 });
});

test('what belongs to it elsewhere must be there, too', async () => {
  const path = join(dir, 'whole.json');
  const notices: string[] = [];
  const made = (isWhole: boolean, value: number) =>
    remember(path, one, async () => value, {
      isWhole: () => isWhole,
      onNotice: (line) => notices.push(line),
    });
  expect(await made(false, 1)).toBe(1);
  expect(await made(true, 2)).toBe(1);
  expect(notices).toEqual([]);
  expect(await made(false, 3)).toBe(3);
  expect(notices).toEqual([expect.stringContaining('whole.json: what belongs to it is not there any more')]);
});

test('what a killed process was writing goes when it is written again', () => {
  const folder = join(dir, 'killed');
  keep(join(folder, 'kept.json'), one, 1);
  writeFileSync(join(folder, 'kept.json.1.tmp'), '{');
  keep(join(folder, 'kept.json'), one, 2);
  expect(readdirSync(folder)).toEqual(['kept.json']);
});

test('keeps nothing of what failed', async () => {
  const path = join(dir, 'failed.json');
  await expect(remember(path, one, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(await remember(path, one, async () => 1)).toBe(1);
});

test('hashes tell data apart, identities do not hang on the order of fields', () => {
  expect(hashOf([1, 2], 'a')).toBe(hashOf([1, 2], 'a'));
  expect(hashOf([1, 2], 'a')).not.toBe(hashOf([1], [2], 'a'));
  expect(canonical({ a: { c: 1, b: [2, 1] } })).toBe(canonical({ a: { b: [2, 1], c: 1 } }));
  expect(canonical({ a: [2, 1] })).not.toBe(canonical({ a: [1, 2] }));
});
