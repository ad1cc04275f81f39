import {
  add,
  cast,
  concat,
  constant,
  type Device,
  type Dim,
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
  Program,
  reshape,
  rotationSize,
  sub,
  sum,
  type Tensor,
  unsqueeze,
  Value,
} from '../graph/index.ts';
import { hiddenKeys } from './hidden-keys.ts';
import { type Block, PART } from './kv-blocks.ts';
import type { KvCache } from './kv-cache.ts';
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

/** Which of the programs: of one query or several, with sums of earlier pieces, what hides keys, with the division. */
interface Kind {
  single: boolean;
  carries: boolean;
  hides: boolean[];
  ends: boolean;
}

type Sums = Record<'m' | 'l' | 'o', Tensor>;

export class ByteAttention {
  private readonly programs = new Map<string, Promise<Program>>();

  constructor(
    private readonly shape: { H: number; KV: number; d: number },
    private readonly options: { device?: Device; threads?: number },
  ) {}

  /** Queries [H, T, d] of the tokens from `first` on, which the cache holds. */
  async attend(q: Float32Array, T: number, first: number, cache: KvCache, into: Float32Array): Promise<void> {
    const { H, KV, d } = this.shape;
    const { window } = cache.shape;
    const single = T === 1;
    // Without instructions for products of bytes, those of 7 bits with them are exact.
    const base = (await integersAreExact()) ? 256 : 128;
    const given: Record<string, Value> = single
      ? roundedQuery(q, this.shape, base)
      : { q: float32(q, [1, KV, (H / KV) * T, d]) };
    const result = float32(into, [1, KV, (H / KV) * T, d]);
    const pieces = piecesOf(cache, first, T, single ? Number.POSITIVE_INFINITY : PARTS);
    const perRun = single ? BLOCKS : 1;
    let carried: Record<string, Value> | null = null;
    for (let i = 0; i < pieces.length; i += perRun) {
      const ends = i + perRun >= pieces.length;
      const feeds: Record<string, Value> = { ...given, ...carried };
      const hides = pieces.slice(i, i + perRun).map(({ block, from, parts, start }, n) => {
        feeds[`k${n}`] = partsOf(block.k, from, parts);
        feeds[`v${n}`] = partsOf(block.v, from, parts);
        feeds[`kFactors${n}`] = partsOf(block.factors!.k, from, parts);
        feeds[`vFactors${n}`] = partsOf(block.factors!.v, from, parts);
        const seen = start >= first + T - window && start + parts * PART <= first + 1;
        if (seen) return false;
        const bias = new Float32Array(parts * T * PART);
        for (let p = 0; p < parts; p++) {
          const values = bias.subarray(p * T * PART, (p + 1) * T * PART);
          hiddenKeys(T, PART, first - start - p * PART, window, values);
        }
        feeds[`bias${n}`] = float32(bias, [parts, 1, 1, T, PART]);
        return true;
      });
      const program = await this.program({ single, carries: carried !== null, hides, ends }, base);
      const outputs: Record<string, Value> = await program.run(feeds, ends ? { o: result } : {});
      carried = ends ? null : outputs;
    }
  }

  private program(kind: Kind, base: number): Promise<Program> {
    const key = JSON.stringify(kind);
    const known = this.programs.get(key);
    if (known) return known;
    const program = Program.compile(record(this.shape, kind, base), this.options);
    program.catch(() => this.programs.delete(key));
    this.programs.set(key, program);
    return program;
  }

  async dispose(): Promise<void> {
    for (const program of this.programs.values()) await (await program).dispose();
    this.programs.clear();
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
function roundedQuery(
  q: Float32Array,
  { H, KV, d }: { H: number; KV: number; d: number },
  base: number,
): Record<'q' | 'scale', Value> {
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

function record(
  { H, KV, d }: { H: number; KV: number; d: number },
  { single, carries, hides, ends }: Kind,
  base: number,
): Record<string, Tensor> {
  const G = H / KV;
  const R = single ? G : hides.includes(true) ? mulDims(G, 'T') : 'R';
  const of = single ? singleQuery({ KV, G, d }, base) : severalQueries({ KV, G, d, R });
  const pieces = hides.map((hidden, n) => of(`${n}`, hidden));
  if (carries) {
    const sums = (name: string, width: number) => input(name, 'float32', [1, KV, R, width]);
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
function singleQuery({ KV, G, d }: { KV: number; G: number; d: number }, base: number) {
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
    if (hidden)
      scores = add(scores, reshape(input(`bias${n}`, 'float32', [N, 1, 1, 1, PART]), [N, 1, 1, PART]));
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

/** The same for several queries, of all parts together. */
function severalQueries({ KV, G, d, R }: { KV: number; G: number; d: number; R: Dim }) {
  const size = rotationSize(d);
  const given = reshape(input('q', 'float32', [1, KV, R, d]), [1, KV, R, d / size, size]);
  const q = reshape(matmul(given, constant(hadamard(size).data, [size, size])), [1, KV, R, d]);
  return (n: string, hidden: boolean): Sums => {
    const N = `N${n}`;
    const factors = (name: string) => input(`${name}${n}`, 'float32', [N, KV, 1, PART]);
    const k = mul(cast(input(`k${n}`, 'int8', [N, KV, d, PART]), 'float32'), factors('kFactors'));
    const vFactors = reshape(factors('vFactors'), [N, KV, PART, 1]);
    const v = mul(cast(input(`v${n}`, 'int8', [N, KV, PART, d]), 'float32'), vFactors);
    let scores = matmul(q, k, { alpha: d ** -0.5 });
    if (hidden) {
      const bias = input(`bias${n}`, 'float32', [N, 1, 1, 'T', PART]);
      scores = reshape(add(reshape(scores, [N, KV, G, 'T', PART]), bias), [N, KV, R, PART]);
    }
    const m = max(max(scores, -1, true), 0, true);
    const weights = exp(sub(scores, m));
    const all = (x: Tensor) => sum(x, 0, true);
    return { m, l: all(sum(weights, -1, true)), o: all(matmul(weights, v)) };
  };
}
