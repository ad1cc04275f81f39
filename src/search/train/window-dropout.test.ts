import { expect, test } from 'vitest';
import { tinyGla } from '../../../test/support/tiny-network.ts';
import type { MixerSpec } from '../../mixers/spec.ts';
import { Random } from '../../util/random.ts';
import { keptWindows, shareAt } from './window-dropout.ts';

const window: MixerSpec = { kind: 'sliding_window', window: 4 };
const beside: MixerSpec = { kind: 'window_linear', window: 4, linear: tinyGla };
const layers = [{ kind: 'attention' } as const, beside, window, tinyGla, beside];

test('the share falls to none over the steps', () => {
  expect([0, 1, 2, 3].map((step) => shareAt(0.5, step / 4))).toEqual([0.5, 0.375, 0.25, 0.125]);
});

test('rows are drawn for each layer of a window and a linear mixer, and for no other', () => {
  const kept = keptWindows(layers, 2000, 0.3, new Random(1));
  expect([...kept.keys()]).toEqual([1, 4]);
  const rows = [...kept.values()].map(({ data }) => [...(data as Float32Array)]);
  for (const each of rows) {
    expect(new Set(each)).toEqual(new Set([0, 1]));
    expect(each.filter((row) => row === 0).length / 2000).toBeCloseTo(0.3, 1);
  }
  expect(rows[0]).not.toEqual(rows[1]);
});

test('all rows or none', () => {
  const all = keptWindows(layers, 3, 1, new Random(1));
  expect([...all.values()].map(({ data }) => [...(data as Float32Array)])).toEqual([
    [0, 0, 0],
    [0, 0, 0],
  ]);
  // Nothing is drawn that training without it would not draw.
  const random = new Random(1);
  expect(keptWindows(layers, 3, 0, random).size).toBe(0);
  expect(random.uniform()).toBe(new Random(1).uniform());
});
