import { describe, expect, test } from 'vitest';
import {
  amount,
  bytes,
  capitalised,
  counted,
  duration,
  fixed,
  layersText,
  listed,
  rate,
  signed,
} from './text.ts';

/** Spaces between a number and its unit do not break. */
const plain = (text: string) => text.replaceAll('\u00a0', ' ');

describe('numbers as text', () => {
  test.each([
    [1.25, 1, '1.3'],
    [-0.5, 1, '−0.5'],
    [-0.004, 2, '0.00'],
    [0, 0, '0'],
  ])('fixed(%d, %d) is %s', (value, decimals, text) => expect(fixed(value, decimals)).toBe(text));

  test.each([
    [16.94, 1, '+16.9'],
    [-2, 1, '−2.0'],
    [0.01, 1, '0.0'],
    [-0.01, 1, '0.0'],
  ])('signed(%d, %d) is %s', (value, decimals, text) => expect(signed(value, decimals)).toBe(text));

  test.each([
    [0, '0.0 s'],
    [9.87, '9.9 s'],
    [42.4, '42 s'],
    [59.97, '1 min 00 s'],
    [95, '1 min 35 s'],
    [3599.6, '1 h 00 min'],
    [3725, '1 h 02 min'],
  ])('%d seconds are %s', (seconds, text) => expect(plain(duration(seconds))).toBe(text));

  test.each([
    [0, '0'],
    [950, '950'],
    [12.25, '12.3'],
    [999.7, '1.00 k'],
    [1234, '1.23 k'],
    [61_440, '61.4 k'],
    [614_400, '614 k'],
    [999_900, '1.00 M'],
    [1_234_567, '1.23 M'],
  ])('%d is %s', (value, text) => expect(plain(amount(value))).toBe(text));
});

describe('words', () => {
  test('lists', () => {
    expect([[], ['a'], ['a', 'b'], ['a', 'b', 'c']].map(listed)).toEqual(['', 'a', 'a and b', 'a, b and c']);
  });

  test('layers count from 0, as checkpoints name them', () => {
    expect([[], [0], [2, 5], [0, 1, 7]].map(layersText)).toEqual([
      'no layer',
      'layer 0',
      'layers 2 and 5',
      'layers 0, 1 and 7',
    ]);
  });

  test('counts and capitals', () => {
    expect([plain(counted(1, 'seed')), plain(counted(3, 'seed'))]).toEqual(['1 seed', '3 seeds']);
    expect(capitalised('best of 8')).toBe('Best of 8');
  });
});

test('bytes and rates', () => {
  expect([950, 131_072, 2_097_152].map((value) => plain(bytes(value)))).toEqual([
    '950 B',
    '131 kB',
    '2.10 MB',
  ]);
  expect([41.27, 99.96, 2955.4].map(rate)).toEqual(['41.3', '100', '2,955']);
});
