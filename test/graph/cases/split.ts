import { concat, mul, split } from '../../../src/graph/index.ts';
import { at, integer, type OpCase } from '../op-case.ts';

export const splitCases: OpCase[] = [
  ...[
    { shape: [6], axis: 0, lengths: [1, 3, 2] },
    { shape: [2, 5, 2], axis: 1, lengths: [4, 1] },
    // More pieces than a kernel of a device may have results.
    { shape: [2, 120], axis: 1, lengths: Array.from({ length: 60 }, (_, i) => 1 + (i % 3)) },
    {
      shape: ['B', 'T', 4],
      axis: -1,
      lengths: [1, 0, 3],
      sizes: [
        { B: 2, T: 3 },
        { B: 1, T: 0 },
      ],
    },
  ].flatMap(({ shape, axis, lengths, sizes }): OpCase[] => {
    const normal = (axis + shape.length) % shape.length;
    const title = `[${shape}] along ${axis} into ${lengths}`;
    const last = lengths[lengths.length - 1]!;
    const size = lengths.reduce((a, b) => a + b, 0);
    const from = (index: readonly number[], start: number) =>
      index.map((i, axis) => (axis === normal ? i + start : i));
    return [
      {
        op: 'split',
        title: `${title}, put together the other way round`,
        inputs: { x: { shape } },
        sizes,
        build: ({ x }) => concat(split(x!, axis, lengths).reverse(), axis),
        expect: ({ x }, index) => {
          // The pieces follow each other from the last to the first.
          let [place, end] = [index[normal]!, size];
          for (const length of [...lengths].reverse()) {
            if (place < length) return at(x!, from(index, end - length + place - index[normal]!));
            place -= length;
            end -= length;
          }
          throw new Error('outside all pieces');
        },
      },
      {
        op: 'split',
        title: `${title}, of which only the last is used`,
        inputs: { x: { shape } },
        sizes,
        build: ({ x }) => mul(split(x!, axis, lengths).at(-1)!, 2),
        expect: ({ x }, index) => 2 * at(x!, from(index, size - last)),
      },
    ];
  }),
  {
    op: 'split',
    title: 'int64',
    inputs: { x: { shape: ['T', 3], dtype: 'int64', draw: integer, gradient: false } },
    sizes: [{ T: 2 }],
    build: ({ x }) => split(x!, 1, [1, 2])[1]!,
    expect: ({ x }, [t, i]) => at(x!, [t!, i! + 1]),
  },
];
