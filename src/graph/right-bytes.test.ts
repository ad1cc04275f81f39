import { afterEach, expect, test, vi } from 'vitest';
import { Random } from '../util/random.ts';
import { input, integerProduct, Program, type RightBytes, rightBytes, Value } from './index.ts';

/** What programs are told of the machine, in place of what was found out. */
const told = vi.hoisted(() => ({ type: null as RightBytes | null }));
vi.mock(import('./right-bytes.ts'), async (original) => {
  const { rightBytes } = await original();
  return { rightBytes: async () => told.type ?? rightBytes() };
});
afterEach(() => {
  told.type = null;
});

const [M, K, N] = [3, 200, 40];

/** Largest and other values; b is int8, or the same as uint8. */
function factors(type: RightBytes): Record<'a' | 'b', Value> {
  const random = new Random(7);
  const a = Uint8Array.from({ length: M * K }, (_, i) => (i < K ? 255 : random.below(256)));
  const levels = Array.from({ length: K * N }, (_, i) => (i % N === 0 ? 127 : random.below(256) - 128));
  const b =
    type === 'int8'
      ? new Value(type, Int8Array.from(levels), [K, N])
      : new Value(
          type,
          Uint8Array.from(levels, (x) => x + 128),
          [K, N],
        );
  return { a: new Value('uint8', a, [M, K]), b };
}

async function products(type: RightBytes): Promise<Float32Array> {
  const [a, b] = [input('a', 'uint8', ['M', K]), input('b', type, [K, N])];
  await using program = await Program.compile({ y: integerProduct(a, b, { zero: 3 }) }, { threads: 1 });
  return (await program.run(factors(type))).y!.data as Float32Array;
}

const plain = (() => {
  const [a, b] = Object.values(factors('int8')).map(({ data }) => data as Int8Array) as [
    Int8Array,
    Int8Array,
  ];
  return Float32Array.from({ length: M * N }, (_, i) => {
    const [row, column] = [Math.floor(i / N), i % N];
    return Array.from({ length: K }, (_, k) => (a[row * K + k]! - 3) * b[k * N + column]!).reduce(
      (x, y) => x + y,
    );
  });
})();

test.each(['int8', 'uint8'] as const)('products with %s are exact', async (type) => {
  expect(await products(type)).toEqual(plain);
});

test.each(['int8', 'uint8'] as const)(
  'are exact in the form of machines without VNNI too, %s',
  async (type) => {
    told.type = 'uint8';
    expect(await products(type)).toEqual(plain);
  },
);

test('int8 is what is taken where its products are exact, and nowhere else', async () => {
  const found = await rightBytes();
  told.type = 'int8';
  const exact = (await products('int8')).every((x, i) => x === plain[i]);
  expect(found).toBe(exact ? 'int8' : 'uint8');
  // Under emulation (scripts/test-processors.sh): this must not have run on the processor outside.
  if (process.env.EMULATED === 'Haswell') expect(found).toBe('uint8');
});
