import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { hadamard, rotationSize } from '../graph/index.ts';
import { Random } from '../util/random.ts';
import { CachedAttentionPrograms } from './cached-attention.ts';
import { PART } from './kv-blocks.ts';
import { KvCache } from './kv-cache.ts';

/** Of 8 bits unless a test says otherwise, which it does for a machine without instructions for them. */
const exact = vi.hoisted(() => ({ integers: true }));
vi.mock(import('../graph/index.ts'), async (original) => {
  const graph = await original();
  return { ...graph, integersAreExact: async () => exact.integers && (await graph.integersAreExact()) };
});

const [H, KV, d] = [4, 2, 12];

let programs: CachedAttentionPrograms;
beforeAll(() => {
  programs = new CachedAttentionPrograms({ H, KV, d }, { threads: 1 });
});
afterAll(() => programs.dispose());

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

/** What a query sees of rows [tokens][d], of which token `first` is the first, in float64. */
function plain(
  query: readonly number[],
  keys: readonly (readonly number[])[],
  values: readonly (readonly number[])[],
  seen: readonly number[],
): number[] {
  const scores = seen.map((j) => keys[j]!.reduce((sum, x, c) => sum + x * query[c]!, 0) / Math.sqrt(d));
  const largest = Math.max(...scores);
  const weights = scores.map((s) => Math.exp(s - largest));
  const total = weights.reduce((a, b) => a + b, 0);
  return Array.from({ length: d }, (_, c) =>
    seen.reduce((sum, j, i) => sum + (weights[i]! / total) * values[j]![c]!, 0),
  );
}

async function check(window: number, lengths: readonly number[], steps: number): Promise<void> {
  const random = new Random(1);
  const cache = new KvCache({ heads: KV, width: d, window }, 'q8');
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
    const rowsOf = (part: 'k' | 'v', head: number) =>
      Array.from({ length: tokens }, (_, j) => [
        ...kept[part].subarray((head * tokens + j) * d, (head * tokens + j + 1) * d),
      ]);
    // What is kept is what was given but for the rounding, of keys when they are turned.
    for (let head = 0; head < KV; head++) {
      for (const part of ['k', 'v'] as const) {
        for (const [j, row] of rowsOf(part, head).entries()) {
          if (j < tokens - Math.min(T, 300)) continue;
          const original = given[part][head]![cache.start + j]!;
          const [a, b] = part === 'k' ? [turned(row), turned(original)] : [row, original];
          const step = Math.max(...b.map(Math.abs)) / 127;
          for (let c = 0; c < d; c++) expect(Math.abs(a[c]! - b[c]!)).toBeLessThan(step * 0.501);
        }
      }
    }
    const found = new Float32Array(H * T * d);
    await programs.attend(q, T, cache, found);
    // One query alone is rounded, with one factor for all heads.
    const queries = T === 1 ? turned(rounded(turned([...q]), steps)) : [...q];
    for (const t of new Set([0, T >> 1, T - 1])) {
      const at = cache.length - T + t - cache.start;
      const seen = Array.from({ length: tokens }, (_, j) => j).filter((j) => j <= at && at - j < window);
      for (let h = 0; h < H; h++) {
        const kv = Math.floor(h / (H / KV));
        const [keys, values] = [rowsOf('k', kv), rowsOf('v', kv)];
        const place = (h * T + t) * d;
        const expected = plain(queries.slice(place, place + d), keys, values, seen);
        const largest = seen.reduce((top, j) => Math.max(top, ...values[j]!.map(Math.abs)), 0);
        // Each weight of a part lacks less than a step of 16 bits (14 with 7-bit digits) of the largest.
        const tolerance = T === 1 ? (PART / ((steps + 1) * 2) ** 2) * largest + 1e-4 : 1e-4;
        for (let c = 0; c < d; c++) {
          expect(Math.abs(found[place + c]! - expected[c]!)).toBeLessThan(tolerance);
        }
      }
    }
    cache.trim();
  }
  const held = cache.length - cache.start;
  expect(held).toBeLessThan(Math.min(window, cache.length) + cache.blockSize);
  expect(cache.bytes).toBeLessThanOrEqual(2 * KV * (d + 4) * (held + PART));
}

const cases: [string, number, number[]][] = [
  ['one by one', Number.POSITIVE_INFINITY, new Array(20).fill(1)],
  ['over the steps of the last block', Number.POSITIVE_INFINITY, [250, 1, 10, 255, 1]],
  ['over blocks', Number.POSITIVE_INFINITY, [16_000, 1, 383, 1, 1, 300, 1]],
  ['in a window', 5, [3, 1, 1, 300, 1, 1]],
  ['in a window of several parts', 700, [600, 1, 900, 1, 1200, 1, 1]],
];

test.each(cases)('attends to 8 bits as its definition does, %s', async (_, window, lengths) => {
  await check(window, lengths, 127);
});

test('attends in products of 7 bits where those of 8 overflow', async () => {
  exact.integers = false;
  const others = new CachedAttentionPrograms({ H, KV, d }, { threads: 1 });
  const eight = programs;
  programs = others;
  try {
    await check(Number.POSITIVE_INFINITY, [300, 1, 1], 63);
  } finally {
    programs = eight;
    exact.integers = true;
    await others.dispose();
  }
});

test('restores what was saved of 8 bits', () => {
  const random = new Random(2);
  const shape = { heads: KV, width: d, window: Number.POSITIVE_INFINITY };
  const cache = new KvCache(shape, 'q8');
  cache.reserve(300);
  cache.write(rows(random, KV, 300), rows(random, KV, 300), 300);
  const again = new KvCache(shape, 'q8');
  again.restore(cache.rows('k'), cache.rows('v'), 0, 300);
  for (const part of ['k', 'v'] as const) {
    expect(again.blocks[0]![part].data).toEqual(cache.blocks[0]![part].data);
  }
});

test('forks of 8 bits do not see each other', () => {
  const random = new Random(3);
  const cache = new KvCache({ heads: KV, width: d, window: Number.POSITIVE_INFINITY }, 'q8');
  const append = (to: KvCache) => {
    to.reserve(10);
    to.write(rows(random, KV, 10), rows(random, KV, 10), 10);
  };
  append(cache);
  const before = cache.rows('k');
  const fork = cache.fork();
  append(fork);
  append(cache);
  const first = (all: Float32Array) => all.subarray(0, 10 * d);
  expect(first(fork.rows('k'))).toEqual(first(before));
  expect(first(cache.rows('k'))).toEqual(first(before));
  expect(fork.rows('v')).not.toEqual(cache.rows('v'));
});
