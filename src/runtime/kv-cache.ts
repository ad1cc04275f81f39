import { float32, type Value } from '../graph/index.ts';

/**
 * Keys and values of one attention layer of one sequence, in blocks of tokens [KV, capacity, d]. A full block never
 * moves and is never written again, so that sequences with a common beginning share it. The last block grows in
 * steps, by copies of at most a block; a sliding window lets go of the blocks behind it.
 */

/** Tokens of a full block: long enough that a run of the attention's program is little beside reading it. */
const BLOCK = 2048;
/** The last block grows by so many tokens: what is read beyond the last token is less than that. */
export const PART = 256;

export interface Block {
  k: Value;
  v: Value;
  /** Tokens that there is room for. */
  capacity: number;
}

export interface CacheShape {
  /** Heads [KV]. */
  heads: number;
  /** Width of a head [d]. */
  width: number;
  /** Tokens that a query sees. */
  window: number;
}

export class KvCache {
  /** Tokens in all, those that are gone included. */
  length = 0;
  /** Of the tokens that are gone. */
  start = 0;
  blocks: Block[] = [];
  /** Tokens of a full block. */
  readonly blockSize: number;
  /** The last block belongs to another sequence too: it is copied before it is written to. */
  private shared = false;

  constructor(readonly shape: CacheShape) {
    this.blockSize = Math.min(BLOCK, PART * Math.ceil(Math.min(shape.window, BLOCK) / PART));
  }

  /**
   * Makes room for further tokens; nothing else allocates.
   *
   * @throws RangeError where there is no memory; the cache stays as it was
   */
  reserve(tokens: number): void {
    const { blockSize } = this;
    const blocks = this.blocks.slice();
    const end = this.length + tokens - this.start;
    const first = Math.max(
      0,
      Math.min(blocks.length - 1, Math.floor((this.length - this.start) / blockSize)),
    );
    for (let i = first; i * blockSize < end; i++) {
      const used = Math.max(0, Math.min(blockSize, this.length - this.start - i * blockSize));
      const needed = Math.min(blockSize, end - i * blockSize);
      const block = blocks[i];
      if (block && block.capacity >= needed && !(this.shared && needed > used)) continue;
      const capacity = Math.max(block?.capacity ?? 0, PART * Math.ceil(needed / PART));
      blocks[i] = this.grown(block, used, capacity);
    }
    this.blocks = blocks;
    this.shared = false;
  }

  /**
   * Appends the tokens of k and v [KV, T, d], for which there is room.
   */
  write(k: Float32Array, v: Float32Array, T: number): void {
    const { heads, width } = this.shape;
    for (let done = 0; done < T; ) {
      const at = this.length - this.start;
      const block = this.blocks[Math.floor(at / this.blockSize)]!;
      const row = at % this.blockSize;
      const count = Math.min(T - done, this.blockSize - row);
      for (const [from, to] of [
        [k, block.k.data as Float32Array],
        [v, block.v.data as Float32Array],
      ] as const) {
        for (let head = 0; head < heads; head++) {
          const source = (head * T + done) * width;
          to.set(from.subarray(source, source + count * width), (head * block.capacity + row) * width);
        }
      }
      done += count;
      this.length += count;
    }
  }

  /** Lets go of blocks that no later query sees. */
  trim(): void {
    while (this.start + this.blockSize <= this.length + 1 - this.shape.window) {
      this.blocks.shift();
      this.start += this.blockSize;
    }
  }

  /** The same tokens for another sequence; only the last block will ever be copied. */
  fork(): KvCache {
    const copy = new KvCache(this.shape);
    copy.length = this.length;
    copy.start = this.start;
    copy.blocks = this.blocks.slice();
    this.shared = true;
    copy.shared = true;
    return copy;
  }

  /** All keys or values that are there [KV, length - start, d]. */
  rows(part: 'k' | 'v'): Float32Array {
    const { heads, width } = this.shape;
    const tokens = this.length - this.start;
    const all = new Float32Array(heads * tokens * width);
    for (const [i, block] of this.blocks.entries()) {
      const used = Math.min(this.blockSize, tokens - i * this.blockSize);
      for (let head = 0; head < heads; head++) {
        const from = head * block.capacity * width;
        all.set(
          (block[part].data as Float32Array).subarray(from, from + used * width),
          (head * tokens + i * this.blockSize) * width,
        );
      }
    }
    return all;
  }

  /** Makes an empty cache what it was when these were its rows. */
  restore(k: Float32Array, v: Float32Array, start: number, length: number): void {
    this.start = start;
    this.length = start;
    this.reserve(length - start);
    this.write(k, v, length - start);
  }

  /** Memory of the blocks, shared or not. */
  get bytes(): number {
    const { heads, width } = this.shape;
    return this.blocks.reduce((sum, { capacity }) => sum + 2 * 4 * heads * width * capacity, 0);
  }

  private grown(block: Block | undefined, used: number, capacity: number): Block {
    const { heads, width } = this.shape;
    const copy = (old: Value | undefined) => {
      const data = new Float32Array(heads * capacity * width);
      for (let head = 0; block && head < heads; head++) {
        const from = head * block.capacity * width;
        data.set((old!.data as Float32Array).subarray(from, from + used * width), head * capacity * width);
      }
      return float32(data, [heads, capacity, width]);
    };
    return { k: copy(block?.k), v: copy(block?.v), capacity };
  }
}
