import { type Device, float32, type Value } from '../graph/index.ts';
import { ByteAttention } from './byte-attention.ts';
import { HIDDEN, HiddenKeys, hiddenKeys } from './hidden-keys.ts';
import { KeptPrograms } from './kept-programs.ts';
import { PART, rowsOfBlock } from './kv-blocks.ts';
import type { KvCache } from './kv-cache.ts';
import { exactKeys, groupsOf, type SeveralKind, severalQueries } from './several-queries.ts';
import { type HeadShape, overBlock, overParts, type PartsKind } from './single-query.ts';

/**
 * Softmax attention of queries over the blocks of a cache, a run of a program for each, or for several of them if there
 * is one query. A run's sums are carried on to the next as the largest score so far, the sum of the exponentials relative
 * to it, and what the softmax makes of the values, so that the whole is exact:
 *
 *   m = max(m1, m2),   x = e^(m1 - m) l1,   y = e^(m2 - m) l2,   l = x + y,   o = (x o1 + y o2) / l
 *
 * Each key and value is read once for all query heads of its group. The programs hold no weights: all layers,
 * sequences and engines of a shape share them.
 */

/**
 * Queries that go over the blocks together, which bounds the memory of their scores. Blocks are cut in stretches of as
 * many, and what is summed by itself is a stretch, not the keys of the queries at hand: so a query gets the same bits
 * whatever others come with it.
 */
const QUERIES = 512;

/**
 * Blocks that one run takes for a single query, or half of them or a quarter and so on: the threads of a run that has just
 * begun must wake up first, and for every number of blocks there is a program.
 */
const BLOCKS = 32;

/** Keys that a query has been compared with before a second thread has woken up. */
const FEW_KEYS = 1024;

export class CachedAttentionPrograms {
  private readonly programs: KeptPrograms;
  private readonly hidden = new HiddenKeys();
  /** Over caches of 8 bits. */
  private readonly bytes: ByteAttention;

  constructor(
    private readonly shape: HeadShape,
    private readonly options: { device?: Device; threads?: number },
  ) {
    this.programs = new KeptPrograms(options);
    this.bytes = new ByteAttention(shape, options);
  }

  /**
   * What the queries of the newest tokens of a cache see of it.
   *
   * @param q [H, T, d], of the last T tokens of the cache
   * @param into receives the result [H, T, d]
   */
  async attend(q: Float32Array, T: number, cache: KvCache, into: Float32Array): Promise<void> {
    const { H, d } = this.shape;
    const first = cache.length - T;
    for (let from = 0; from < T; ) {
      // No further than the stretch and the block of the first of them.
      const row = (first + from - cache.start) % cache.blockSize;
      // Half as many over full blocks, whose scores every one of their programs has memory for.
      const most = first + from - cache.start < cache.blockSize ? QUERIES : QUERIES / 2;
      const count = Math.min(T - from, cache.blockSize - row, most - (row % most));
      if (count === T) {
        await this.attendRows(q, T, first, cache, into);
      } else {
        const rows = (x: Float32Array, head: number) =>
          x.subarray((head * T + from) * d, (head * T + from + count) * d);
        const part = new Float32Array(H * count * d);
        for (let head = 0; head < H; head++) part.set(rows(q, head), head * count * d);
        const result = new Float32Array(part.length);
        await this.attendRows(part, count, first + from, cache, result);
        for (let head = 0; head < H; head++) {
          rows(into, head).set(result.subarray(head * count * d, (head + 1) * count * d));
        }
      }
      from += count;
    }
  }

  /** Queries [H, T, d] of the tokens from `first` on, all in one stretch of a block. */
  private attendRows(
    q: Float32Array,
    T: number,
    first: number,
    cache: KvCache,
    into: Float32Array,
  ): Promise<void> {
    if (cache.dtype === 'q8') return this.bytes.attend(q, T, first, cache, into);
    return T === 1 ? this.attendOne(q, first, cache, into) : this.attendSeveral(q, T, first, cache, into);
  }

  private async attendOne(q: Float32Array, place: number, cache: KvCache, into: Float32Array): Promise<void> {
    const { H, KV, d } = this.shape;
    const { blockSize, shape } = cache;
    const dims = [KV, H / KV, d];
    // In a graph ONNX Runtime makes the factor one of the product, and of products with a factor it copies the keys.
    const scaled = float32(q.map((x) => x * d ** -0.5) as Float32Array, dims);
    const result = float32(into, dims);
    const { lowest, last } = blocksSeen(cache, place);
    if (lowest === last) {
      const start = cache.start + last * blockSize;
      const { k, v, capacity } = cache.blocks[last]!;
      const values = hiddenKeys(1, capacity, place - start, shape.window);
      // The newest token stands beside the block, as in a step that is not cut: the same sums in the same order.
      values[place - start] = HIDDEN;
      const own = { ownK: rowOf(k, place - start), ownV: rowOf(v, place - start) };
      const few = capacity <= FEW_KEYS;
      const options = few ? { ...this.options, threads: 1 } : this.options;
      const program = await this.programs.get(few ? 'few' : 'block', () => overBlock(this.shape), options);
      await program.run(
        { q: scaled, k0: rowsOfBlock(k), v0: rowsOfBlock(v), ...own, bias0: float32(values, [1, capacity]) },
        { o: result },
      );
      return;
    }
    let carried: Record<string, Value> | null = null;
    for (let i = lowest; i <= last; ) {
      const count = Math.min(BLOCKS, 2 ** Math.floor(Math.log2(last + 1 - i)));
      const ends = i + count > last;
      const feeds: Record<string, Value> = { q: scaled, ...carried };
      const hides = cache.blocks.slice(i, i + count).map(({ k, v, capacity }, n) => {
        const start = cache.start + (i + n) * blockSize;
        const parts = capacity / PART;
        feeds[`k${n}`] = float32(k.data as Float32Array, [KV, parts, PART, d]);
        feeds[`v${n}`] = float32(v.data as Float32Array, [KV, parts, PART, d]);
        const hidden = i + n === last || start <= place - shape.window;
        if (hidden) {
          feeds[`bias${n}`] = float32(hiddenKeys(1, capacity, place - start, shape.window), [parts, 1, PART]);
        }
        return hidden;
      });
      const kind: PartsKind = { carries: carried !== null, hides, ends };
      const program = await this.programs.get(JSON.stringify(kind), () => overParts(this.shape, kind));
      const outputs: Record<string, Value> = await program.run(feeds, ends ? { o: result } : {});
      carried = outputs;
      i += count;
    }
  }

  private async attendSeveral(
    q: Float32Array,
    T: number,
    first: number,
    cache: KvCache,
    into: Float32Array,
  ): Promise<void> {
    const { H, KV, d } = this.shape;
    const { window } = cache.shape;
    const groups = groupsOf(T);
    const dims = [KV, (H / KV) * groups, T / groups, d];
    const [queries, result] = [float32(q, dims), float32(into, dims)];
    const { lowest, last } = blocksSeen(cache, first);
    let carried: Record<string, Value> | null = null;
    for (let i = lowest; i <= last; i++) {
      const start = cache.start + i * cache.blockSize;
      const { k, v, capacity } = cache.blocks[i]!;
      const row = first - start;
      const before = row - (row % QUERIES);
      const windowed = start < first + T - window;
      const over = i < last || windowed || before === 0 ? 'block' : 'end and earlier';
      const hides = i === last || windowed;
      const feeds: Record<string, Value> = { q: queries, k, v, ...carried };
      if (hides) {
        const from = over === 'block' ? 0 : before;
        feeds.bias = this.hidden.of(T, capacity - from, row - from, window, groups);
      }
      const kind: SeveralKind = { over, hides, carries: carried !== null, ends: i === last, groups };
      const program = await this.programs.get(JSON.stringify(kind), () =>
        severalQueries(this.shape, kind, exactKeys(this.shape)),
      );
      const outputs: Record<string, Value> = await program.run(feeds, i === last ? { o: result } : {});
      carried = outputs;
    }
  }

  async dispose(): Promise<void> {
    await this.programs.dispose();
    await this.bytes.dispose();
  }
}

/** Blocks that a query sees, by their order, if no later token of its block does. */
function blocksSeen({ start, blockSize, shape }: KvCache, place: number): { lowest: number; last: number } {
  const at = (token: number) => Math.floor((token - start) / blockSize);
  return { lowest: Math.max(0, at(place + 1 - shape.window)), last: at(place) };
}

/** A token's row of every head of a block [KV, capacity, d], as [KV, 1, 1, d]. */
function rowOf({ data, dims }: Value, row: number): Value {
  const [KV, capacity, d] = dims as readonly [number, number, number];
  const rows = new Float32Array(KV * d);
  for (let head = 0; head < KV; head++) {
    const at = (head * capacity + row) * d;
    rows.set((data as Float32Array).subarray(at, at + d), head * d);
  }
  return float32(rows, [KV, 1, 1, d]);
}
