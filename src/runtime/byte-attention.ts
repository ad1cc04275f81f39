import {
  add,
  cast,
  concat,
  constant,
  type Device,
  div,
  exp,
  float32,
  hadamard,
  input,
  integerProduct,
  integersAreExact,
  lastDigit,
  matmul,
  max,
  maximum,
  mul,
  mulDims,
  reshape,
  rotationSize,
  sub,
  sum,
  type Tensor,
  transpose,
  unsqueeze,
  Value,
} from '../graph/index.ts';
import { HiddenKeys, hiddenKeys } from './hidden-keys.ts';
import { KeptPrograms } from './kept-programs.ts';
import { type Block, PART } from './kv-blocks.ts';
import type { KvCache } from './kv-cache.ts';
import { groupsOf, type Keys, type SeveralKind, severalQueries } from './several-queries.ts';
import type { HeadShape, PartsKind, Sums } from './single-query.ts';
import { turnRows } from './turn-rows.ts';

/**
 * Softmax attention over keys and values of 8 bits (kv-blocks.ts); sums are carried from run to run as
 * cached-attention.ts says.
 *
 * One query is compared by products of integers, which read the cache as it lies. It is rounded to 8 bits as keys are,
 * after the same turn, with one factor for all heads. The weights of values, multiplied by the values' factors, are
 * rounded to 16 bits of the largest possible in their part: two digits, which are two rows of one product.
 *
 * Several queries take the cache as float32, a few parts at a time.
 */

/** Blocks that one run takes for a single query. */
const BLOCKS = 8;
/** Parts that one run takes for several queries: bounds the memory of their scores. */
const PARTS = 8;

/** Parts of a block, and the place of their first token in the sequence. */
interface Piece {
  block: Block;
  from: number;
  parts: number;
  start: number;
}

export class ByteAttention {
  private readonly programs: KeptPrograms;
  private readonly hidden = new HiddenKeys();

  constructor(
    private readonly shape: HeadShape,
    options: { device?: Device; threads?: number },
  ) {
    this.programs = new KeptPrograms(options);
  }

  /** Queries [H, T, d] of the tokens from `first` on, which the cache holds. */
  attend(q: Float32Array, T: number, first: number, cache: KvCache, into: Float32Array): Promise<void> {
    return T === 1 ? this.attendOne(q, first, cache, into) : this.attendSeveral(q, T, first, cache, into);
  }

  private async attendOne(q: Float32Array, place: number, cache: KvCache, into: Float32Array): Promise<void> {
    const { H, KV, d } = this.shape;
    // Without instructions for products of bytes, those of 7 bits with them are exact.
    const base = (await integersAreExact()) ? 256 : 128;
    const given = roundedQuery(q, this.shape, base);
    const result = float32(into, [1, KV, H / KV, d]);
    const pieces = piecesOf(cache, place, 1, Number.POSITIVE_INFINITY);
    let carried: Record<string, Value> | null = null;
    for (let i = 0; i < pieces.length; i += BLOCKS) {
      const ends = i + BLOCKS >= pieces.length;
      const feeds: Record<string, Value> = { ...given, ...carried };
      const hides = pieces.slice(i, i + BLOCKS).map((piece, n) => {
        for (const [name, value] of Object.entries(valuesOf(piece))) feeds[`${name}${n}`] = value;
        const { parts, start } = piece;
        const hidden = hidesSome(piece, place, 1, cache.shape.window);
        if (hidden) {
          const values = hiddenKeys(1, parts * PART, place - start, cache.shape.window);
          feeds[`bias${n}`] = float32(values, [parts, 1, 1, PART]);
        }
        return hidden;
      });
      const kind: PartsKind = { carries: carried !== null, hides, ends };
      const program = await this.programs.get(JSON.stringify(kind), () =>
        singleQuery(this.shape, kind, base),
      );
      const outputs: Record<string, Value> = await program.run(feeds, ends ? { o: result } : {});
      carried = outputs;
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
    const pieces = piecesOf(cache, first, T, PARTS);
    for (const [i, piece] of pieces.entries()) {
      const { parts, start } = piece;
      const [hidden, ends] = [hidesSome(piece, first, T, window), i === pieces.length - 1];
      const feeds: Record<string, Value> = { q: queries, ...valuesOf(piece), ...carried };
      if (hidden) feeds.bias = this.hidden.of(T, parts * PART, first - start, window, groups);
      const kind: SeveralKind = { over: 'block', hides: hidden, carries: carried !== null, ends, groups };
      const program = await this.programs.get(JSON.stringify(kind), () =>
        severalQueries(this.shape, kind, readKeys(this.shape)),
      );
      const outputs: Record<string, Value> = await program.run(feeds, ends ? { o: result } : {});
      carried = outputs;
    }
  }

  async dispose(): Promise<void> {
    await this.programs.dispose();
  }
}

/** What T queries from `first` on see of a cache, in pieces of at most so many parts. */
function piecesOf(
  { blocks, start, blockSize, shape }: KvCache,
  first: number,
  T: number,
  most: number,
): Piece[] {
  const pieces: Piece[] = [];
  const lowest = Math.max(start, first + 1 - shape.window);
  for (const [i, block] of blocks.entries()) {
    const at = start + i * blockSize;
    const to = Math.ceil((Math.min(first + T, at + block.capacity) - at) / PART);
    for (let from = Math.max(0, Math.floor((lowest - at) / PART)); from < to; ) {
      const parts = Math.min(most, to - from);
      pieces.push({ block, from, parts, start: at + from * PART });
      from += parts;
    }
  }
  return pieces;
}

/** Whether some of a piece's keys are hidden from some of T queries from `first` on. */
function hidesSome({ parts, start }: Piece, first: number, T: number, window: number): boolean {
  return start < first + T - window || start + parts * PART > first + 1;
}

function valuesOf({ block: { k, v, factors }, from, parts }: Piece): Record<string, Value> {
  const of = (value: Value) => partsOf(value, from, parts);
  return { k: of(k), v: of(v), kFactors: of(factors!.k), vFactors: of(factors!.v) };
}

/** Some parts of a block's values, over the same memory. */
function partsOf(value: Value, from: number, parts: number): Value {
  const [all, ...rest] = value.dims as [number, ...number[]];
  if (parts === all) return value;
  const size = value.size / all;
  const data = value.data as Float32Array | Int8Array;
  return new Value(value.type as 'float32', data.subarray(from * size, (from + parts) * size), [
    parts,
    ...rest,
  ]);
}

/** A query [H, d], turned, as integers around half of the base, and their factor with that of all scores. */
function roundedQuery(q: Float32Array, { H, KV, d }: HeadShape, base: number): Record<'q' | 'scale', Value> {
  const turned = turnRows(q.slice(), rotationSize(d));
  const largest = turned.reduce((top, x) => Math.max(top, Math.abs(x)), 1e-30);
  const [zero, top] = [base / 2, base / 2 - 1];
  return {
    q: new Value(
      'uint8',
      Uint8Array.from(turned, (x) => Math.round((x / largest) * top) + zero),
      [1, KV, H / KV, d],
    ),
    scale: float32(Float32Array.of((largest / top) * d ** -0.5), []),
  };
}

/** One query of each head over parts of several blocks. */
function singleQuery(
  shape: HeadShape,
  { carries, hides, ends }: PartsKind,
  base: number,
): Record<string, Tensor> {
  const { H, KV, d } = shape;
  const of = sumsOfParts(shape, base);
  const pieces = hides.map((hidden, n) => of(`${n}`, hidden));
  if (carries) {
    const sums = (name: string, width: number) => input(name, 'float32', [1, KV, H / KV, width]);
    pieces.push({ m: sums('m', 1), l: sums('l', 1), o: sums('o', d) });
  }
  const all = (name: keyof Sums) =>
    concat(
      pieces.map((piece) => piece[name]),
      0,
    );
  const largest = all('m');
  const m = max(largest, 0, true);
  const shares = exp(sub(largest, m));
  const l = sum(mul(all('l'), shares), 0, true);
  const o = sum(mul(all('o'), shares), 0, true);
  return ends ? { o: div(o, l) } : { m, l, o };
}

/** Largest score, sum of weights and weighted values of each part, for one query. */
function sumsOfParts({ H, KV, d }: HeadShape, base: number) {
  const G = H / KV;
  const q = input('q', 'uint8', [1, KV, G, d]);
  const scale = input('scale', 'float32', []);
  const top = base * base - 1;
  const digits = constant([1 / base, 1], [2, 1, 1]);
  const worth = constant([base, 1], [2, 1, 1]);
  return (n: string, hidden: boolean): Sums => {
    const N = `N${n}`;
    const factors = (name: string) => input(`${name}${n}`, 'float32', [N, KV, 1, PART]);
    const k = input(`k${n}`, 'int8', [N, KV, d, PART]);
    const v = input(`v${n}`, 'int8', [N, KV, PART, d]);
    let scores = integerProduct(q, k, { zero: base / 2, scale, scales: factors('kFactors') });
    if (hidden) scores = add(scores, input(`bias${n}`, 'float32', [N, 1, 1, PART]));
    const m = max(scores, -1, true);
    const weights = exp(sub(scores, m));
    const vFactors = factors('vFactors');
    const largest = maximum(max(vFactors, -1, true), 1e-30);
    // [N, KV, 2, 1, PART]
    const shares = mul(unsqueeze(mul(vFactors, div(top, largest)), 2), digits);
    const rows = lastDigit(mul(unsqueeze(weights, 2), shares), base);
    const products = integerProduct(reshape(rows, [N, KV, 2 * G, PART]), v);
    const o = sum(mul(reshape(products, [N, KV, 2, G, d]), worth), 2);
    return { m, l: sum(weights, -1, true), o: mul(o, div(largest, top)) };
  };
}

/** Keys and values of some parts as float32, side by side. */
function readKeys({ KV, d }: HeadShape): Keys {
  const size = rotationSize(d);
  const rotation = constant(hadamard(size).data, [size, size]);
  const C = mulDims('N', PART);
  const factors = (name: string) => input(name, 'float32', ['N', KV, 1, PART]);
  const k = mul(cast(input('k', 'int8', ['N', KV, d, PART]), 'float32'), factors('kFactors'));
  const v = mul(
    cast(input('v', 'int8', ['N', KV, PART, d]), 'float32'),
    reshape(factors('vFactors'), ['N', KV, PART, 1]),
  );
  return {
    k: reshape(transpose(k, [1, 0, 3, 2]), [KV, C, d]),
    v: reshape(transpose(v, [1, 0, 2, 3]), [KV, C, d]),
    turn: (q) => reshape(matmul(reshape(q, [...q.shape.slice(0, -1), d / size, size]), rotation), q.shape),
  };
}
