import { expect, test } from 'vitest';
import { linearMixer } from '../../network/linear-mixer.ts';
import { sameStateSize, stateSize } from './dimensions.ts';

const spec = linearMixer('gated_deltanet', { numHeads: 4, headDim: 32 } as never);

test('every point of the grid has the state size of the block, which comes first', () => {
  const grid = sameStateSize(spec, { heads: [2, 4, 8], aspect: 4 });
  expect(grid[0]).toEqual({ name: '4x32x32', spec });
  expect(grid.map(({ name }) => name)).toEqual([
    '4x32x32',
    '2x32x64',
    '2x64x32',
    '4x16x64',
    '4x64x16',
    '8x16x32',
    '8x32x16',
  ]);
  for (const { spec: each } of grid) {
    expect(stateSize(each)).toBe(4096);
    expect({ ...each, heads: 4, keyDim: 32, valueDim: 32 }).toEqual(spec);
  }
});

test('a block beside a window keeps it', () => {
  const beside = linearMixer('gated_deltanet+window9', { numHeads: 4, headDim: 32, layers: [] } as never);
  const [alone, grid] = [spec, beside].map((each) => sameStateSize(each, { heads: [2, 4], aspect: 4 }));
  expect(grid).toEqual(alone!.map((each) => ({ ...each, spec: { ...beside, linear: each.spec } })));
  expect(stateSize(beside)).toBe(4096);
});

test('a wider aspect has more points', () => {
  const grid = sameStateSize(spec, { heads: [4], aspect: 16 });
  expect(grid.map(({ name }) => name)).toEqual(['4x32x32', '4x8x128', '4x16x64', '4x64x16', '4x128x8']);
});

test('widths are not further apart than the aspect says', () => {
  // 24 by 64 is 2.7 times, 32 by 48 is 1.5 times.
  const wide = { ...spec, heads: 1, keyDim: 32, valueDim: 48 };
  const names = (aspect: number) => sameStateSize(wide, { heads: [1], aspect }).map(({ name }) => name);
  expect(names(2)).toEqual(['1x32x48', '1x48x32']);
  expect(names(3)).toEqual(['1x32x48', '1x24x64', '1x48x32', '1x64x24']);
});

test('numbers of heads that leave nothing to choose', () => {
  expect(() => sameStateSize(spec, { heads: [3], aspect: 4 })).toThrow(
    /heads 3: none .* a state of 4096 numbers/,
  );
});

test('other numbers of taps beside the grid, at the widths of the block', () => {
  const grid = sameStateSize(spec, { heads: [4], aspect: 1, convSizes: [4, 2] });
  expect(grid).toEqual([
    { name: '4x32x32', spec },
    { name: '4x32x32-2taps', spec: { ...spec, convSize: 2 } },
  ]);
  const gla = linearMixer('gla', { numHeads: 4, headDim: 32 } as never);
  expect(() => sameStateSize(gla, { heads: [4], aspect: 4, convSizes: [2] })).toThrow(
    'a gla block has no convolution to give 2 taps',
  );
});
