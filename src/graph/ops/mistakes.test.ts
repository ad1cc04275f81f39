import { describe, expect, test } from 'vitest';
import {
  add,
  and,
  argMax,
  concat,
  constant,
  cumsum,
  depthwiseConv,
  exp,
  expand,
  fill,
  GraphError,
  gather,
  input,
  less,
  linear,
  matmul,
  mean,
  mul,
  not,
  pad,
  pick,
  reshape,
  rmsNorm,
  rotary,
  scatter,
  scatterAddRows,
  slice,
  softmax,
  split,
  squeeze,
  sum,
  swapLast,
  take,
  transpose,
  unitLowerInverse,
  unpick,
  unsqueeze,
  where,
} from '../index.ts';

/** Every mistake is reported by the call that records it, with the shapes or dtypes on both sides. */
const x = input('x', 'float32', ['B', 'T', 4]);
const m = input('m', 'float32', [3, 4]);
const half = input('half', 'float16', [4]);
const ids = input('ids', 'int64', ['B', 'T']);
const mask = input('mask', 'bool', ['T']);

const mistakes: Record<string, [() => unknown, RegExp]> = {
  'add of shapes that do not broadcast': [
    () => add(x, input('y', 'float32', [3])),
    /add.*\[B, T, 4\].*\[3\]/,
  ],
  'add of two symbols': [() => add(x, input('y', 'float32', ['T', 1, 4])), /\[B, T, 4\].*\[T, 1, 4\]/],
  'mul of two dtypes': [() => mul(x, half), /mul.*float32\[B, T, 4\].*float16\[4\]/],
  'mul of two numbers': [() => mul(2, 3), /mul: needs at least one tensor/],
  'mul of an integer tensor and a fraction': [() => mul(ids, 0.5), /0.5 is no int64/],
  'add of bools': [() => add(mask, mask), /add: needs numbers, got bool\[T\]/],
  'less of bools': [() => less(mask, mask), /less: needs numbers/],
  'and of floats': [() => and(x, x), /and: needs bools, got float32\[B, T, 4\]/],
  'not of floats': [() => not(x), /not: needs a bool tensor/],
  'exp of integers': [() => exp(ids), /exp: needs a float tensor, got input:int64\[B, T\]/],
  'where with a condition of floats': [() => where(x, 1, x), /where: the condition is .*float32/],
  'where of two dtypes': [() => where(mask, half, x), /where.*float16\[4\].*float32\[B, T, 4\]/],
  'matmul of inner dimensions': [() => matmul(x, m), /matmul: \[B, T, 4\] x \[3, 4\].*4 and 3/],
  'matmul transposed': [
    () => matmul(x, m, { transA: true }),
    /\[B, T, 4\] transposed x \[3, 4\]: inner dimensions T and 3/,
  ],
  'matmul of a vector': [() => matmul(x, half), /both need at least two axes/],
  'matmul of dtypes': [
    () => matmul(input('a', 'float16', [2, 4]), m, { transB: true }),
    /matmul: dtypes float16 and float32/,
  ],
  'matmul of batches': [
    () => matmul(input('a', 'float32', [2, 3, 4]), input('b', 'float32', [3, 4, 3])),
    /matmul.*\[2\].*\[3\]/,
  ],
  'linear of another width': [() => linear(x, input('w', 'float32', [7, 5])), /\[B, T, 4\] x \[7, 5\]/],
  'reshape to another size': [() => reshape(x, ['B', 'T', 3]), /\[B, T, 4\] has 4\*B\*T.*\[B, T, 3\]/],
  'reshape with nothing left over': [
    () => reshape(x, [-1, 3]),
    /reshape: \[B, T, 4\] does not fit \[-1, 3\]/,
  ],
  'reshape to two open sizes': [() => reshape(x, [-1, -1]), /reshape/],
  'transpose with an axis twice': [
    () => transpose(x, [0, 1, 1]),
    /\[0, 1, 1\] is no permutation.*\[B, T, 4\]/,
  ],
  'transpose with an axis missing': [() => transpose(x, [1, 0]), /no permutation/],
  'swapLast of a vector': [() => swapLast(half), /fewer than two axes/],
  'expand to another size': [() => expand(m, [3, 5]), /expand.*\[3, 4\].*\[3, 5\]/],
  'expand to fewer axes': [() => expand(x, [4]), /expand: \[B, T, 4\].*\[4\]/],
  'slice past the end': [() => slice(m, 1, 2, 5), /slice: 2 to 5 of axis 1 of .*\[3, 4\]/],
  'slice backwards': [() => slice(x, 2, 3, 1), /slice: 3 to 1/],
  'slice of an axis there is not': [() => slice(m, 2, 0), /slice: axis 2 of .*which has 2 axes/],
  'pad of an axis there is not': [() => pad(m, -3, 1, 1), /pad: axis -3/],
  'concat of other sizes': [() => concat([m, input('y', 'float32', [3, 5])], 0), /\[3, 4\] and .*\[3, 5\]/],
  'concat of dtypes': [() => concat([half, input('y', 'float32', [4])], 0), /float16\[4\].*float32\[4\]/],
  'concat of nothing': [() => concat([], 0), /no tensors/],
  'split into sizes that do not add up': [
    () => split(m, 1, [1, 2]),
    /split: sizes 1, 2 of axis 1 of \[3, 4\]/,
  ],
  'unsqueeze beyond the rank': [() => unsqueeze(m, 3), /unsqueeze: axis 3 of .*\[3, 4\]/],
  'squeeze of a size': [() => squeeze(m, 0), /axis 0 of .*\[3, 4\] is not of size 1/],
  'sum over an axis there is not': [() => sum(m, [0, 2]), /sum: axis 2/],
  'sum of bools': [() => sum(mask), /sum: needs numbers, got .*bool/],
  'mean of integers': [() => mean(ids), /mean: needs a float tensor, got .*int64/],
  'cumsum over half an axis': [() => cumsum(m, 0.5), /cumsum: axis 0.5/],
  'argMax of bools': [() => argMax(mask), /argMax: needs numbers/],
  'softmax of a scalar': [() => softmax(sum(x)), /softmax: needs a float tensor with axes/],
  'rmsNorm with another weight': [
    () => rmsNorm(x, input('w', 'float32', [5]), 1e-6),
    /weight float32\[5\].*float32\[B, T, 4\]/,
  ],
  'rmsNorm with a weight of another dtype': [
    () => rmsNorm(x, half, 1e-6),
    /float16\[4\].*float32\[B, T, 4\]/,
  ],
  'take with float indices': [() => take(m, half), /take: indices are .*float16\[4\], not int64 or int32/],
  'take from a scalar': [() => take(sum(x), ids), /which has no rows/],
  'scatterAddRows of other rows': [
    () => scatterAddRows(m, ids, [9, 4]),
    /rows \[3, 4\] at indices \[B, T\] of \[9, 4\]/,
  ],
  'gather by numbers': [() => gather(m, 0, half), /gather: indices are .*float16\[4\], not int64/],
  'gather along an axis there is not': [() => gather(m, 2, ids), /gather: axis 2/],
  'scatter of other rows': [
    () => scatter(m, unsqueeze(ids, -1), m),
    /scatter: .*float32\[3, 4\] at indices \[B, T, 1\] of .*float32\[3, 4\]/,
  ],
  'pick of other rows': [() => pick(x, ids), /pick: indices \[B, T\] do not fit \[B, T, 4\]/],
  'unpick of other indices': [
    () => unpick(x, unsqueeze(ids, -1), ['B', 'T', 9]),
    /values \[B, T, 4\] at indices \[B, T, 1\] of \[B, T, 9\]/,
  ],
  'rotary of three axes': [
    () => rotary(x, ids, m, m),
    /rotary: x float32\[B, T, 4\], positions int64\[B, T\]/,
  ],
  'unitLowerInverse of no square': [
    () => unitLowerInverse(m),
    /matrices of one static size, got float32\[3, 4\]/,
  ],
  'depthwiseConv of other channels': [
    () => depthwiseConv(x, m),
    /x float32\[B, T, 4\], weight float32\[3, 4\]/,
  ],
  'depthwiseConv of a symbolic number of channels': [
    () => depthwiseConv(x, input('w', 'float32', ['T', 3])),
    /weight float32\[T, 3\]/,
  ],
  'constant of another length': [() => constant([1, 2, 3], [2, 2]), /3 values for shape \[2, 2\]/],
  'constant of fractions as integers': [() => constant([1, 2.5], [2], 'int32'), /2.5 is no int32/],
  'fill of a bool with 2': [() => fill(2, ['T'], 'bool'), /2 is no bool/],
};

describe('a mistake is reported where it is recorded:', () => {
  for (const [title, [record, message]] of Object.entries(mistakes)) {
    test(title, () => {
      expect(record).toThrow(GraphError);
      expect(record).toThrow(message);
    });
  }
});
