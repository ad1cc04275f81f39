import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sameData } from './same-data.ts';

test('alike is what Node.js holds for equal, on plain data', () => {
  const small = fc.oneof(fc.constantFrom(null, undefined, true, 0, 1, 'a'));
  const { data } = fc.letrec((tie) => ({
    data: fc.oneof(
      { maxDepth: 3 },
      small,
      fc.array(tie('data'), { maxLength: 2 }),
      fc.dictionary(fc.constantFrom('a', 'b', '0'), tie('data'), { noNullPrototype: true }),
    ),
  }));
  fc.assert(
    fc.property(data, data, (a, b) => {
      expect(sameData(a, b)).toBe(isDeepStrictEqual(a, b));
      expect(sameData(a, structuredClone(a))).toBe(true);
    }),
    { numRuns: 500, seed: 1 },
  );
});
