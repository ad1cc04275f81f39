import { describe, expect, test } from 'vitest';
import {
  byteCount,
  byteCountIn,
  decimal,
  natural,
  port,
  positive,
  share,
  signed,
  tokenCount,
  tokenCounts,
  wholeNumber,
} from './parsers.ts';

describe('sizes', () => {
  test.each([
    ['8GB', 8e9],
    ['8G', 8e9],
    ['1.5 MiB', 1.5 * 2 ** 20],
    ['512b', 512],
    ['2k', 2000],
  ])('%s', (text, bytes) => expect(byteCount(text)).toBe(bytes));

  test.each(['', '8', 'GB', '0MB', '-1GB', '3iB', '3Gi', '8GB!', '1.2.3GB'])('%j is none', (text) => {
    expect(() => byteCount(text)).toThrow('such as 8GB');
  });

  test('a number alone where it always meant one unit', () => {
    expect(byteCountIn('GB')('20')).toBe(20e9);
    expect(byteCountIn('MB')('0.5')).toBe(500_000);
    expect(byteCountIn('MB')('2GiB')).toBe(2 ** 31);
    expect(() => byteCountIn('GB')('0')).toThrow('such as 8GB');
  });
});

describe('tokens', () => {
  test.each([
    ['128', 128],
    ['64K', 65_536],
    ['64k', 65_536],
    ['1M', 1_048_576],
    ['2g', 2 ** 31],
  ])('%s', (text, count) => expect(tokenCount(text)).toBe(count));

  test.each(['', '0', '1.5', '-4', '4T', '4KB', 'K', '1e3', '9999999G'])('%j is no count', (text) => {
    expect(() => tokenCount(text)).toThrow('such as 4096 or 64K');
  });

  test('lists', () => {
    expect(tokenCounts('128, 4K,64k,4M')).toEqual([128, 4096, 65536, 4_194_304]);
    for (const text of ['', '1,', '4T', '0', '1.5'])
      expect(() => tokenCounts(text)).toThrow('whole numbers above 0');
  });
});

test.each([
  [wholeNumber, ['1', '600'], ['0', '-1', '1.5', '', ' ', 'x', '6K', '1e300']],
  [natural, ['0', '7'], ['-1', '0.5', '', '1e300']],
  [decimal, ['0', '0.5', '2e-3'], ['-1', '', 'x', 'Infinity', 'NaN']],
  [positive, ['2e-3'], ['0', '-1', '', 'NaN', 'Infinity']],
  [share, ['0', '0.3333', '1'], ['-0.1', '1.1', '', 'NaN']],
  [signed, ['-0.5', '2'], ['', 'NaN', 'Infinity', 'x']],
  [port, ['0', '8000', '65535'], ['-1', '65536', '70000', '80.5', '', 'http']],
])('%o', (parse, good, bad) => {
  for (const text of good) expect(parse(text)).toBe(Number(text));
  for (const text of bad) expect(() => parse(text)).toThrow(/^Expected a/);
});
