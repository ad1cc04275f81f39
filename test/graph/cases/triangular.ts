import { matmul, unitLowerInverse } from '../../../src/graph/index.ts';
import { at, type Draw, type OpCase, range, total } from '../op-case.ts';

/** Small enough that the inverses of larger matrices do not grow beyond what float32 can compare. */
const small: Draw = (random) => 0.4 * random.normal();

/** Column j of the inverse by forward substitution, the textbook way. */
const inverse: OpCase['expect'] = ({ n }, index) => {
  const batch = index.slice(0, -2);
  const [row, column] = index.slice(-2) as [number, number];
  const solution: number[] = [];
  for (let i = 0; i <= row; i++) {
    const known = total(range(i).map((k) => at(n!, [...batch, i, k]) * solution[k]!));
    solution.push((i === column ? 1 : 0) - known);
  }
  return solution[row]!;
};

export const triangularCases: OpCase[] = [
  { shape: [1, 1] },
  { shape: [2, 4, 4] },
  { shape: [1, 5, 5] },
  { shape: [2, 16, 16] },
  { shape: [1, 2, 21, 21] },
  { shape: [32, 32] },
  {
    shape: ['B', 'N', 3, 3],
    sizes: [
      { B: 2, N: 2 },
      { B: 1, N: 1 },
    ],
  },
].map<OpCase>(({ shape, sizes }) => ({
  op: 'unitLowerInverse',
  title: `[${shape}]`,
  inputs: { n: { shape, draw: small } },
  sizes,
  build: ({ n }) => unitLowerInverse(n!),
  expect: inverse,
}));

triangularCases.push({
  op: 'unitLowerInverse',
  title: 'the same entry everywhere, where power series cancel',
  inputs: { n: { shape: [64, 64], draw: () => 1 }, x: { shape: [64, 1], draw: (_random, i) => i % 3 } },
  // The inverse of the all-ones triangle takes differences of neighbours.
  build: ({ n, x }) => matmul(unitLowerInverse(n!), x!),
  expect: ({ x }, [i]) => at(x!, [i!, 0]) - (i! > 0 ? at(x!, [i! - 1, 0]) : 0),
});
