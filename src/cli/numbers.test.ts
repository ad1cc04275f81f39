import { expect, test } from 'vitest';
import { byteCount, counts, readable } from './numbers.ts';

test.each([
  ['8GB', 8e9],
  ['1.5 MiB', 1.5 * 2 ** 20],
  ['512b', 512],
])('%s', (text, bytes) => expect(byteCount(text)).toBe(bytes));

test.each(['', '8', 'GB', '0MB', '-1GB', '3iB', '8GB!'])('%j is no size', (text) => {
  expect(() => byteCount(text)).toThrow('such as 8GB');
});

test('lists of counts', () => {
  expect(counts('128, 4K,64k')).toEqual([128, 4096, 65536]);
  for (const text of ['', '1,', '4M', '0', '1.5'])
    expect(() => counts(text)).toThrow('whole numbers above 0');
});

test('bytes for people', () => {
  expect(readable(1536)).toBe('1.5 KiB');
  expect(readable(17)).toBe('17 B');
});
