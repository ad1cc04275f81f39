import {
  add,
  concat,
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
  reciprocal,
  reshape,
  softmax,
  sub,
  sum,
  type Tensor,
  unsqueeze,
  type Value,
} from '../graph/index.ts';
import { attendBeside } from './block-attention.ts';
import { ByteAttention } from './byte-attention.ts';
import { HIDDEN, hiddenKeys } from './hidden-keys.ts';
import { PART } from './kv-blocks.ts';
import type { KvCache } from './kv-cache.ts';

/**
 * Softmax attention of queries over the blocks of a cache, a run of a program for each, or for several of them if there
 * is one query. A run's sums are carried on to the next as the largest score so far, the sum of the exponentials relative to it, and the values
 * weighted by them, so that the whole is exact:
 *
 *   m' = max(m, max s),   l' = e^(m - m') l + sum e^(s - m'),   a' = e^(m - m') a + e^(s - m') V,   o = a / l
 *
 * Each key and value is read once for all query heads of its group. The programs hold no weights: all layers,
 * sequences and engines of a shape share them.
 */

/** Queries that go over the blocks together: bounds the memory of their scores. */
const QUERIES = 256;

/**
 * Blocks that one run takes for a single query, or half of them or a quarter and so on: the threads of a run that has just
 * begun must wake up first, and for every number of blocks there is a program.
 */
const BLOCKS = 32;

/** Which of the programs: with sums of earlier blocks, whether it hides keys of each block, with the division. */
interface Kind {
  /** One query, over one block that is all or over parts of several; or several queries over a block. */
  form: 'single' | 'parts' | 'many';
  carries: boolean;
  hides: boolean[];
  ends: boolean;
}

export class CachedAttentionPrograms {
  private readonly programs = new Map<string, Promise<Program>>();
  /** Over caches of 8 bits. */
  private readonly bytes: ByteAttention;

  constructor(
    /** Query heads, key heads, width of a head. */
    private readonly shape: { H: number; KV: number; d: number },
    private readonly options: { device?: Device; threads?: number },
  ) {
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
    if (cache.dtype === 'q8') return this.bytes.attend(q, T, first, cache, into);
    const { H, KV, d } = this.shape;
    const { window } = cache.shape;
    const queries = float32(q, [KV, (H / KV) * T, d]);
    // In a graph ONNX Runtime makes the factor one of the product, and of products with a factor it copies the keys.
    const scaled = T === 1 ? float32(q.map((x) => x * d ** -0.5) as Float32Array, queries.dims) : queries;
    const result = float32(into, queries.dims);
    const at = (position: number) => Math.floor((position - cache.start) / cache.blockSize);
    const last = at(first);
    let carried: Record<string, Value> | null = null;
    for (let i = Math.max(0, at(first + 1 - window)); i <= last; ) {
      const count = T === 1 ? Math.min(BLOCKS, 2 ** Math.floor(Math.log2(last + 1 - i))) : 1;
      const ends = i + count > last;
      const alone = count === 1 && ends && !carried;
      const form = T > 1 ? 'many' : alone ? 'single' : 'parts';
      const feeds: Record<string, Value> = { q: scaled, ...carried };
      const hides = cache.blocks.slice(i, i + count).map(({ k, v, capacity }, n) => {
        const start = cache.start + (i + n) * cache.blockSize;
        // One query is compared with parts of a block.
        const parts = [capacity / PART, PART];
        const of = (x: Value) => (form === 'parts' ? float32(x.data as Float32Array, [KV, ...parts, d]) : x);
        feeds[`k${n}`] = of(k);
        feeds[`v${n}`] = of(v);
        const hidden = i + n === last || start < first + T - window;
        if (hidden) {
          const values = hiddenKeys(T, capacity, first - start, window);
          if (form === 'single') {
            // The newest token stands beside the block, as in a step that is not cut: the same sums in the same order.
            values[first - start] = HIDDEN;
            feeds.ownK = rowOf(k, first - start);
            feeds.ownV = rowOf(v, first - start);
          }
          feeds[`bias${n}`] = float32(values, form === 'parts' ? [capacity / PART, 1, PART] : [T, capacity]);
        }
        return hidden;
      });
      const program = await this.program({ form, carries: carried !== null, hides, ends });
      const outputs: Record<string, Value> = await program.run(feeds, ends ? { o: result } : {});
      carried = ends ? null : outputs;
      i += count;
    }
  }

  private program(kind: Kind): Promise<Program> {
    const key = JSON.stringify(kind);
    const known = this.programs.get(key);
    if (known) return known;
    // Little work is done before a second thread has woken up.
    const options = kind.form === 'single' ? { ...this.options, threads: 1 } : this.options;
    const program = Program.compile(this.record(kind), options);
    program.catch(() => this.programs.delete(key));
    this.programs.set(key, program);
    return program;
  }

  private record({ form, carries, hides, ends }: Kind): Record<string, Tensor> {
    if (form === 'parts') return singleQuery(this.shape, { carries, hides, ends });
    const { H, KV, d } = this.shape;
    if (form === 'single') {
      const G = H / KV;
      const block = (name: string) => input(name, 'float32', [KV, 'C', d]);
      const own = (name: string) => input(name, 'float32', [KV, 1, 1, d]);
      const attended = attendBeside({
        q: reshape(input('q', 'float32', [KV, G, d]), [KV, G, 1, d]),
        k: block('k0'),
        v: block('v0'),
        ownK: own('ownK'),
        ownV: own('ownV'),
        hidden: input('bias0', 'float32', [1, 'C']),
      });
      return { o: reshape(attended, [KV, G, d]) };
    }
    const [hidden] = hides as [boolean];
    const of = (name: string, rows: Dim, width: Dim) => input(name, 'float32', [KV, rows, width]);
    const R = hidden ? mulDims(H / KV, 'T') : 'R';
    const [q, k, v] = [of('q', R, d), of('k0', 'C', d), of('v0', 'C', d)];
    let scores = matmul(q, k, { transB: true, alpha: d ** -0.5 });
    if (hidden) {
      const bias = input('bias0', 'float32', ['T', 'C']);
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
    await this.bytes.dispose();
  }
}

/**
 * One query of each head over several blocks, in parts of their own softmax: matrix by vector for each part and head,
 * which copies no keys and finds a part in the cache of the processor for all heads of a group. A part's largest weight is
 * e^0 / l. Queries come multiplied by d^-0.5. Earlier blocks count as one part more, of which the result is carried.
 */
function singleQuery(
  { H, KV, d }: { H: number; KV: number; d: number },
  { carries, hides, ends }: Omit<Kind, 'form'>,
): Record<string, Tensor> {
  const G = H / KV;
  const q = reshape(input('q', 'float32', [KV, G, d]), [KV, 1, G, 1, d]);
  const parts = hides.map((hidden, n) => {
    const count = `N${n}`;
    const of = (name: string) => unsqueeze(input(`${name}${n}`, 'float32', [KV, count, PART, d]), 2);
    let scores = reshape(matmul(q, of('k'), { transB: true }), [KV, count, G, PART]);
    if (hidden) scores = add(scores, input(`bias${n}`, 'float32', [count, 1, PART]));
    const weights = softmax(scores);
    const product = matmul(reshape(weights, [KV, count, G, 1, PART]), of('v'));
    return {
      m: max(scores, -1, true),
      l: reciprocal(max(weights, -1, true)),
      o: reshape(product, [KV, count, G, d]),
    };
  });
  if (carries) {
    const of = (name: string, width: number) => input(name, 'float32', [KV, 1, G, width]);
    parts.push({ m: of('m', 1), l: of('l', 1), o: of('o', d) });
  }
  const all = (name: 'm' | 'l' | 'o') =>
    concat(
      parts.map((part) => part[name]),
      1,
    );
  const largest = all('m');
  const m = max(largest, 1, true);
  const shares = mul(all('l'), exp(sub(largest, m)));
  const l = sum(shares, 1, true);
  const o = div(sum(mul(all('o'), shares), 1, true), l);
  return ends ? { o: reshape(o, [KV, G, d]) } : { m, l, o };
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
