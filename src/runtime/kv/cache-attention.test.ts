import { expect, test } from 'vitest';
import { Random } from '../../util/random.ts';
import { KvCache } from './cache.ts';
import { CacheAttention } from './cache-attention.ts';

const [KV, d] = [2, 3];

/** Rows of normally distributed values of each head [heads, T, d]. */
function rows(random: Random, heads: number, T: number): Float32Array {
  return Float32Array.from({ length: heads * T * d }, () => 2 * random.normal());
}

/** What a query sees of all keys and values, in float64. */
function plain(
  query: Float32Array,
  keys: readonly number[][],
  values: readonly number[][],
  at: number,
  window: number,
  sinks: number,
): number[] {
  const seen = keys.map((_, j) => j).filter((j) => j <= at && (at - j < window || j < sinks));
  const scores = seen.map((j) => keys[j]!.reduce((sum, x, c) => sum + x * query[c]!, 0) / Math.sqrt(d));
  const largest = Math.max(...scores);
  const weights = scores.map((s) => Math.exp(s - largest));
  const total = weights.reduce((a, b) => a + b, 0);
  return Array.from({ length: d }, (_, c) =>
    seen.reduce((sum, j, i) => sum + (weights[i]! / total) * values[j]![c]!, 0),
  );
}

test.each([
  ['one by one', Number.POSITIVE_INFINITY, new Array(20).fill(1)],
  ['over the steps of the last block', Number.POSITIVE_INFINITY, [250, 1, 10, 255, 1]],
  ['over blocks', Number.POSITIVE_INFINITY, [4048, 47, 1, 1, 4500, 1]],
  ['in a window', 5, [3, 1, 1, 300, 1, 1]],
  ['in a window of several blocks', 700, [600, 1, 900, 1, 1200, 1, 1]],
  ['in a window of several full blocks', 3000, [2047, 1, 1, 3000, 1, 1100, 1]],
  ['with many heads to a key', Number.POSITIVE_INFINITY, [100, 1, 4200, 1, 1], 10],
  ['with sinks, from the first token on', 5, [...new Array(12).fill(1), 300, 1, 1], 4, 4],
  ['with sinks, a window and sinks of a block', 252, [250, 1, 1, 1, 1, 1, 1, 1, 5, 300, 1, 512, 1], 4, 4],
  ['with sinks, a window of a block', 256, [255, 1, 1, 1, 1, 600, 1], 4, 4],
  ['with sinks, a piece over all borders', 250, [3, 900, 1, 1], 4, 6],
  ['with as many sinks as a window has, and more', 3, [2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 300, 1], 4, 6],
  ['with sinks of more than a block', 40, [100, 1, 200, 1, 300, 1, 300], 4, 300],
  ['with sinks beside a window of several blocks', 700, [600, 1, 900, 1, 1200, 1, 1], 4, 4],
  ['with sinks, at the end of a full block', 4500, [8191, 1, 1], 4, 4],
])('attends as its definition does, %s', async (_, window, parts, H = 4, sinks = 0) => {
  const programs = new CacheAttention({ H, KV, d }, { threads: 1 });
  const random = new Random(1);
  const cache = new KvCache({ heads: KV, width: d, window, sinks });
  const [keys, values] = [0, 1].map(() => Array.from({ length: KV }, () => [] as number[][]));
  for (const T of parts) {
    const [q, k, v] = [rows(random, H, T), rows(random, KV, T), rows(random, KV, T)];
    for (const [from, to] of [[k, keys!] as const, [v, values!] as const]) {
      for (let i = 0; i < KV * T; i++) to[Math.floor(i / T)]!.push([...from.subarray(i * d, (i + 1) * d)]);
    }
    cache.reserve(T);
    cache.write(k, v, T);
    const found = new Float32Array(H * T * d);
    await programs.attend(q, T, cache, found);
    await cache.settle();
    const borders = [window - 1, window, window + sinks - 1, window + sinks].map(
      (at) => at - cache.length + T,
    );
    for (const t of new Set([0, T >> 1, T - 1, ...borders.filter((t) => t >= 0 && t < T)])) {
      for (let h = 0; h < H; h++) {
        const kv = Math.floor(h / (H / KV));
        const at = (h * T + t) * d;
        const expected = plain(
          q.subarray(at, at + d),
          keys![kv]!,
          values![kv]!,
          cache.length - T + t,
          window,
          sinks,
        );
        for (let c = 0; c < d; c++) expect(found[at + c]).toBeCloseTo(expected[c]!, 4);
      }
    }
  }
  const held = cache.length - cache.start;
  expect(held).toBeLessThan(Math.min(window, cache.length) + cache.blockSize);
  expect(cache.bytes).toBeLessThanOrEqual(2 * 4 * KV * d * (held + 256 + sinks));
  await programs.dispose();
});

test.each([
  { window: Number.POSITIVE_INFINITY, sinks: 0 },
  { window: 300, sinks: 4 },
])('a query gets the same bits whatever others come with it: window $window, sinks $sinks', async (seen) => {
  const shape = { H: 9, KV: 3, d: 64 };
  const attention = new CacheAttention(shape, { threads: 2 });
  const tokens = 4700;
  const random = new Random(2);
  const [q, k, v] = [shape.H, shape.KV, shape.KV].map((heads) =>
    Float32Array.from({ length: heads * tokens * shape.d }, () => random.normal()),
  ) as [Float32Array, Float32Array, Float32Array];
  const size = (x: Float32Array, heads: number) => x.length / heads;
  /** Tokens of each head. */
  const part = (x: Float32Array, heads: number, from: number, to: number) => {
    const rows = new Float32Array(heads * (to - from) * shape.d);
    for (let head = 0; head < heads; head++) {
      const start = head * size(x, heads);
      rows.set(x.subarray(start + from * shape.d, start + to * shape.d), head * (to - from) * shape.d);
    }
    return rows;
  };
  const read = async (pieces: readonly number[]) => {
    const cache = new KvCache({ heads: shape.KV, width: shape.d, ...seen });
    let result = new Float32Array();
    for (const T of pieces) {
      const [from, to] = [cache.length, cache.length + T];
      cache.reserve(T);
      cache.write(part(k, shape.KV, from, to), part(v, shape.KV, from, to), T);
      result = new Float32Array(shape.H * T * shape.d);
      await attention.attend(part(q, shape.H, from, to), T, cache, result);
    }
    return part(result, shape.H, pieces.at(-1)! - Math.min(20, pieces.at(-1)!), pieces.at(-1)!);
  };
  const expected = await read([4700]);
  for (const pieces of [
    [...new Array(9).fill(512), 92],
    [100, 4500, 100],
    [4095, 3, 516, 86],
    [1, 4678, 21],
  ]) {
    expect(await read(pieces)).toEqual(expected);
  }
  await attention.dispose();
});
