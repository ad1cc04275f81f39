import { float32, rotationSize, Value } from '../graph/index.ts';
import { turnRows } from './turn-rows.ts';

/**
 * The blocks that a cache of keys and values consists of, as float32 or in 8 bits.
 *
 * In 8 bits every key and value has one factor, its largest entry over 127. Keys are turned before they are rounded,
 * by Hadamard matrices of `rotationSize(d)` along the diagonal, which spreads a large entry over its neighbours; queries
 * are turned by whoever compares them. The layout is what products of integers read fastest: parts of PART tokens,
 * whose keys are columns and whose values are rows.
 */

export const KV_DTYPES = ['f32', 'q8'] as const;
/** Of keys and values that are kept: exact, or in 8 bits, a quarter of the memory and faster to read. */
export type KvDtype = (typeof KV_DTYPES)[number];

/** A block grows by so many tokens: what is read beyond the last token is less than that. */
export const PART = 256;
/**
 * Tokens of a full block: so many that a node of the attention's program is little beside reading it. Of 8 bits, a block
 * takes as much memory.
 */
const BLOCK: Record<KvDtype, number> = { f32: 4096, q8: 16_384 };

export interface CacheShape {
  /** Heads [KV]. */
  heads: number;
  /** Width of a head [d]. */
  width: number;
  /** Tokens that a query sees. */
  window: number;
}

export interface Block {
  /** Tokens that there is room for, in whole parts. */
  capacity: number;
  /** float32 [KV, capacity, d], or int8 [parts, KV, d, PART]. */
  k: Value;
  /** float32 [KV, capacity, d], or int8 [parts, KV, PART, d]. */
  v: Value;
  /** Of 8 bits, the factors of keys and values [parts, KV, 1, PART]. */
  factors?: { k: Value; v: Value };
}

/** Keys or values of a float32 block for the queries of a group one by one: [KV, 1, capacity, d], over the same memory. */
export function rowsOfBlock({ data, dims }: Value): Value {
  const [KV, ...rest] = dims as readonly [number, ...number[]];
  return float32(data as Float32Array, [KV, 1, ...rest]);
}

export interface BlockFormat {
  /** Tokens of a full block for queries that see so many. */
  blockSize(window: number): number;
  allocate(shape: CacheShape, capacity: number): Block;
  /** Copies the first tokens of a block into another. */
  copy(shape: CacheShape, from: Block, to: Block, tokens: number): void;
  /** Writes rows [count, d] of a head as the tokens from `row` on. */
  write(
    shape: CacheShape,
    block: Block,
    part: 'k' | 'v',
    head: number,
    row: number,
    rows: Float32Array,
  ): void;
  /** The inverse. */
  read(shape: CacheShape, block: Block, part: 'k' | 'v', head: number, row: number, rows: Float32Array): void;
  /** Memory of keys and values of a token. */
  bytes(shape: Pick<CacheShape, 'heads' | 'width'>): number;
}

const floats: BlockFormat = {
  blockSize: (window) => blockSize('f32', window),
  allocate({ heads, width }, capacity) {
    const room = () => float32(new Float32Array(heads * capacity * width), [heads, capacity, width]);
    return { capacity, k: room(), v: room() };
  },
  copy({ heads, width }, from, to, tokens) {
    for (const part of ['k', 'v'] as const) {
      for (let head = 0; head < heads; head++) {
        const at = head * from.capacity * width;
        floatsOf(to[part]).set(
          floatsOf(from[part]).subarray(at, at + tokens * width),
          head * to.capacity * width,
        );
      }
    }
  },
  write({ width }, block, part, head, row, rows) {
    floatsOf(block[part]).set(rows, (head * block.capacity + row) * width);
  },
  read({ width }, block, part, head, row, rows) {
    const at = (head * block.capacity + row) * width;
    rows.set(floatsOf(block[part]).subarray(at, at + rows.length));
  },
  bytes: ({ heads, width }) => 2 * 4 * heads * width,
};

const bytes: BlockFormat = {
  blockSize: (window) => blockSize('q8', window),
  allocate({ heads, width }, capacity) {
    const parts = capacity / PART;
    const room = (dims: number[]) => new Value('int8', new Int8Array(capacity * heads * width), dims);
    const factors = () => float32(new Float32Array(capacity * heads), [parts, heads, 1, PART]);
    return {
      capacity,
      k: room([parts, heads, width, PART]),
      v: room([parts, heads, PART, width]),
      factors: { k: factors(), v: factors() },
    };
  },
  // Parts follow one another: whole ones are copied, with what is written over later.
  copy({ heads, width }, from, to, tokens) {
    const count = PART * Math.ceil(tokens / PART) * heads;
    for (const part of ['k', 'v'] as const) {
      integersOf(to[part]).set(integersOf(from[part]).subarray(0, count * width));
      floatsOf(to.factors![part]).set(floatsOf(from.factors![part]).subarray(0, count));
    }
  },
  write({ heads, width }, block, part, head, row, rows) {
    const [levels, factors] = [integersOf(block[part]), floatsOf(block.factors![part])];
    const turned = part === 'k' ? turnRows(rows.slice(), rotationSize(width)) : rows;
    for (let i = 0; i < rows.length / width; i++) {
      const { token, first, step } = place(heads, width, part, head, row + i);
      const at = i * width;
      let largest = SMALLEST;
      for (let c = 0; c < width; c++) largest = Math.max(largest, Math.abs(turned[at + c]!));
      factors[token] = largest / 127;
      const factor = 127 / largest;
      // What Math.round gives, which is slower.
      for (let c = 0; c < width; c++) levels[first + c * step] = Math.floor(turned[at + c]! * factor + 0.5);
    }
  },
  read({ heads, width }, block, part, head, row, rows) {
    const [levels, factors] = [integersOf(block[part]), floatsOf(block.factors![part])];
    for (let i = 0; i < rows.length / width; i++) {
      const { token, first, step } = place(heads, width, part, head, row + i);
      for (let c = 0; c < width; c++) rows[i * width + c] = levels[first + c * step]! * factors[token]!;
    }
    if (part === 'k') turnRows(rows, rotationSize(width));
  },
  bytes: ({ heads, width }) => 2 * heads * (width + 4),
};

export const BLOCK_FORMATS: Record<KvDtype, BlockFormat> = { f32: floats, q8: bytes };

/** What is smaller counts as zero: its factor would not be a normal number. */
const SMALLEST = 1e-30;

/** Where a token's factor, its first entry and the following ones lie. */
function place(heads: number, width: number, part: 'k' | 'v', head: number, row: number) {
  const [matrix, column] = [Math.floor(row / PART) * heads + head, row % PART];
  const first = matrix * PART * width + (part === 'k' ? column : column * width);
  return { token: matrix * PART + column, first, step: part === 'k' ? PART : 1 };
}

function blockSize(dtype: KvDtype, window: number): number {
  const longest = BLOCK[dtype];
  return Math.min(longest, PART * Math.ceil(Math.min(window, longest) / PART));
}

function floatsOf(value: Value): Float32Array {
  return value.data as Float32Array;
}

function integersOf(value: Value): Int8Array {
  return value.data as Int8Array;
}
