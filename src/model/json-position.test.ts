import fc from 'fast-check';
import { expect, test } from 'vitest';
import { InputError } from '../util/errors.ts';
import { parseJsonObject } from './json-fields.ts';
import { whereItFails } from './json-position.ts';

test.each([
  ['', 'it ends too early'],
  ['{"a": 1', 'it ends too early'],
  ['{"a": "b', 'it ends too early'],
  ['root:x:0:0:root', 'at line 1, column 1'],
  ['{\n  "a": 1,\n}', 'at line 3, column 1'],
  ['{"a": NaN}', 'at line 1, column 7'],
  ['{"a": 01}', 'at line 1, column 8'],
  ['{"a": "\\x"}', 'at line 1, column 8'],
  ['{"a": "\t"}', 'at line 1, column 8'],
  ['{"a" 1}', 'at line 1, column 6'],
  ["{'a': 1}", 'at line 1, column 2'],
  ['[1, 2,]', 'at line 1, column 7'],
  ['{} x', 'at line 1, column 4'],
  ['\ufeff{}', 'at line 1, column 1'],
])('%j fails where it does', (text, where) => {
  expect(() => JSON.parse(text)).toThrow(SyntaxError);
  expect(whereItFails(text)).toBe(where);
});

test('a message never has the text of the file', () => {
  expect(() => parseJsonObject('x/config.json', 'root:x:0:0:root:/root:/bin/sh\n')).toThrow(
    new InputError('x/config.json is not JSON: at line 1, column 1'),
  );
});

test('where JavaScript names the place, it is the same', () => {
  const unit = fc.constantFrom(...'{}[],:"\\ \n1-.e', '"a"', 'true', '\\u00e9');
  fc.assert(
    fc.property(fc.array(unit, { maxLength: 12 }), (parts) => {
      const text = parts.join('');
      try {
        JSON.parse(text);
      } catch (error) {
        const place = /unexpected non-whitespace.*position (\d+)/i.exec((error as Error).message)?.[1];
        const where = whereItFails(text);
        if (place === undefined) expect(where).toMatch(/^(at line \d+, column \d+|it ends too early)$/);
        else {
          const before = text.slice(0, Number(place));
          const column = Number(place) - before.lastIndexOf('\n');
          expect(where).toBe(`at line ${before.split('\n').length}, column ${column}`);
        }
      }
    }),
    { numRuns: 1000 },
  );
});
