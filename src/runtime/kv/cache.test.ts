import { expect, test, vi } from 'vitest';
import { cacheBytes, KvCache } from './cache.ts';

const shape = { heads: 2, width: 1, window: Number.POSITIVE_INFINITY };

/** Tokens of a cache, by the values of its second head. */
function contents(cache: KvCache): number[] {
  return cache.blocks.flatMap(({ v, capacity }, i) => {
    const used = Math.min(cache.blockSize, cache.length - i * cache.blockSize);
    return [...(v.data as Float32Array).subarray(capacity, capacity + used)];
  });
}

function append(cache: KvCache, from: number, to: number): void {
  const tokens = Array.from({ length: to - from }, (_, i) => from + i);
  const rows = Float32Array.from([...tokens.map((t) => -t), ...tokens]);
  cache.reserve(tokens.length);
  cache.write(rows, rows, tokens.length);
}

test('full blocks stay where they are', () => {
  const cache = new KvCache(shape);
  append(cache, 0, 4098);
  const [first] = cache.blocks;
  for (let t = 4098; t < 8250; t++) append(cache, t, t + 1);
  expect(cache.blocks[0]).toBe(first);
  expect(cache.blocks.map(({ capacity }) => capacity)).toEqual([4096, 4096, 256]);
  expect(contents(cache)).toEqual(Array.from({ length: 8250 }, (_, t) => t));
});

test('forks share full blocks and do not see each other', () => {
  const cache = new KvCache(shape);
  append(cache, 0, 4150);
  const fork = cache.fork();
  expect(fork.blocks).toEqual(cache.blocks);
  append(fork, 5000, 5003);
  append(cache, 7000, 7001);
  expect(fork.blocks[0]).toBe(cache.blocks[0]);
  expect(contents(cache).slice(4148)).toEqual([4148, 4149, 7000]);
  expect(contents(fork).slice(4148)).toEqual([4148, 4149, 5000, 5001, 5002]);
});

test('without memory it stays as it was', () => {
  const cache = new KvCache(shape);
  append(cache, 0, 300);
  const Full = class extends Float32Array {
    constructor() {
      super(0);
      throw new RangeError('Array buffer allocation failed');
    }
  };
  vi.stubGlobal('Float32Array', Full);
  expect(() => cache.reserve(300)).toThrow(RangeError);
  vi.unstubAllGlobals();
  expect(contents(cache).length).toBe(300);
  append(cache, 300, 301);
  expect(contents(cache)).toEqual(Array.from({ length: 301 }, (_, t) => t));
});

test('a window lets go of what is behind it', async () => {
  const cache = new KvCache({ ...shape, window: 300 });
  expect(cache.blockSize).toBe(512);
  for (let t = 0; t < 3000; t += 50) {
    append(cache, t, t + 50);
    await cache.settle();
  }
  expect(cache.start).toBe(2560);
  expect(cache.blocks.length).toBe(1);
});

test.each([300, 512, 513])(
  'a window of %i keeps a block for as long as a query sees one of its tokens',
  async (window) => {
    const cache = new KvCache({ ...shape, window });
    const { blockSize } = cache;
    for (let length = 1; length <= 3 * blockSize + window; length++) {
      append(cache, length - 1, length);
      await cache.settle();
      // The next query stands at `length` and sees `window` tokens, itself the last of them.
      const firstSeen = Math.max(0, length + 1 - window);
      expect(cache.start).toBe(blockSize * Math.floor(firstSeen / blockSize));
    }
  },
);

test('sinks stay when the window has moved on, and forks do not see each other’s', async () => {
  const cache = new KvCache({ ...shape, window: 20, sinks: 6 });
  const sinks = ({ sinks }: KvCache) => [...(sinks!.v.data as Float32Array).subarray(6)];
  append(cache, 0, 3);
  const fork = cache.fork();
  append(fork, 10, 12);
  append(cache, 3, 5);
  expect(sinks(cache)).toEqual([0, 1, 2, 3, 4, 0]);
  expect(sinks(fork)).toEqual([0, 1, 2, 10, 11, 0]);
  for (let t = 5; t < 2000; t += 5) {
    append(cache, t, t + 5);
    await cache.settle();
  }
  expect(cache.start).toBeGreaterThan(1700);
  expect(sinks(cache)).toEqual([0, 1, 2, 3, 4, 5]);
  // Once all are there, they are shared.
  expect(cache.fork().sinks).toBe(cache.sinks);
  append(cache, 2000, 2001);
  expect(cacheBytes(cache.shape, 10, 'f32')).toBe(10 * 2 * 2 * 4);
  expect(cacheBytes(cache.shape, 2001, 'f32')).toBe(26 * 2 * 2 * 4);
});

test('its bytes are those of the arrays that it holds', () => {
  const cache = new KvCache({ heads: 3, width: 5, window: Number.POSITIVE_INFINITY });
  cache.reserve(700);
  cache.write(new Float32Array(3 * 700 * 5), new Float32Array(3 * 700 * 5), 700);
  const held = cache.blocks.flatMap(({ k, v }) => [k, v]);
  expect(cache.bytes).toBe(held.reduce((sum, { data }) => sum + (data as Float32Array).byteLength, 0));
  expect(cache.bytes).toBe(2 * 4 * 3 * 5 * 768);
});
