import { expect, test } from 'vitest';
import { designName } from '../../src/report/run/design-name.ts';
import { jetDesigns } from '../../src/search/stages/blocks/designs.ts';

test('every design has words of its own', () => {
  const names = jetDesigns({ heads: 1, keyDim: 8, valueDim: 8 }).map(({ name }) => name);
  const words = names.map(designName);
  expect(new Set(words).size).toBe(names.length);
  expect(words.filter((text, i) => text === names[i])).toEqual(['released']);
  expect(designName('convSize-3')).toBe('convolutions of 3 taps');
});

test('a design that is newer keeps its name', () => {
  expect(designName('shortcut-on')).toBe('shortcut-on');
});
