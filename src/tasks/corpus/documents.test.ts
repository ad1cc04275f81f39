import { describe, expect, test } from 'vitest';
import { Random } from '../../util/random.ts';
import { Fingerprints, fingerprint, plainly } from './documents.ts';

const ALPHABET = [
  ...'ab1.',
  'é',
  '😀',
  '\u200b',
  ' ',
  '  ',
  '\n',
  '\t',
  '\r\n',
  '\u00a0',
  '\u3000',
  '\ufeff',
  '\u2009',
];

describe('a fingerprint', () => {
  test('is that of the document as it is without what makes no difference', () => {
    const random = new Random(1);
    for (let i = 0; i < 2000; i++) {
      const text = Array.from({ length: random.below(30) }, () => random.pick(ALPHABET)).join('');
      const plain = plainly(text);
      expect(fingerprint(text)).toBe(plain === '' ? undefined : fingerprint(plain));
      expect(fingerprint(text, plain.length + 1)).toBeUndefined();
      expect(fingerprint(text, plain.length) === undefined).toBe(false);
    }
  });

  test('knows every character that is white space in a pattern, and no other', () => {
    for (let code = 0; code < 0x10000; code++) {
      const letter = String.fromCharCode(code);
      if ((fingerprint(letter) === undefined) !== /\s/.test(letter))
        expect.unreachable(`U+${code.toString(16)}`);
    }
  });

  test('differs for texts that differ, and its values are spread evenly', () => {
    const count = 200_000;
    const found = new Set<number>();
    const bins = new Array<number>(50).fill(0);
    for (let i = 0; i < count; i++) {
      const value = fingerprint(`document ${i}`)!;
      found.add(value);
      bins[Math.floor((value / 2 ** 53) * bins.length)]!++;
      // What differs in one character, or in two that changed places.
      if (i < 26 * 26) found.add(fingerprint(String.fromCharCode(97 + (i % 26), 97 + Math.floor(i / 26)))!);
    }
    expect(found.size).toBe(count + 26 * 26);
    const expected = count / bins.length;
    const chiSquare = bins.reduce((sum, bin) => sum + (bin - expected) ** 2 / expected, 0);
    // 49 degrees of freedom: 85 is exceeded once in a thousand.
    expect(chiSquare).toBeLessThan(85);
  });
});

test('fingerprints that were added are found, and no others', () => {
  const set = new Fingerprints();
  const random = new Random(2);
  const values = Array.from({ length: 5000 }, () => random.below(1e6));
  for (const value of values) set.add(value);
  const has = set.sealed();
  const plain = new Set(values);
  for (let i = 0; i < 20_000; i++) expect(has(i)).toBe(plain.has(i));
  expect(new Fingerprints().sealed()(0)).toBe(false);
});
