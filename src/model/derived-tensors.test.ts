import { expect, test } from 'vitest';
import { DerivedTensors } from './derived-tensors.ts';
import { MemoryTensors } from './memory-tensors.ts';

const stored = new MemoryTensors([
  ['fused', { shape: [4, 2], data: Float32Array.of(0, 1, 2, 3, 4, 5, 6, 7) }],
  ['norm', { shape: [2], data: Float32Array.of(0.5, -0.5) }],
  ['other', { shape: [1], data: Float32Array.of(9) }],
]);
const derived = new DerivedTensors(
  stored,
  new Map([
    ['q', { stored: 'fused', rows: [[0, 1]] }],
    ['v', { stored: 'fused', rows: [[1, 3]], times: 2 }],
    [
      'turned',
      {
        stored: 'fused',
        rows: [
          [2, 2],
          [0, 1],
          [0, 1],
        ],
      },
    ],
    ['norm', { stored: 'norm', plus: 1, times: 4 }],
  ]),
);

test('rows, sums and factors of stored tensors, which are no longer seen', () => {
  expect(derived.names().sort()).toEqual(['norm', 'other', 'q', 'turned', 'v']);
  expect([...derived.read('q')]).toEqual([0, 1]);
  expect([...derived.read('v')]).toEqual([4, 6, 8, 10, 12, 14]);
  expect([...derived.read('turned')]).toEqual([4, 5, 6, 7, 0, 1, 0, 1]);
  expect(derived.info('turned').shape).toEqual([4, 2]);
  expect([...derived.read('norm')]).toEqual([6, 2]);
  expect([...derived.read('other')]).toEqual([9]);
  expect(derived.info('v')).toEqual({ name: 'v', dtype: 'F32', shape: [3, 2] });
  expect(derived.has('fused')).toBe(false);
  expect(derived.has('nothing')).toBe(false);
});

test('others can be left out', () => {
  const alone = new DerivedTensors(stored, new Map([['x', { stored: 'other' }]]), { others: false });
  expect(alone.names()).toEqual(['x']);
  expect([alone.has('x'), alone.has('norm')]).toEqual([true, false]);
});

test('parts begin with the rows', () => {
  expect([...derived.part('v', 2, 3)]).toEqual([8, 10, 12]);
  expect([...derived.part('turned', 2, 4)]).toEqual([6, 7, 0, 1]);
  expect([...derived.part('other', 0, 1)]).toEqual([9]);
});
