import { rotary } from '../../../src/graph/index.ts';
import { at, below, type OpCase } from '../op-case.ts';

const rotated: OpCase['expect'] = ({ x, positions, cos, sin }, [b, h, t, k]) => {
  const half = x!.shape[3]! / 2;
  const position = at(positions!, [b!, t!]);
  const [c, s] = [at(cos!, [position, k! % half]), at(sin!, [position, k! % half])];
  const other = at(x!, [b!, h!, t!, (k! + half) % (2 * half)]);
  return at(x!, [b!, h!, t!, k!]) * c + (k! < half ? -other : other) * s;
};

export const rotaryCases: OpCase[] = [
  {
    shape: ['B', 3, 'T', 4],
    half: 2,
    sizes: [
      { B: 2, T: 2 },
      { B: 1, T: 1 },
    ],
  },
  { shape: [2, 1, 3, 2], half: 1 },
  { shape: [1, 2, 'T', 8], half: 4, sizes: [{ T: 3 }] },
].map<OpCase>(({ shape, half, sizes }) => ({
  op: 'rotary',
  title: `[${shape}]`,
  inputs: {
    x: { shape },
    positions: { shape: [shape[0]!, shape[2]!], dtype: 'int64', draw: below(5), gradient: false },
    cos: { shape: [5, half], gradient: false },
    sin: { shape: [5, half], gradient: false },
  },
  sizes,
  build: ({ x, positions, cos, sin }) => rotary(x!, positions!, cos!, sin!),
  expect: rotated,
}));
