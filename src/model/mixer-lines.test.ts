import { expect, test } from 'vitest';
import { tinyConfig } from '../../test/support/random-model.ts';
import type { LinearSpec, MixerSpec } from '../mixers/spec.ts';
import { fullHeadsOf, headMap, mixerGroups } from './mixer-lines.ts';

const near = { window: 5, sinks: 2 };
const window: MixerSpec = { kind: 'sliding_window', ...near };
const linear: LinearSpec = { kind: 'retnet', heads: 2, keyDim: 8, valueDim: 8 };
const heads = (...fullHeads: number[]): MixerSpec => ({ kind: 'head_attention', fullHeads, ...near });
const layers = [window, heads(2), linear, { kind: 'attention' } as const, heads(0, 1), window];
const config = tinyConfig(layers, { numHeads: 6, numKvHeads: 3 });

test('mixers that differ by their full heads alone are one', () => {
  expect(mixerGroups(layers)).toEqual([
    { text: 'sliding_window window=5 sinks=2', layers: [0, 5] },
    { text: 'head_attention full_heads=1.2,4.0,4.1 window=5 sinks=2', layers: [1, 4] },
    { text: 'retnet heads=2 key_dim=8 value_dim=8', layers: [2] },
    { text: 'attention', layers: [3] },
  ]);
  expect(mixerGroups([heads(0), { ...heads(0), window: 9 } as MixerSpec])).toHaveLength(2);
});

test('a mixer within another one', () => {
  const both: MixerSpec = { kind: 'window_linear', ...near, linear };
  expect(mixerGroups([both, { ...both, linear: { ...linear, heads: 4 } }, both])).toEqual([
    { text: 'window_linear window=5 sinks=2 linear=(retnet heads=2 key_dim=8 value_dim=8)', layers: [0, 2] },
    { text: 'window_linear window=5 sinks=2 linear=(retnet heads=4 key_dim=8 value_dim=8)', layers: [1] },
  ]);
});

test('the heads that see all tokens, by layer and as a map', () => {
  expect(layers.map((mixer) => fullHeadsOf(mixer, config))).toEqual([[], [2], null, [0, 1, 2], [0, 1], []]);
  expect(headMap(config)).toEqual(['layer   0', 'head 0  .. ##.', 'head 1  .. ##.', 'head 2  .# #..']);
});

test('many layers in lines of 60', () => {
  const deep = { ...config, layers: Array.from({ length: 65 }, (_, i) => (i === 61 ? heads(1) : window)) };
  const lines = headMap(deep);
  expect(lines).toHaveLength(8);
  expect(lines[0]).toBe('layer   0         10        20        30        40        50');
  expect(lines[1]).toBe(`head 0  ${'.'.repeat(60)}`);
  expect(lines.slice(4)).toEqual(['layer   60', 'head 0  .....', 'head 1  .#...', 'head 2  .....']);
});
