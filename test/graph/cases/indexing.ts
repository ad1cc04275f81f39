import { add, mul, newest, pick, scatterAddRows, take, unpick, unsqueeze } from '../../../src/graph/index.ts';
import { at, below, belowSize, indices, integer, type OpCase, total } from '../op-case.ts';

const rowIndex = { dtype: 'int64', draw: below(4), gradient: false } as const;

export const indexingCases: OpCase[] = [
  ...[
    {
      table: [4, 3],
      index: ['B', 'T'],
      sizes: [
        { B: 2, T: 3 },
        { B: 1, T: 1 },
        { B: 2, T: 0 },
      ],
    },
    { table: [4, 2, 2], index: [5] },
    { table: [4], index: [2, 3] },
    { table: [4, 3], index: [] },
  ].map<OpCase>(({ table, index, sizes }) => ({
    op: 'take',
    title: `[${table}] at [${index}]`,
    inputs: { table: { shape: table }, i: { shape: index, ...rowIndex } },
    sizes,
    build: ({ table, i }) => take(table!, i!),
    expect: ({ table, i }, place) => {
      const front = i!.shape.length;
      return at(table!, [at(i!, place.slice(0, front)), ...place.slice(front)]);
    },
  })),
  {
    op: 'take',
    title: 'int32 indices, a symbolic table',
    inputs: {
      table: { shape: ['N', 2] },
      i: { shape: ['T'], dtype: 'int32', draw: belowSize('N'), gradient: false },
    },
    sizes: [
      { N: 3, T: 4 },
      { N: 1, T: 2 },
    ],
    build: ({ table, i }) => take(table!, i!),
    expect: ({ table, i }, [t, k]) => at(table!, [at(i!, [t!]), k!]),
  },
  {
    op: 'take',
    title: 'an int64 table',
    inputs: {
      table: { shape: [4, 2], dtype: 'int64', draw: integer, gradient: false },
      i: { shape: ['T'], ...rowIndex },
    },
    sizes: [{ T: 3 }],
    build: ({ table, i }) => take(table!, i!),
    expect: ({ table, i }, [t, k]) => at(table!, [at(i!, [t!]), k!]),
  },
  ...[
    {
      index: ['B', 'T'],
      rest: [3],
      sizes: [
        { B: 2, T: 5 },
        { B: 1, T: 1 },
        { B: 2, T: 0 },
      ],
    },
    { index: [6], rest: [2, 2] },
    { index: [7], rest: [] },
  ].map<OpCase>(({ index, rest, sizes }) => ({
    op: 'scatterAddRows',
    title: `rows [${[...index, ...rest]}], with repeated indices`,
    inputs: { rows: { shape: [...index, ...rest] }, i: { shape: index, ...rowIndex } },
    sizes,
    build: ({ rows, i }) => scatterAddRows(rows!, i!, [4, ...rest]),
    expect: ({ rows, i }, [to, ...place]) =>
      total(
        indices(i!.shape)
          .filter((from) => at(i!, from) === to)
          .map((from) => at(rows!, [...from, ...place])),
      ),
  })),
  {
    op: 'scatterAddRows',
    title: 'int32 indices, a symbolic shape',
    inputs: {
      rows: { shape: ['T', 2] },
      like: { shape: ['N'] },
      i: { shape: ['T'], dtype: 'int32', draw: belowSize('N'), gradient: false },
    },
    sizes: [{ T: 5, N: 3 }],
    build: ({ rows, like, i }) => add(scatterAddRows(rows!, i!, ['N', 2]), mul(unsqueeze(like!, 1), 0)),
    expect: ({ rows, i }, [n, k]) =>
      total(
        indices(i!.shape)
          .filter((from) => at(i!, from) === n)
          .map(([t]) => at(rows!, [t!, k!])),
      ),
  },
  ...[
    {
      x: ['B', 'T', 4],
      m: 1,
      sizes: [
        { B: 2, T: 3 },
        { B: 1, T: 1 },
      ],
    },
    { x: [4], m: 3 },
    { x: [3, 4], m: 2 },
  ].flatMap(({ x, m, sizes }): OpCase[] => {
    const front = x.slice(0, -1);
    return [
      {
        sizes,
        op: 'pick',
        title: `${m} of [${x}]`,
        inputs: { x: { shape: x }, i: { shape: [...front, m], ...rowIndex } },
        build: ({ x, i }) => pick(x!, i!),
        expect: ({ x, i }, index) => at(x!, [...index.slice(0, -1), at(i!, index)]),
      },
      {
        sizes,
        op: 'unpick',
        title: `${m} into [${x}], with repeated indices`,
        inputs: { v: { shape: [...front, m] }, i: { shape: [...front, m], ...rowIndex } },
        build: ({ v, i }) => unpick(v!, i!, x),
        expect: ({ v, i }, index) => {
          const prefix = index.slice(0, -1);
          return total(
            Array.from({ length: m }, (_, j) => [...prefix, j])
              .filter((from) => at(i!, from) === index[index.length - 1])
              .map((from) => at(v!, from)),
          );
        },
      },
    ];
  }),
  ...[
    { shape: ['B', 'T', 3], axis: 1, count: 0, kept: 5 },
    { shape: ['B', 'T', 3], axis: 1, count: 2, kept: 2 },
    { shape: [2, 'T'], axis: -1, count: 3, kept: 3 },
    { shape: ['T'], axis: 0, count: 9, kept: 5 },
  ].map<OpCase>(({ shape, axis, count, kept }) => {
    const at0 = (axis + shape.length) % shape.length;
    return {
      op: 'newest',
      title: `${count} of axis ${axis} of [${shape}]`,
      inputs: {
        x: { shape, gradient: false },
        count: { shape: [], dtype: 'int64', draw: () => count, gradient: false },
        // Says what the symbol of the new size is.
        like: { shape: ['kept', ...shape.slice(at0 + 1).map(() => 1)], gradient: false },
      },
      sizes: [{ B: 2, T: 5, kept }],
      build: ({ x, count, like }) => add(newest(x!, axis, count!, 'kept'), like!),
      expect: ({ x, like }, index) => {
        const place = index.map((i, n) => (n === at0 ? i + 5 - kept : i));
        return at(x!, place) + like!.data[index[at0]!]!;
      },
    };
  }),
];
