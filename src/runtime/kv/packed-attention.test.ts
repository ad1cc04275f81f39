import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { hadamard, type RightBytes, rotationSize } from '../../graph/index.ts';
import { Random } from '../../util/random.ts';
import { PART } from './blocks.ts';
import { KvCache } from './cache.ts';
import { CacheAttention } from './cache-attention.ts';
import { Packer, packedInputs } from './packed-blocks.ts';

/** What is packed is told of the machine, in place of what was found out. Programs know better. */
const told = vi.hoisted(() => ({ type: null as RightBytes | null }));
vi.mock(import('../../graph/index.ts'), async (original) => {
  const graph = await original();
  return { ...graph, rightBytes: async () => told.type ?? graph.rightBytes() };
});
afterEach(() => {
  told.type = null;
});

const [H, KV, d] = [4, 2, 12];

let programs: CacheAttention;
beforeAll(() => {
  programs = new CacheAttention({ H, KV, d }, { threads: 1 });
});
const packer = new Packer({ threads: 1, longest: 16_384 });
afterAll(async () => {
  await programs?.dispose();
  await packer[Symbol.asyncDispose]();
});

function rows(random: Random, heads: number, T: number): Float32Array {
  return Float32Array.from({ length: heads * T * d }, () => 2 * random.normal());
}

/** x with Hadamard matrices along the diagonal, by the definition of the product. */
function turned(x: readonly number[]): number[] {
  const size = rotationSize(d);
  const { data } = hadamard(size);
  return x.map((_, i) => {
    const first = i - (i % size);
    return Array.from({ length: size }, (_, j) => x[first + j]! * data[j * size + (i % size)]!).reduce(
      (a, b) => a + b,
    );
  });
}

/** Rounded to whole steps of the largest entry of all. */
function rounded(x: readonly number[], steps: number): number[] {
  const largest = Math.max(...x.map(Math.abs));
  return x.map((value) => (Math.round((value / largest) * steps) / steps) * largest);
}

/** What a query sees of rows [tokens][d], in float64; of the first of them, which are packed, by another form of it. */
function plain(
  query: readonly number[],
  overPacked: readonly number[],
  packed: number,
  keys: readonly (readonly number[])[],
  values: readonly (readonly number[])[],
  seen: readonly number[],
): number[] {
  const scores = seen.map((j) => {
    const q = j < packed ? overPacked : query;
    return keys[j]!.reduce((sum, x, c) => sum + x * q[c]!, 0) / Math.sqrt(d);
  });
  const largest = Math.max(...scores);
  const weights = scores.map((s) => Math.exp(s - largest));
  const total = weights.reduce((a, b) => a + b, 0);
  return Array.from({ length: d }, (_, c) =>
    seen.reduce((sum, j, i) => sum + (weights[i]! / total) * values[j]![c]!, 0),
  );
}

async function check(
  window: number,
  lengths: readonly number[],
  steps: number,
  packs = packer,
  /** Tokens in front that are written and not attended for. */
  unread = 0,
): Promise<KvCache> {
  const random = new Random(1);
  const cache = new KvCache({ heads: KV, width: d, window }, packs);
  const given = { k: [] as number[][][], v: [] as number[][][] };
  for (const part of ['k', 'v'] as const) given[part] = Array.from({ length: KV }, () => []);
  for (const T of lengths) {
    const [q, k, v] = [rows(random, H, T), rows(random, KV, T), rows(random, KV, T)];
    for (const [from, to] of [[k, given.k] as const, [v, given.v] as const]) {
      for (let i = 0; i < KV * T; i++) to[Math.floor(i / T)]!.push([...from.subarray(i * d, (i + 1) * d)]);
    }
    cache.reserve(T);
    cache.write(k, v, T);
    const kept = { k: cache.rows('k'), v: cache.rows('v') };
    const tokens = cache.length - cache.start;
    const rowsOf = (part: 'k' | 'v') =>
      Array.from({ length: KV }, (_, head) =>
        Array.from({ length: tokens }, (_, j) => {
          const at = (head * tokens + j) * d;
          return Array.from(kept[part].subarray(at, at + d));
        }),
      );
    const all = { k: rowsOf('k'), v: rowsOf('v') };
    const packed = cache.exactStart - cache.start;
    // What is kept is what was given but for the rounding, of keys when they are turned.
    for (let head = 0; head < KV; head++) {
      for (const part of ['k', 'v'] as const) {
        for (const [j, row] of all[part][head]!.entries()) {
          if (j % 101 > 0) continue;
          const original = given[part][head]![cache.start + j]!;
          const [a, b] = part === 'k' ? [turned(row), turned(original)] : [row, original];
          const step = Math.max(...b.map(Math.abs)) / 127;
          if (j >= packed) expect(row).toEqual(original);
          for (let c = 0; c < d; c++) expect(Math.abs(a[c]! - b[c]!)).toBeLessThan(step * 0.501);
        }
      }
    }
    if (cache.length <= unread) {
      await cache.settle();
      continue;
    }
    const found = new Float32Array(H * T * d);
    await programs.attend(q, T, cache, found);
    // One query alone is rounded for what is packed, with one factor for all heads.
    const overPacked = T === 1 ? turned(rounded(turned([...q]), steps)) : [...q];
    for (const t of new Set([0, T >> 1, T - 1])) {
      const at = cache.length - T + t - cache.start;
      const seen = Array.from({ length: tokens }, (_, j) => j).filter((j) => j <= at && at - j < window);
      for (let h = 0; h < H; h++) {
        const kv = Math.floor(h / (H / KV));
        const [keys, values] = [all.k[kv]!, all.v[kv]!];
        const place = (h * T + t) * d;
        const queries = [[...q], overPacked].map((all) => all.slice(place, place + d));
        const expected = plain(queries[0]!, queries[1]!, packed, keys, values, seen);
        const largest = seen.reduce((top, j) => Math.max(top, ...values[j]!.map(Math.abs)), 0);
        // Each weight of a part lacks less than a step of 16 bits (14 with 7-bit digits) of the largest.
        const tolerance = T === 1 ? (PART / ((steps + 1) * 2) ** 2) * largest + 1e-4 : 1e-4;
        for (let c = 0; c < d; c++) {
          expect(Math.abs(found[place + c]! - expected[c]!)).toBeLessThan(tolerance);
        }
      }
    }
    await cache.settle();
  }
  return cache;
}

const cases: [string, number, number[], string][] = [
  ['a block that is not full', Number.POSITIVE_INFINITY, [250, 1, 10, 255, 1], '768'],
  ['packed and exact', Number.POSITIVE_INFINITY, [4090, 1, 5, 1, 1, 300, 1], 'q4096 512'],
  ['several packed', Number.POSITIVE_INFINITY, [4000, 4192, 1, 1], 'q8192 256'],
  ['packed and two exact', Number.POSITIVE_INFINITY, [4096, 4609], 'q8192 768'],
  ['in two stores', Number.POSITIVE_INFINITY, [16_380, 4, 1, 4095, 1, 300, 1], 'q16384 q4096 512'],
  ['a short window, exact', 700, [600, 1, 900, 1, 1200, 1, 1], '768 512'],
  ['a long window', 5000, [4095, 1, 1, 4094, 1, 4000, 1, 700, 1], 'q4096 q4096 768'],
];

test.each(cases)('attends as its definition does, %s', async (_, window, lengths, expected) => {
  const { packed, blocks } = await check(window, lengths, 127);
  const found = [...packed.map(({ parts }) => `q${parts * PART}`), ...blocks.map(({ capacity }) => capacity)];
  expect(found.join(' ')).toBe(expected);
});

test.each(['int8', 'uint8'] as const)(
  'attends as its definition does where keys and values are %s',
  async (type) => {
    told.type = type;
    await using own = new Packer({ threads: 1, longest: 16_384 });
    const { packed, shape } = await check(Number.POSITIVE_INFINITY, [4096, 1, 20, 1], 127, own, 4096);
    expect(packedInputs(shape, packed[0]!).k.type).toBe(type);
  },
);

test('restores what was saved of 8 bits', async () => {
  const random = new Random(2);
  const shape = { heads: KV, width: d, window: Number.POSITIVE_INFINITY };
  const cache = new KvCache(shape, packer);
  cache.reserve(5000);
  cache.write(rows(random, KV, 5000), rows(random, KV, 5000), 5000);
  await cache.settle();
  const again = new KvCache(shape, packer);
  await again.restore(cache.rows('k'), cache.rows('v'), 0, 5000);
  expect(again.packed.map(({ parts }) => parts * PART)).toEqual([4096]);
  const kinds = (of: KvCache) => packedInputs(shape, of.packed[0]!);
  for (const kind of ['k', 'v'] as const) expect(kinds(again)[kind].data).toEqual(kinds(cache)[kind].data);
  expect(again.blocks[0]!.k.data).toEqual(cache.blocks[0]!.k.data);
});

test('is packed alike whatever pieces it is written in, and sequences share what they have in common', async () => {
  const random = new Random(3);
  const shape = { heads: KV, width: d, window: Number.POSITIVE_INFINITY };
  const [k, v] = [rows(random, KV, 16_400), rows(random, KV, 16_400)];
  const part = (x: Float32Array, from: number, to: number) =>
    Float32Array.from(
      [0, 1].flatMap((head) => [...x.subarray((head * 16_400 + from) * d, (head * 16_400 + to) * d)]),
    );
  const written = async (piece: number) => {
    const cache = new KvCache(shape, packer);
    for (let from = 0; from < 16_390; from += piece) {
      const to = Math.min(16_390, from + piece);
      cache.reserve(to - from);
      cache.write(part(k, from, to), part(v, from, to), to - from);
      await cache.settle();
    }
    return cache;
  };
  const [one, other] = [await written(5000), await written(512)];
  expect(one.packed.map(({ parts }) => parts * PART)).toEqual([16_384]);
  expect(other.rows('k')).toEqual(one.rows('k'));
  expect(other.rows('v')).toEqual(one.rows('v'));
});

test('the first of two sequences goes on in their store, the other in one of its own', async () => {
  const random = new Random(4);
  const shape = { heads: KV, width: d, window: Number.POSITIVE_INFINITY };
  const cache = new KvCache(shape, packer);
  const append = async (to: KvCache, tokens: number) => {
    to.reserve(tokens);
    to.write(rows(random, KV, tokens), rows(random, KV, tokens), tokens);
    await to.settle();
  };
  await append(cache, 4096);
  await append(cache, 100);
  const before = cache.rows('k');
  const fork = cache.fork();
  await append(cache, 4000);
  const after = cache.rows('v');
  await append(fork, 4000);
  const [store, ...others] = cache.packed.map(({ store }) => store);
  expect(others).toEqual([]);
  expect(fork.packed.map((packed) => packed.store === store)).toEqual([true, false]);
  expect([cache.exactStart, fork.exactStart]).toEqual([8192, 8192]);
  const first = (all: Float32Array) => all.subarray(0, 4096 * d);
  expect(first(fork.rows('k'))).toEqual(first(before));
  expect(first(cache.rows('k'))).toEqual(first(before));
  expect(cache.rows('v')).toEqual(after);
  expect(fork.rows('v')).not.toEqual(after);
});
