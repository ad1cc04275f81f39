import { describe, expect, test } from 'vitest';
import { expectClose } from '../../test/graph/check-case.ts';
import { Random } from '../util/random.ts';
import {
  add,
  argMax,
  cast,
  concat,
  cumsum,
  evaluate,
  exp,
  GraphError,
  grad,
  gradients,
  input,
  log,
  logSoftmax,
  matmul,
  max,
  maximum,
  mean,
  minimum,
  mul,
  type NdArray,
  ndarray,
  pick,
  rmsNorm,
  scalar,
  sigmoid,
  silu,
  softmax,
  split,
  stopGradient,
  sub,
  sum,
  type Tensor,
  take,
  tanh,
} from './index.ts';

const random = new Random(3);

function normal(shape: readonly number[]): NdArray {
  const size = shape.reduce((a, b) => a * b, 1);
  return ndarray(
    shape,
    Array.from({ length: size }, () => random.normal()),
  );
}

/** The derivative of a scalar graph with respect to x, by central differences. */
function numeric(loss: Tensor, x: Tensor, feeds: ReadonlyMap<Tensor, NdArray>): NdArray {
  const step = 1e-5;
  const value = feeds.get(x)!;
  const data = value.data.map((_, i) => {
    const moved = (by: number) => {
      const copy = ndarray(value.shape, value.data);
      copy.data[i]! += by;
      return evaluate([loss], new Map(feeds).set(x, copy))[0]!.data[0]!;
    };
    return (moved(step) - moved(-step)) / (2 * step);
  });
  return { shape: value.shape, data };
}

describe('second order: the gradient of (gradient . direction)', () => {
  const x = input('x', 'float32', ['T', 3]);
  const w = input('w', 'float32', [3, 3]);
  const scale = input('scale', 'float32', [3]);
  const targets = input('targets', 'int64', ['T', 1]);
  const composites: Record<string, Tensor> = {
    'softmax of a product': sum(mul(softmax(matmul(x, w)), tanh(x))),
    'cross entropy of a norm': mean(pick(logSoftmax(matmul(rmsNorm(x, scale, 0.01), w)), targets)),
    'gated running sums': sum(mul(cumsum(silu(matmul(x, w, { transB: true })), 0), sigmoid(mul(x, scale)))),
    'attention with shared weights': sum(
      tanh(matmul(softmax(matmul(x, matmul(x, w), { transB: true, alpha: 0.5 })), mul(x, scale))),
    ),
  };
  for (const [title, loss] of Object.entries(composites)) {
    test(title, () => {
      const feeds = new Map<Tensor, NdArray>([
        [x, normal([4, 3])],
        [w, normal([3, 3])],
        [scale, normal([3])],
        [targets, ndarray([4, 1], [0, 2, 1, 2])],
      ]);
      const direction = input('direction', 'float32', [3, 3]);
      feeds.set(direction, normal([3, 3]));
      const [dw] = grad(loss, [w]) as [Tensor];
      const along = sum(mul(dw, direction));
      for (const wanted of [w, x]) {
        const [second] = evaluate(grad(along, [wanted]), feeds) as [NdArray];
        expectClose(title, second, numeric(along, wanted, feeds), 1e-6);
      }
    });
  }
});

describe('accumulation', () => {
  const x = input('x', 'float32', [3]);
  const values = ndarray([3], [0.5, -1, 2]);
  const value = (y: Tensor) => [...evaluate([y], new Map([[x, values]]))[0]!.data];

  test('over every use of a tensor', () => {
    const y = tanh(x);
    // d/dx (y^2 + y + x + x) with y shared.
    const loss = sum(add(add(mul(y, y), y), add(x, x)));
    const expected = [...values.data].map((v) => {
      const t = Math.tanh(v);
      return (2 * t + 1) * (1 - t * t) + 2;
    });
    expectClose('gradient', ndarray([3], value(grad(loss, [x])[0]!)), ndarray([3], expected), 1e-14);
  });

  test('a tensor that is both operands', () => {
    expect(value(grad(sum(mul(x, x)), [x])[0]!)).toEqual([1, -2, 4]);
    expect(value(grad(sum(sub(x, x)), [x])[0]!)).toEqual([0, 0, 0]);
  });

  test('over several outputs, and of one output given twice', () => {
    const seed = scalar(10);
    const outputs = [{ output: sum(x) }, { output: sum(mul(x, x)), seed }];
    expect(value(gradients(outputs, [x])[0]!)).toEqual([11, -19, 41]);
    const loss = sum(x);
    expect(value(gradients([{ output: loss }, { output: loss }], [x])[0]!)).toEqual([2, 2, 2]);
  });

  test('pieces of a split, not all of them used', () => {
    const [a, , c] = split(x, 0, [1, 1, 1]) as [Tensor, Tensor, Tensor];
    expect(value(grad(sum(concat([mul(c, 5), a], 0)), [x])[0]!)).toEqual([1, 0, 5]);
  });

  test('through a long chain, without recursion', () => {
    let y = x;
    for (let i = 0; i < 20_000; i++) y = add(y, 0);
    expect(value(grad(sum(y), [x])[0]!)).toEqual([1, 1, 1]);
  });
});

describe('what is asked for', () => {
  const x = input('x', 'float32', [2, 2]);
  const feeds = new Map([[x, ndarray([2, 2], [1, 2, 3, 4])]]);
  const value = (y: Tensor) => [...evaluate([y], feeds)[0]!.data];

  test('a tensor in the middle, together with what it depends on', () => {
    const y = mul(x, 3);
    const loss = sum(mul(y, y));
    const [dy, dx] = grad(loss, [y, x]) as [Tensor, Tensor];
    expect(value(dy)).toEqual([6, 12, 18, 24]);
    expect(value(dx)).toEqual([18, 36, 54, 72]);
  });

  test('the output itself', () => {
    const loss = sum(x);
    expect(value(grad(loss, [loss])[0]!)).toEqual([1]);
  });

  test('a seed makes it a vector-Jacobian product', () => {
    const seed = input('seed', 'float32', [2, 2]);
    const [dx] = grad(exp(x), [x], seed) as [Tensor];
    const v = ndarray([2, 2], [1, 0, -1, 2]);
    const [result] = evaluate([dx], new Map([...feeds, [seed, v]])) as [NdArray];
    expectClose(
      'seeded',
      result,
      ndarray(
        [2, 2],
        [...v.data].map((s, i) => s * Math.exp(i + 1)),
      ),
      1e-12,
    );
  });

  test('scalars, of rank 0 throughout', () => {
    const s = input('s', 'float32', []);
    const [ds] = grad(log(mul(s, s)), [s]) as [Tensor];
    expect(ds.shape).toEqual([]);
    expect(evaluate([ds], new Map([[s, ndarray([], [4])]]))[0]!.data[0]).toBeCloseTo(0.5, 14);
  });

  test('stopGradient takes a factor as constant', () => {
    expect(value(grad(sum(mul(x, stopGradient(x))), [x])[0]!)).toEqual([1, 2, 3, 4]);
    expect(() => grad(sum(stopGradient(x)), [x])).toThrow('nothing differentiable leads from the output to');
  });

  test('ties: equal largest elements share, the first of two operands takes all', () => {
    const tied = new Map([[x, ndarray([2, 2], [5, 5, 1, 5])]]);
    const at = (y: Tensor) => [...evaluate([y], tied)[0]!.data];
    expect(at(grad(max(x), [x])[0]!)).toEqual([1 / 3, 1 / 3, 0, 1 / 3]);
    expect(at(grad(sum(max(x, 1)), [x])[0]!)).toEqual([0.5, 0.5, 0, 1]);
    expect(at(grad(sum(maximum(x, mul(stopGradient(x), 1))), [x])[0]!)).toEqual([1, 1, 1, 1]);
    expect(at(grad(sum(minimum(mul(stopGradient(x), 1), x)), [x])[0]!)).toEqual([0, 0, 0, 0]);
  });

  test('half precision keeps its type', () => {
    const half = input('half', 'float16', [3]);
    const [d] = grad(mean(cast(mul(half, half), 'float32')), [half]) as [Tensor];
    expect(d.dtype).toBe('float16');
  });
});

describe('mistakes', () => {
  const x = input('x', 'float32', ['B', 3]);

  test('an output that is not differentiable', () => {
    expect(() => grad(x, [x])).toThrow('grad: input:float32[B, 3] is no scalar and no seed was given');
    expect(() => grad(argMax(x, 0), [x], argMax(x, 0))).toThrow(/is not a float tensor/);
  });

  test('a seed of another shape or dtype', () => {
    expect(() => grad(x, [x], input('s', 'float32', [3, 'B']))).toThrow(/seed .*\[3, B\] for .*\[B, 3\]/);
    expect(() => grad(x, [x], input('s', 'float16', ['B', 3]))).toThrow(GraphError);
  });

  test('a wanted tensor that the loss does not depend on', () => {
    const other = input('other', 'float32', [3]);
    expect(() => grad(sum(x), [x, other])).toThrow(/nothing differentiable leads from the output to .*\[3\]/);
    const table = input('table', 'float32', [5, 2]);
    const index = argMax(x, -1);
    expect(() => grad(sum(take(table, index)), [x])).toThrow(/nothing differentiable/);
  });
});
