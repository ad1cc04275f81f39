import { type Device, float32, type Values } from '../../graph/index.ts';
import { KeptPrograms } from '../kept-programs.ts';
import type { KvCache } from './cache.ts';
import { decodePlan } from './decode.ts';
import { Masks } from './mask.ts';
import type { Plan } from './plan.ts';
import { prefillPlan, QUERIES } from './prefill.ts';
import type { HeadShape } from './source.ts';
import { visibleParts } from './visible.ts';

/** By number of key heads. */
export type AttentionPrograms = ReadonlyMap<number, CacheAttention>;

/**
 * Softmax attention of queries over a cache, in programs of its own: what of the cache they see (visible.ts) are sources of keys
 * (source.ts), which a decode step (decode.ts) and prefill (prefill.ts) score and weigh under one softmax
 * (online-softmax.ts). Each key and value is read once for all query heads of its group. The programs hold no weights: all
 * layers, sequences and engines of a shape share them.
 */
export class CacheAttention {
  private readonly programs: KeptPrograms;
  private readonly masks = new Masks();

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
    for (let from = 0, count: number; from < T; from += count) {
      count = Math.min(T - from, chunkAt(cache, first + from));
      // Copies of a whole call would be a twentieth of a short prompt's time.
      if (count === T) return this.attendChunk(q, T, first, cache, into);
      /** Of the tokens of a head in x [H, tokens, d]. */
      const rows = (x: Float32Array, head: number, tokens: number, at = 0) =>
        x.subarray((head * tokens + at) * d, (head * tokens + at + count) * d);
      const chunk = new Float32Array(H * count * d);
      const result = new Float32Array(H * count * d);
      for (let head = 0; head < H; head++) rows(chunk, head, count).set(rows(q, head, T, from));
      await this.attendChunk(chunk, count, first + from, cache, result);
      for (let head = 0; head < H; head++) rows(into, head, T, from).set(rows(result, head, count));
    }
  }

  /** Queries [H, T, d] of a chunk, the tokens from `first` on. */
  private async attendChunk(
    queries: Float32Array,
    T: number,
    first: number,
    cache: KvCache,
    into: Float32Array,
  ): Promise<void> {
    const { q, runs, oneThread } = this.plan(queries, T, first, cache);
    const options = oneThread ? { ...this.options, threads: 1 } : this.options;
    const o = float32(into, q.dims);
    let left: Values = {};
    for (const [i, { kind, graph, inputs }] of runs.entries()) {
      const carry = { carries: i > 0, ends: i === runs.length - 1 };
      const key = JSON.stringify({ ...kind, ...carry });
      const program = await this.programs.get(key, () => graph(carry), options);
      left = await program.run({ q, ...inputs(), ...left }, carry.ends ? { o } : {});
    }
  }

  private plan(queries: Float32Array, T: number, first: number, cache: KvCache): Plan {
    const visible = visibleParts(cache, first, T, this.masks);
    const { sinks, packed, exact } = visible;
    return T === 1 && !sinks && (packed.length === 0 || exact.length === 1)
      ? decodePlan(this.shape, cache.shape, visible, queries, first)
      : prefillPlan(this.shape, cache.shape, visible, queries, T, first);
  }

  async dispose(): Promise<void> {
    await this.programs.dispose();
  }
}

/** Queries from a place on that go together: all of them in one stretch of a block. */
function chunkAt(cache: KvCache, first: number): number {
  const { blockSize, exactStart, start, shape } = cache;
  const row = (first - start) % blockSize;
  // Half as many over full exact blocks, whose scores every one of their programs has memory for.
  const most = first - exactStart < blockSize ? QUERIES : QUERIES / 2;
  const chunk = Math.min(blockSize - row, most - (row % most));
  // None of them with the first that has sinks behind its window.
  const before = shape.sinks ? shape.window - first : 0;
  return before > 0 ? Math.min(chunk, before) : chunk;
}
