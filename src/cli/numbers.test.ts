import { expect, test } from 'vitest';
import { readable } from './numbers.ts';

test('bytes for people', () => {
  expect(readable(1536)).toBe('1.5 KiB');
  expect(readable(17)).toBe('17 B');
});
