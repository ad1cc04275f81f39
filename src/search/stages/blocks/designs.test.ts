import { expect, test } from 'vitest';
import { releasedJetBlock } from '../../../mixers/jet-block.ts';
import { jetDesigns } from './designs.ts';

const size = { heads: 4, keyDim: 32, valueDim: 32 };

test('the released block first, every design once', () => {
  const designs = jetDesigns(size);
  expect(designs[0]).toEqual({ name: 'released', spec: releasedJetBlock(size) });
  const specs = designs.map(({ spec }) => JSON.stringify(spec));
  expect(new Set(specs).size).toBe(specs.length);
  expect(new Set(designs.map(({ name }) => name)).size).toBe(designs.length);
});

test("what the paper's claim compares", () => {
  const find = (name: string) => jetDesigns(size).find((each) => each.name === name)!.spec;
  expect(find('qConv-kConv-static')).toMatchObject({ qConv: 'static', kConv: 'static', vConv: 'dynamic' });
  expect(find('all-static')).toMatchObject({ qConv: 'static', kConv: 'static', vConv: 'static' });
  expect(find('vConv-none')).toMatchObject({ qConv: 'none', kConv: 'none', vConv: 'none' });
});
