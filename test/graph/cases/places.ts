import { gather, scatter } from '../../../src/graph/index.ts';
import { at, below, indices, type OpCase } from '../op-case.ts';

export const placesCases: OpCase[] = [
  ...[
    {
      shape: ['B', 4, 2],
      axis: 1,
      index: ['N', 'S'],
      sizes: [
        { B: 2, N: 3, S: 2 },
        { B: 1, N: 1, S: 5 },
      ],
    },
    { shape: [4, 'T'], axis: 0, index: ['N'], sizes: [{ T: 3, N: 6 }] },
    { shape: [2, 3, 4], axis: -1, index: [2, 1], sizes: [{}] },
  ].map<OpCase>(({ shape, axis, index, sizes }) => {
    const front = (axis + shape.length) % shape.length;
    return {
      op: 'gather',
      title: `axis ${axis} of [${shape}] at [${index}]`,
      inputs: {
        x: { shape, gradient: false },
        i: { shape: index, dtype: 'int64', draw: below(4), gradient: false },
      },
      sizes: sizes as OpCase['sizes'],
      build: ({ x, i }) => gather(x!, axis, i!),
      expect: ({ x, i }, place) => {
        const behind = front + index.length;
        const taken = at(i!, place.slice(front, behind));
        return at(x!, [...place.slice(0, front), taken, ...place.slice(behind)]);
      },
    };
  }),
  ...[
    {
      ...{ shape: ['B', 2, 4, 3], rows: ['B', 2, 1, 3], axes: 3, sizes: [{ B: 3 }, { B: 1 }, { B: 0 }] },
      // A row of every sequence and head, in another place each.
      index: (n: number) => [Math.floor(n / 6), Math.floor(n / 3) % 2, Math.floor(n / 3) % 4][n % 3]!,
    },
    { shape: [5, 'W'], rows: [2, 'W'], axes: 1, sizes: [{ W: 2 }], index: (n: number) => 4 - 3 * n },
    { shape: [2, 3], rows: [1], axes: 2, sizes: [{}], index: (n: number) => 1 + n },
  ].map<OpCase>(({ shape, rows, sizes, axes, index }) => ({
    op: 'scatter',
    title: `[${rows}] into [${shape}] by ${axes} axes`,
    inputs: {
      x: { shape, gradient: false },
      i: {
        shape: [...rows.slice(0, rows.length - shape.length + axes), axes],
        ...{ dtype: 'int64', draw: (_random, n) => index(n), gradient: false },
      },
      rows: { shape: rows, gradient: false },
    },
    sizes: sizes as OpCase['sizes'],
    build: ({ x, i, rows }) => scatter(x!, i!, rows!),
    expect: ({ x, i, rows }, place) => {
      const front = i!.shape.slice(0, -1);
      const row = indices(front).findLast((row) =>
        place.slice(0, axes).every((index, axis) => at(i!, [...row, axis]) === index),
      );
      return row ? at(rows!, [...row, ...place.slice(axes)]) : at(x!, place);
    },
  })),
];
