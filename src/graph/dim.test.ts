import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addDims, bindDim, canonicalShape, type Dim, divDims, mulDims, sizeOf, subDims } from './dim.ts';
import { bindInputs } from './evaluate.ts';
import { GraphError, input } from './index.ts';

const bindings = new Map([
  ['B', 3],
  ['P', 5],
  ['T', 7],
]);

/** Dimensions made by sums and products. */
const dim = fc.letrec<{ dim: Dim }>((tie) => ({
  dim: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom<Dim>('B', 'P', 'T', 0, 1, 2, 6),
    fc.tuple(tie('dim'), tie('dim')).map(([a, b]) => addDims(a, b)),
    fc.tuple(tie('dim'), tie('dim')).map(([a, b]) => mulDims(a, b)),
  ),
})).dim;

test('the text of a dimension is canonical', () => {
  expect(addDims('T', 'P')).toBe('P+T');
  expect(addDims('P', 'T')).toBe('P+T');
  expect(mulDims('T', mulDims(2, 'B'))).toBe('2*B*T');
  expect(mulDims(addDims('P', 'T'), addDims('T', 1))).toBe('P+P*T+T+T*T');
  expect(subDims(addDims('P', 'T'), 'P')).toBe('T');
  expect(subDims('T', 'T')).toBe(0);
  expect(subDims('T', 1)).toBe('T-1');
  expect(subDims(1, 'T')).toBe('-T+1');
  expect(sizeOf(['B', 2, 'T', 3])).toBe('6*B*T');
  expect(sizeOf([])).toBe(1);
  expect(canonicalShape('test', ['T+P', '3*T*2*B', 'T+T', '4*1'])).toEqual(['P+T', '6*B*T', '2*T', 4]);
});

test('sums, differences, products and quotients agree with those of numbers', () => {
  const value = (d: Dim) => bindDim(d, bindings);
  fc.assert(
    fc.property(dim, dim, (a, b) => {
      expect(value(addDims(a, b))).toBe(value(a) + value(b));
      expect(value(subDims(a, b))).toBe(value(a) - value(b));
      expect(value(mulDims(a, b))).toBe(value(a) * value(b));
      expect(addDims(a, b)).toBe(addDims(b, a));
      expect(canonicalShape('test', [a])).toEqual([a]);
      const quotient = b === 0 ? null : divDims(a, b);
      if (quotient !== null) expect(value(quotient) * value(b)).toBe(value(a));
    }),
  );
});

test('a quotient is found where it comes out even, and only there', () => {
  expect(divDims('6*B*T', '2*T')).toBe('3*B');
  expect(divDims('2*P+4*T', 2)).toBe('P+2*T');
  expect(divDims('P+T', 'P+T')).toBe(1);
  expect(divDims('B*T', 'P')).toBeNull();
  expect(divDims('3*T', 2)).toBeNull();
  expect(divDims(7, 0)).toBeNull();
});

test.each(['', 'T P', 'T/2', '2T', 'T**2', '(T+1)*2', 'T+', '*T'])('"%s" is no dimension', (text) => {
  expect(() => input('x', 'float32', ['B', text])).toThrow(GraphError);
});

test.each([-1, 1.5, Number.NaN])('%s is no size', (size) => {
  expect(() => input('x', 'float32', [size])).toThrow(/input x/);
});

describe('binding symbols by the shapes of inputs', () => {
  const x = input('x', 'float32', ['B', 'T']);
  const mask = input('mask', 'float32', ['P+T']);

  test('a sum bound as a whole, and checked once its symbols are known', () => {
    const bound = bindInputs([
      { tensor: x, shape: [2, 3] },
      { tensor: mask, shape: [8] },
    ]);
    expect(bindDim('P+T', bound)).toBe(8);
    expect(() => bindDim('P', bound)).toThrow(/nothing says what P is/);
    const past = input('past', 'float32', ['P']);
    const shapes = (p: number) => [
      { tensor: x, shape: [2, 3] },
      { tensor: mask, shape: [8] },
      { tensor: past, shape: [p] },
    ];
    expect(bindDim('2*P', bindInputs(shapes(5)))).toBe(10);
    expect(() => bindInputs(shapes(4))).toThrow('input mask: P+T is 8 here and 7 by the other inputs');
  });

  test('inputs that disagree', () => {
    const y = input('y', 'float32', ['T']);
    const given = [
      { tensor: x, shape: [2, 3] },
      { tensor: y, shape: [4] },
    ];
    expect(() => bindInputs(given)).toThrow('input y: T is 4 here and 3 in another axis');
    expect(() => bindInputs([{ tensor: x, shape: [2] }])).toThrow('input x: shape [2], expected [B, T]');
    const fixed = input('z', 'float32', [2, 3]);
    expect(() => bindInputs([{ tensor: fixed, shape: [2, 4] }])).toThrow(
      'input z: shape [2, 4], expected [2, 3]',
    );
  });
});
