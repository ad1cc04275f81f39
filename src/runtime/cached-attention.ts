import {
  add,
  type Device,
  type Dim,
  div,
  exp,
  float32,
  input,
  matmul,
  max,
  maximum,
  mul,
  mulDims,
  Program,
  reshape,
  softmax,
  sub,
  sum,
  type Tensor,
  type Value,
} from '../graph/index.ts';
import type { KvCache } from './kv-cache.ts';

/**
 * Softmax attention of queries over the blocks of a cache, a run of a program for each block. A block's sums are
 * carried on to the next as the largest score so far, the sum of the exponentials relative to it, and the values
 * weighted by them, so that the whole is exact:
 *
 *   m' = max(m, max s),   l' = e^(m - m') l + sum e^(s - m'),   a' = e^(m - m') a + e^(s - m') V,   o = a / l
 *
 * Each key and value is read once for all query heads of its group. The programs hold no weights: all layers,
 * sequences and engines of a shape share them.
 */

/** Added to the scores of what must not be seen: finite, so that sums stay numbers. */
const HIDDEN = -1e30;
/** Queries that go over the blocks together: bounds the memory of their scores. */
const QUERIES = 256;

/** Which of the programs: with sums of earlier blocks, with keys that not every query sees, with the division. */
interface Kind {
  carries: boolean;
  hides: boolean;
  ends: boolean;
}

export class CachedAttentionPrograms {
  private readonly programs = new Map<string, Promise<Program>>();

  constructor(
    /** Query heads, key heads, width of a head. */
    private readonly shape: { H: number; KV: number; d: number },
    private readonly options: { device?: Device; threads?: number },
  ) {}

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
      // No further than the block of the first of them: blocks before it are seen as a whole.
      const room = cache.blockSize - ((first + from - cache.start) % cache.blockSize);
      const count = Math.min(T - from, room, QUERIES);
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

  /** Queries [H, T, d] of the tokens from `first` on, all in one block of the cache. */
  private async attendRows(
    q: Float32Array,
    T: number,
    first: number,
    cache: KvCache,
    into: Float32Array,
  ): Promise<void> {
    const { H, KV, d } = this.shape;
    const { window } = cache.shape;
    const queries = float32(q, [KV, (H / KV) * T, d]);
    const result = float32(into, queries.dims);
    const at = (position: number) => Math.floor((position - cache.start) / cache.blockSize);
    const last = at(first);
    let carried: Record<string, Value> | null = null;
    for (let i = Math.max(0, at(first + 1 - window)); i <= last; i++) {
      const { k, v, capacity } = cache.blocks[i]!;
      const start = cache.start + i * cache.blockSize;
      const ends = i === last;
      const hides = ends || start < first + T - window;
      const program = await this.program({ carries: carried !== null, hides, ends });
      const outputs: Record<string, Value> = await program.run(
        {
          q: queries,
          k,
          v,
          ...(hides ? { bias: float32(bias(T, capacity, first - start, window), [T, capacity]) } : {}),
          ...carried,
        },
        ends ? { o: result } : {},
      );
      carried = ends ? null : { m: outputs.m!, l: outputs.l!, a: outputs.a! };
    }
  }

  private program(kind: Kind): Promise<Program> {
    const key = JSON.stringify(kind);
    const known = this.programs.get(key);
    if (known) return known;
    const program = Program.compile(this.record(kind), this.options);
    program.catch(() => this.programs.delete(key));
    this.programs.set(key, program);
    return program;
  }

  private record({ carries, hides, ends }: Kind): Record<string, Tensor> {
    const { H, KV, d } = this.shape;
    const of = (name: string, rows: Dim, width: Dim) => input(name, 'float32', [KV, rows, width]);
    const R = hides ? mulDims(H / KV, 'T') : 'R';
    const [q, k, v] = [of('q', R, d), of('k', 'C', d), of('v', 'C', d)];
    let scores = matmul(q, k, { transB: true, alpha: d ** -0.5 });
    if (hides) {
      const bias = input('bias', 'float32', ['T', 'C']);
      scores = reshape(add(reshape(scores, [KV, H / KV, 'T', 'C']), bias), [KV, R, 'C']);
    }
    if (!carries && ends) return { o: matmul(softmax(scores), v) };
    const own = max(scores, -1, true);
    const before = carries ? { m: of('m', R, 1), l: of('l', R, 1), a: of('a', R, d) } : null;
    const m = before ? maximum(before.m, own) : own;
    const weights = exp(sub(scores, m));
    let l = sum(weights, -1, true);
    let a = matmul(weights, v);
    if (before) {
      const scale = exp(sub(before.m, m));
      l = add(mul(before.l, scale), l);
      a = add(mul(before.a, scale), a);
    }
    return ends ? { o: div(a, l) } : { m, l, a };
  }

  async dispose(): Promise<void> {
    for (const program of this.programs.values()) await (await program).dispose();
    this.programs.clear();
  }
}

/**
 * What is added to the scores of T queries over a block's keys: 0 where query i, which stands at place `at + i` of the
 * block, sees key j, that is 0 <= at + i - j < window. [T, capacity]
 */
function bias(T: number, capacity: number, at: number, window: number): Float32Array {
  const values = new Float32Array(T * capacity).fill(HIDDEN);
  for (let i = 0; i < T; i++) {
    const place = at + i;
    const [from, to] = [Math.max(0, place + 1 - window), Math.min(capacity, place + 1)];
    if (from < to) values.fill(0, i * capacity + from, i * capacity + to);
  }
  return values;
}
