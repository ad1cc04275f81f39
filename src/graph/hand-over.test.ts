import { expect, test } from 'vitest';
import { Random } from '../util/random.ts';
import {
  add,
  evaluate,
  grad,
  handOver,
  input,
  mul,
  type NdArray,
  ndarray,
  silu,
  sum,
  type Tensor,
} from './index.ts';
import { matmul } from './ops/matmul.ts';

const random = new Random(2);
const filled = (shape: number[]): NdArray =>
  ndarray(
    shape,
    Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.normal()),
  );

test('what is handed over is not computed again, and the results are the same', () => {
  const [x, w, u] = [
    input('x', 'float32', [3, 4]),
    input('w', 'float32', [4, 5]),
    input('u', 'float32', [5, 2]),
  ];
  const hidden = silu(matmul(x, w));
  const y = matmul(hidden, u);
  const z = add(y, 1);
  const loss = sum(mul(z, z));
  const [dw, du] = grad(loss, [w, u]) as [Tensor, Tensor];
  const values = new Map([
    [x, filled([3, 4])],
    [w, filled([4, 5])],
    [u, filled([5, 2])],
  ]);
  const expected = evaluate([z, dw, du], values);

  const { first, second, handed } = handOver({ z }, { dw, du }, ({ op }) => op.name === 'matmul', { z });
  // The last product is in z already.
  expect(Object.values(handed)).toEqual([hidden.node.inputs[0]]);
  expect(Object.keys(first)).toEqual(['z', ...Object.keys(handed)]);
  const results = evaluate(Object.values(first), values);
  expect(results[0]).toEqual(expected[0]);
  const feeds = new Map(values);
  const names = Object.keys(first);
  for (const node of inputsOf(Object.values(second))) {
    const at = names.indexOf(node.node.attributes.name as string);
    if (at >= 0) feeds.set(node, results[at]!);
  }
  expect(inputsOf(Object.values(second)).map(({ node }) => node.attributes.name)).toEqual(
    expect.arrayContaining(['z', ...Object.keys(handed)]),
  );
  // Of the first's products none is left.
  expect(count(Object.values(second), 'matmul')).toBe(count([dw, du], 'matmul') - 2);
  expect(evaluate(Object.values(second), feeds)).toEqual(expected.slice(1));
});

test('nothing is handed over that the second program does not need', () => {
  const [x, w] = [input('x', 'float32', [2, 2]), input('w', 'float32', [2, 2])];
  const y = matmul(matmul(x, w), w);
  const other = matmul(x, x);
  const { second, handed } = handOver({ y }, { other }, ({ op }) => op.name === 'matmul');
  expect(handed).toEqual({});
  expect(second).toEqual({ other });
});

function nodesOf(outputs: readonly Tensor[]) {
  const found = new Set<Tensor['node']>();
  const visit = (x: Tensor) => {
    if (found.has(x.node)) return;
    found.add(x.node);
    x.node.inputs.forEach(visit);
  };
  outputs.forEach(visit);
  return [...found];
}

function inputsOf(outputs: readonly Tensor[]): Tensor[] {
  return nodesOf(outputs)
    .filter(({ op }) => op.name === 'input')
    .map(({ outputs: [x] }) => x!);
}

function count(outputs: readonly Tensor[], op: string): number {
  return nodesOf(outputs).filter((node) => node.op.name === op).length;
}
