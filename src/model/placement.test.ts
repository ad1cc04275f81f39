import { describe, expect, test } from 'vitest';
import { tinyConfig } from '../../test/support/random-model.ts';
import type { MixerSpec } from '../mixers/spec.ts';
import { parseJsonObject } from './json-fields.ts';
import {
  applyPlacement,
  type Placement,
  placementFromJson,
  placementOf,
  placementText,
} from './placement.ts';

const FILE = {
  format: 'postnas-placement',
  version: 1,
  name: '64K-100MB',
  weights: '0123456789abcdef',
  num_layers: 5,
  num_kv_heads: 3,
  window: 128,
  sinks: 4,
  full_heads: { '1': [2], '3': [0, 1, 2], '4': [0, 2] },
  windows: { '4': 256 },
  made: { bytes: 123 },
};
const HEADS = { numHeads: 6, numKvHeads: 3, headDim: 8 };
const ATTENTION: MixerSpec = { kind: 'attention' };
const parent = tinyConfig([ATTENTION, ATTENTION, ATTENTION, ATTENTION, ATTENTION], HEADS);
const placed: MixerSpec[] = [
  { kind: 'sliding_window', window: 128, sinks: 4 },
  { kind: 'head_attention', fullHeads: [2], window: 128, sinks: 4 },
  { kind: 'sliding_window', window: 128, sinks: 4 },
  { kind: 'attention' },
  { kind: 'head_attention', fullHeads: [0, 2], window: 256, sinks: 4 },
];

const read = (json: object) => placementFromJson('p.json', parseJsonObject('p.json', JSON.stringify(json)));

test('a placement makes a configuration, and is found from the two', () => {
  const placement = read(FILE);
  expect(placement).toEqual(FILE);
  const config = applyPlacement(parent, placement);
  expect(config).toEqual({ ...parent, layers: placed });
  const { name, weights, made } = placement;
  expect(placementOf(parent, config, { name, weights, made })).toEqual(placement);
});

test('the text is the same placement, short and by lines', () => {
  const text = placementText(read(FILE));
  expect(read(JSON.parse(text))).toEqual(FILE);
  expect(text.split('\n')).toContain('  "full_heads": {"1":[2],"3":[0,1,2],"4":[0,2]},');
  expect(text.length).toBeLessThan(400);
});

test('layers that are no full attention stay as they are, and have to be those that the placement says', () => {
  const linear: MixerSpec = { kind: 'retnet', heads: 2, keyDim: 8, valueDim: 8 };
  const mixed = { ...parent, layers: [ATTENTION, linear, ATTENTION, ATTENTION, ATTENTION] };
  const { '1': _, ...others } = FILE.full_heads;
  const placement = read({ ...FILE, full_heads: others, kept_layers: [1] });
  const config = applyPlacement(mixed, placement);
  expect(config.layers).toEqual([placed[0], linear, ...placed.slice(2)]);
  expect(placementOf(mixed, config, placement)).toEqual(placement);

  expect(() => applyPlacement(mixed, read(FILE))).toThrow(
    'placement 64K-100MB is for a model with full attention in layer 1, where this one has retnet',
  );
  expect(() => applyPlacement(parent, placement)).toThrow(
    'placement 64K-100MB is for a model with something else (kept_layers) in layer 1, where this one has attention',
  );
  const other = { ...config, layers: config.layers.with(1, { ...linear, heads: 4 }) };
  expect(() => placementOf(mixed, other, placement)).toThrow('layer 1 is retnet in the parent');
});

test('another number of layers or heads is refused', () => {
  const shorter = { ...parent, layers: parent.layers.slice(1) };
  expect(() => applyPlacement(shorter, read(FILE))).toThrow(
    'placement 64K-100MB is for 5 layers (num_layers), the model has 4',
  );
  expect(() => applyPlacement({ ...parent, numKvHeads: 6 }, read(FILE))).toThrow(
    'is for 3 KV heads in each layer (num_kv_heads), the model has 6',
  );
  expect(() => placementOf(parent, shorter, read(FILE))).toThrow('keeps the number of layers');
});

test('what no placement can say', () => {
  const to = (at: number, spec: MixerSpec) => ({ ...parent, layers: placed.with(at, spec) });
  expect(() =>
    placementOf(parent, to(0, { kind: 'retnet', heads: 2, keyDim: 8, valueDim: 8 }), read(FILE)),
  ).toThrow('layer 0 is retnet');
  expect(() => placementOf(parent, to(2, { kind: 'sliding_window', window: 128 }), read(FILE))).toThrow(
    'windows with 4 and 0 sinks',
  );
  expect(() => placementOf(parent, parent, { name: 'a/b', weights: FILE.weights })).toThrow('name is "a/b"');
});

test('all layers full, or none', () => {
  const parts = { name: 'all', weights: FILE.weights };
  const all = placementOf(parent, parent, parts);
  expect(Object.keys(all.full_heads)).toHaveLength(5);
  expect(applyPlacement(parent, read(all))).toEqual(parent);
  const window: MixerSpec = { kind: 'sliding_window', window: 64 };
  const windows = { ...parent, layers: parent.layers.map(() => window) };
  const none = placementOf(parent, windows, parts);
  expect(none.full_heads).toEqual({});
  expect(applyPlacement(parent, read(none))).toEqual(windows);
});

describe('a mistake in a file names it, its field, the value and what is expected', () => {
  test.each<[object, string]>([
    [{ format: 'placement' }, 'p.json: format is "placement", expected "postnas-placement"'],
    [{ version: 2 }, 'p.json: version is 2, expected 1'],
    [{ version: undefined }, 'p.json: version is missing, expected 1'],
    [{ name: '../x' }, 'p.json: name is "../x", expected letters, digits'],
    [{ name: 'x.json' }, 'p.json: name is "x.json", expected letters, digits'],
    [{ weights: 'sha256:12' }, 'p.json: weights is "sha256:12", expected the hash of the weights'],
    [{ weights: undefined }, 'p.json: weights is missing'],
    [{ num_layers: 0 }, 'p.json: num_layers is 0, expected a whole number of at least 1'],
    [{ num_kv_heads: '3' }, 'p.json: num_kv_heads is "3", expected a whole number'],
    [{ window: 0 }, 'p.json: window is 0, expected a whole number of at least 1'],
    [{ sinks: -1 }, 'p.json: sinks is -1, expected a whole number of at least 0'],
    [{ sinks: undefined }, 'p.json: sinks is missing'],
    [{ full_heads: undefined }, 'p.json: full_heads is missing, expected an object of layers'],
    [{ full_heads: [1] }, 'p.json: full_heads is [1], expected an object'],
    [{ full_heads: { '5': [0] } }, 'p.json: full_heads: "5" is no layer, expected "0" to "4"'],
    [{ full_heads: { '01': [0] } }, 'p.json: full_heads: "01" is no layer'],
    [{ full_heads: { '1': [] } }, 'p.json: full_heads: 1 is [], expected some of the 3 KV heads'],
    [{ full_heads: { '1': [3] } }, 'p.json: full_heads: 1 is [3], expected some of the 3 KV heads'],
    [{ full_heads: { '1': [1, 0] } }, 'p.json: full_heads: 1 is [1,0]'],
    [{ full_heads: { '1': [0, 0] } }, 'p.json: full_heads: 1 is [0,0]'],
    [{ full_heads: { '1': 2 } }, 'p.json: full_heads: 1 is 2, expected a list'],
    [{ windows: { '2': 0 } }, 'p.json: windows: 2 is 0, expected a whole number of at least 1'],
    [{ windows: { '3': 64 } }, 'expected no window for layer 3, of which full_heads names all heads'],
    [{ kept_layers: [5] }, 'p.json: kept_layers is [5], expected numbers of layers from 0 to 4, ascending'],
    [{ kept_layers: [1] }, 'p.json: full_heads: layer 1 is among kept_layers'],
    [{ made: 'by hand' }, 'p.json: made is "by hand", expected an object'],
    [{ fullHeads: {} }, 'p.json: fullHeads is no field of a placement (format, version, name,'],
  ])('%j', (change, message) => {
    expect(() => read({ ...FILE, ...change })).toThrow(message);
  });
});

// The type has the names of the file, so that a page can give what it has loaded.
FILE satisfies Omit<Placement, 'format' | 'version'>;
