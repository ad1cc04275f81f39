import { type Device, float32, integersAreExact, type Value } from '../graph/index.ts';
import { HIDDEN, HiddenKeys, hiddenKeys } from './hidden-keys.ts';
import { KeptPrograms } from './kept-programs.ts';
import { type Block, PART, rowsOfBlock } from './kv-blocks.ts';
import type { KvCache } from './kv-cache.ts';
import { packedInputs, roundedQuery } from './packed-attention.ts';
import { groupsOf, type SeveralKind, severalQueries } from './several-queries.ts';
import { type BlocksKind, type HeadShape, overBlock, overBlocks } from './single-query.ts';

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
 * Blocks that one run takes for a single query: the threads of a run that has just begun must wake up first, and for every
 * number of blocks there is a program. So it is up to FEW_BLOCKS, or a power of two up to BLOCKS.
 */
const BLOCKS = 32;
const FEW_BLOCKS = 8;

/** Parts of a packed block that one run takes for several queries: bounds the memory of their scores. */
const PARTS = 8;

/** Keys that a query has been compared with before a second thread has woken up. */
const FEW_KEYS = 1024;

export class CachedAttentionPrograms {
  private readonly programs: KeptPrograms;
  private readonly hidden = new HiddenKeys();

  constructor(
    private readonly shape: HeadShape,
    private readonly options: { device?: Device; threads?: number },
  ) {
    this.programs = new KeptPrograms(options);
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
    return T === 1 ? this.attendOne(q, first, cache, into) : this.attendSeveral(q, T, first, cache, into);
  }

  private async attendOne(q: Float32Array, place: number, cache: KvCache, into: Float32Array): Promise<void> {
    const { H, KV, d } = this.shape;
    const { window } = cache.shape;
    const dims = [KV, H / KV, d];
    // In a graph ONNX Runtime makes the factor one of the product, and of products with a factor it copies the keys.
    const scaled = float32(q.map((x) => x * d ** -0.5) as Float32Array, dims);
    const result = float32(into, dims);
    const seen = blocksSeen(cache, place, 1);
    const [{ block, start }] = seen as [Seen];
    if (seen.length === 1) {
      const { k, v, capacity } = block;
      const values = hiddenKeys(1, capacity, place - start, window);
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
    // Without instructions for products of bytes, those of 7 bits with them are exact.
    const base = (await integersAreExact()) ? 256 : 128;
    const rounded = block.factors ? roundedQuery(q, this.shape, base) : {};
    let carried: Record<string, Value> | null = null;
    for (let i = 0; i < seen.length; ) {
      const left = seen.length - i;
      const count = left <= FEW_BLOCKS ? left : Math.min(BLOCKS, 2 ** Math.floor(Math.log2(left)));
      const ends = count === left;
      const given: Record<string, Value> = { ...carried };
      const blocks = seen.slice(i, i + count).map(({ block, start, hides }, n) => {
        const packed = block.factors !== undefined;
        const parts = block.capacity / PART;
        for (const [name, value] of Object.entries(packed ? packedInputs(block) : exactParts(block))) {
          given[`${name}${n}`] = value;
        }
        if (hides) {
          const values = hiddenKeys(1, block.capacity, place - start, window);
          given[`bias${n}`] = float32(values, packed ? [parts, 1, 1, PART] : [parts, 1, PART]);
        }
        return { packed, hides };
      });
      if (blocks.some(({ packed }) => packed)) Object.assign(given, rounded);
      if (blocks.some(({ packed }) => !packed)) given.q = scaled;
      const kind: BlocksKind = { carries: carried !== null, blocks, ends };
      const program = await this.programs.get(JSON.stringify(kind), () => overBlocks(this.shape, kind, base));
      const outputs: Record<string, Value> = await program.run(given, ends ? { o: result } : {});
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
    const seen = blocksSeen(cache, first, T);
    let carried: Record<string, Value> | null = null;
    const run = async (
      kind: Pick<SeveralKind, 'over' | 'packed' | 'hides'>,
      keys: Record<string, Value>,
      bias: () => Value,
      ends = false,
    ) => {
      const full: SeveralKind = { ...kind, carries: carried !== null, ends, groups };
      const program = await this.programs.get(JSON.stringify(full), () => severalQueries(this.shape, full));
      const given = { q: queries, ...keys, ...carried, ...(kind.hides ? { bias: bias() } : {}) };
      carried = await program.run(given, ends ? { o: result } : {});
    };
    const hidden = (keys: number, at: number) => () => this.hidden.of(T, keys, at, window, groups);
    for (const [i, { block, start, hides }] of seen.entries()) {
      if (block.factors) {
        for (let from = 0; from < block.capacity / PART; from += PARTS) {
          const parts = Math.min(PARTS, block.capacity / PART - from);
          const bias = hidden(parts * PART, first - start - from * PART);
          await run({ over: 'block', packed: true, hides }, packedInputs(block, from, parts), bias);
        }
        continue;
      }
      const row = first - start;
      const before = row - (row % QUERIES);
      const windowed = start < first + T - window;
      const over = i < seen.length - 1 || windowed || before === 0 ? 'block' : 'end and earlier';
      const from = over === 'block' ? 0 : before;
      const bias = hidden(block.capacity - from, row - from);
      const { k, v } = block;
      await run({ over, packed: false, hides }, { k, v }, bias, i === seen.length - 1);
    }
  }

  async dispose(): Promise<void> {
    await this.programs.dispose();
  }
}

/** A block, the place of its first token, and whether some of its keys are hidden from some queries. */
interface Seen {
  block: Block;
  start: number;
  hides: boolean;
}

/** Blocks that T queries from a place on see, all of them in the last one. */
function blocksSeen(cache: KvCache, first: number, T: number): Seen[] {
  const { window } = cache.shape;
  const seen: Seen[] = [];
  let { start } = cache;
  for (const block of cache.blocks) {
    const end = start + block.capacity;
    const hides = start < first + T - window || end > first + 1;
    if (end > first + 1 - window && start <= first) seen.push({ block, start, hides });
    start = end;
  }
  return seen;
}

/** Parts of an exact block. */
function exactParts({ k, v, capacity }: Block): Record<'k' | 'v', Value> {
  const of = ({ data, dims: [KV, , d] }: Value) =>
    float32(data as Float32Array, [KV!, capacity / PART, PART, d!]);
  return { k: of(k), v: of(v) };
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
