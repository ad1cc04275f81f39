import { float32, type Value } from '../../graph/index.ts';

/** The blocks that a cache of keys and values adds tokens to, as float32. */

export const KV_DTYPES = ['f32', 'q8'] as const;
/**
 * Of keys and values that are kept: all exact, or the newest exact and full blocks in 8 bits, a quarter of the memory and
 * faster to read.
 */
export type KvDtype = (typeof KV_DTYPES)[number];

/** A block grows by so many tokens: what is read beyond the last token is less than that. */
export const PART = 256;

/** Tokens of a full block: so many that a node of the attention's program is little beside reading it. */
export const BLOCK = 4096;

export interface CacheShape {
  /** Heads [KV]. */
  heads: number;
  /** Width of a head [d]. */
  width: number;
  /** Tokens that a query sees. */
  window: number;
  /** First tokens of the sequence that it sees besides, however far away; none when absent. */
  sinks?: number;
}

export interface Block {
  /** Tokens that there is room for, in whole parts. */
  capacity: number;
  /** [KV, capacity, d] */
  k: Value;
  v: Value;
}

/** Tokens of a full block for queries that see so many. */
export function blockSize(window: number): number {
  return Math.min(BLOCK, PART * Math.ceil(Math.min(window, BLOCK) / PART));
}

export function exactBlock({ heads, width }: CacheShape, capacity: number): Block {
  const room = () => float32(new Float32Array(heads * capacity * width), [heads, capacity, width]);
  return { capacity, k: room(), v: room() };
}

/** Copies the first tokens of a block into another. */
export function copyTokens({ heads, width }: CacheShape, from: Block, to: Block, tokens: number): void {
  for (let head = 0; head < heads; head++) {
    for (const part of ['k', 'v'] as const)
      rowsOf(to, part, head, 0, tokens, width).set(rowsOf(from, part, head, 0, tokens, width));
  }
}

/** Rows [count, d] of a head, over the memory of the block. */
export function rowsOf(
  block: Block,
  part: 'k' | 'v',
  head: number,
  row: number,
  count: number,
  width: number,
): Float32Array {
  const at = (head * block.capacity + row) * width;
  return (block[part].data as Float32Array).subarray(at, at + count * width);
}

/** A token's row of every head [KV d]. */
export function rowAt(block: Block, part: 'k' | 'v', row: number): Float32Array {
  const [KV, , d] = block[part].dims as [number, number, number];
  const rows = new Float32Array(KV * d);
  for (let head = 0; head < KV; head++) rows.set(rowsOf(block, part, head, row, 1, d), head * d);
  return rows;
}

/** Keys and values of a block in parts of so many tokens [KV, capacity / tokens, tokens, d], over the same memory. */
export function inParts({ capacity, k, v }: Block, tokens = capacity): Record<'k' | 'v', Value> {
  const of = ({ data, dims }: Value) =>
    float32(data as Float32Array, [dims[0]!, capacity / tokens, tokens, dims[2]!]);
  return { k: of(k), v: of(v) };
}

/** Bytes of exact keys and values of a token. */
export function tokenBytes({ heads, width }: Pick<CacheShape, 'heads' | 'width'>): number {
  return 2 * 4 * heads * width;
}
