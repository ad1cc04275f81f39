import { type Device, float32, type RightBytes, type Value } from '../../graph/index.ts';
import { KeptPrograms } from '../kept-programs.ts';
import { type Block, PART, rowsOfBlock } from './blocks.ts';
import type { KvCache } from './cache.ts';
import type { HeadShape } from './heads.ts';
import { HIDDEN, HiddenKeys, hiddenKeys, hiddenSinks } from './hidden-keys.ts';
import { type Packed, packedInputs } from './packed-blocks.ts';
import { groupsOf, type SeveralKind, severalQueries } from './several-queries.ts';
import { overBlock, overParts, type PartsKind } from './single-query.ts';

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

/** Packed parts that one run takes for several queries: bounds the memory of their scores. */
const PARTS = 4;

/** Keys that a query has been compared with before a second thread has woken up. */
const FEW_KEYS = 1024;

/** By number of key heads. */
export type AttentionPrograms = ReadonlyMap<number, CachedAttentionPrograms>;

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
      // Half as many over full exact blocks, whose scores every one of their programs has memory for.
      const most = first + from - cache.exactStart < cache.blockSize ? QUERIES : QUERIES / 2;
      const cut = Math.min(T - from, cache.blockSize - row, most - (row % most));
      // None of them with the first that has sinks behind its window.
      const near = cache.shape.sinks ? cache.shape.window - (first + from) : 0;
      const count = near > 0 ? Math.min(cut, near) : cut;
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
    const exact = blocksSeen(cache, place, 1);
    const behind = sinksBehind(cache, place);
    if (exact.length > 1 || behind) {
      if (cache.packed.length > 0 || behind) return this.attendSeveral(q, 1, place, cache, into);
      return this.attendParts(exact, place, window, scaled, result);
    }
    const [{ block, start }] = exact as [Seen];
    const { k, v, capacity } = block;
    const values = hiddenKeys(1, capacity, place - start, window);
    // The newest token stands beside the block, as in a step that is not cut: the same sums in the same order.
    values[place - start] = HIDDEN;
    const given: Record<string, Value> = {
      ...{ q: scaled, k: rowsOfBlock(k), v: rowsOfBlock(v), bias: float32(values, [1, capacity]) },
      ...{ ownK: rowOf(k, place - start), ownV: rowOf(v, place - start) },
    };
    const packed = packedSeen(cache, place, 1).map(({ packed, start, hides }, n) => {
      const inputs = packedInputs(cache.shape, packed);
      for (const [kind, value] of Object.entries(inputs)) given[`${n}.${kind}`] = value;
      if (hides) {
        const { parts } = packed;
        const values = hiddenKeys(1, parts * PART, place - start, window);
        given[`${n}.bias`] = float32(values, [parts, 1, 1, PART]);
      }
      return { hides, bytes: inputs.k.type as RightBytes };
    });
    const few = packed.length === 0 && capacity <= FEW_KEYS;
    const options = few ? { ...this.options, threads: 1 } : this.options;
    const key = few ? 'few' : JSON.stringify({ packed });
    const program = await this.programs.get(key, () => overBlock(this.shape, packed), options);
    await program.run(given, { o: result });
  }

  /** One query over several exact blocks. */
  private async attendParts(
    seen: readonly Seen[],
    place: number,
    window: number,
    q: Value,
    result: Value,
  ): Promise<void> {
    let carried: Record<string, Value> | null = null;
    for (let i = 0; i < seen.length; ) {
      const count = Math.min(BLOCKS, 2 ** Math.floor(Math.log2(seen.length - i)));
      const ends = i + count === seen.length;
      const given: Record<string, Value> = { q, ...carried };
      const hides = seen.slice(i, i + count).map(({ block, start, hides }, n) => {
        const parts = block.capacity / PART;
        for (const part of ['k', 'v'] as const) {
          const { data, dims } = block[part];
          given[`${part}${n}`] = float32(data as Float32Array, [dims[0]!, parts, PART, dims[2]!]);
        }
        if (hides) {
          given[`bias${n}`] = float32(hiddenKeys(1, block.capacity, place - start, window), [parts, 1, PART]);
        }
        return hides;
      });
      const kind: PartsKind = { carries: carried !== null, hides, ends };
      const program = await this.programs.get(JSON.stringify(kind), () => overParts(this.shape, kind));
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
    const sinks = sinksBehind(cache, first);
    if (sinks) {
      const { k, v, capacity } = sinks;
      const hides = first + 1 < window + capacity;
      const bias = () => float32(hiddenSinks(T, capacity, first, window), [groups, T / groups, capacity]);
      await run({ over: 'block', packed: null, hides }, { k, v }, bias);
    }
    for (const { packed, start, hides } of packedSeen(cache, first, T)) {
      for (let from = 0; from < packed.parts; from += PARTS) {
        const parts = Math.min(PARTS, packed.parts - from);
        const given = packedInputs(cache.shape, { ...packed, first: packed.first + from, parts });
        const bias = hidden(parts * PART, first - start - from * PART);
        await run({ over: 'block', packed: given.k.type as RightBytes, hides }, given, bias);
      }
    }
    const exact = blocksSeen(cache, first, T);
    for (const [i, { block, start, hides }] of exact.entries()) {
      const row = first - start;
      const before = row - (row % QUERIES);
      const windowed = start < first + T - window;
      const over = i < exact.length - 1 || windowed || before === 0 ? 'block' : 'end and earlier';
      const from = over === 'block' ? 0 : before;
      const bias = hidden(block.capacity - from, row - from);
      const { k, v } = block;
      await run({ over, packed: null, hides }, { k, v }, bias, i === exact.length - 1);
    }
  }

  async dispose(): Promise<void> {
    await this.programs.dispose();
  }
}

/** The place of a first token, and whether some of the keys are hidden from some queries. */
interface Place {
  start: number;
  hides: boolean;
}

interface Seen extends Place {
  block: Block;
}

/** The sinks, if queries from a place on see some of them that their window has left behind. */
function sinksBehind({ sinks, shape }: KvCache, first: number): Block | null {
  return first >= shape.window ? sinks : null;
}

/** Exact blocks that T queries from a place on see, all of them in the last one. */
function blocksSeen(cache: KvCache, first: number, T: number): Seen[] {
  const { blockSize, exactStart } = cache;
  return cache.blocks
    .map((block, i) => ({ block, ...placeOf(cache, exactStart + i * blockSize, block.capacity, first, T) }))
    .filter(({ seen }) => seen);
}

/** The same of what is packed. */
function packedSeen(cache: KvCache, first: number, T: number): ({ packed: Packed } & Place)[] {
  let { start } = cache;
  const all = cache.packed.map((packed) => {
    const place = placeOf(cache, start, PART * packed.parts, first, T);
    start += PART * packed.parts;
    return { packed, ...place };
  });
  return all.filter(({ seen }) => seen);
}

function placeOf({ shape: { window } }: KvCache, start: number, keys: number, first: number, T: number) {
  const end = start + keys;
  const hides = start < first + T - window || end > first + 1;
  return { start, hides, seen: end > first + 1 - window && start <= first };
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
