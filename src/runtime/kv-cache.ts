import {
  BLOCK_FORMATS,
  type Block,
  type BlockFormat,
  type CacheShape,
  type KvDtype,
  PART,
} from './kv-blocks.ts';

/**
 * Keys and values of one attention layer of one sequence, in blocks of tokens. A full block never moves and is never
 * written again, so that sequences with a common beginning share it. The last block grows in steps, by copies of at most
 * a block; a sliding window lets go of the blocks behind it.
 */
export class KvCache {
  /** Tokens in all, those that are gone included. */
  length = 0;
  /** Of the tokens that are gone. */
  start = 0;
  blocks: Block[] = [];
  /** Tokens of a full block. */
  readonly blockSize: number;
  private readonly format: BlockFormat;
  /** The last block belongs to another sequence too: it is copied before it is written to. */
  private shared = false;

  constructor(
    readonly shape: CacheShape,
    readonly dtype: KvDtype = 'f32',
  ) {
    this.format = BLOCK_FORMATS[dtype];
    this.blockSize = this.format.blockSize(shape.window);
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
      const grown = this.format.allocate(this.shape, capacity);
      if (block) this.format.copy(this.shape, block, grown, used);
      blocks[i] = grown;
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
      const { block, row, room } = this.at(this.length);
      const count = Math.min(T - done, room);
      for (let head = 0; head < heads; head++) {
        const from = (head * T + done) * width;
        const rows = (all: Float32Array) => all.subarray(from, from + count * width);
        this.format.write(this.shape, block, 'k', head, row, rows(k));
        this.format.write(this.shape, block, 'v', head, row, rows(v));
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
    const copy = new KvCache(this.shape, this.dtype);
    copy.length = this.length;
    copy.start = this.start;
    copy.blocks = this.blocks.slice();
    this.shared = true;
    copy.shared = true;
    return copy;
  }

  /** All keys or values that are there [KV, length - start, d], as near as they are kept. */
  rows(part: 'k' | 'v'): Float32Array {
    const { heads, width } = this.shape;
    const tokens = this.length - this.start;
    const all = new Float32Array(heads * tokens * width);
    for (let done = 0; done < tokens; ) {
      const { block, row, room } = this.at(this.start + done);
      const count = Math.min(tokens - done, room);
      for (let head = 0; head < heads; head++) {
        const to = (head * tokens + done) * width;
        this.format.read(this.shape, block, part, head, row, all.subarray(to, to + count * width));
      }
      done += count;
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

  /** Memory of a block, shared or not. */
  bytesOf({ capacity }: Block): number {
    return this.format.bytes(this.shape) * capacity;
  }

  /** Memory of all blocks. */
  get bytes(): number {
    return this.blocks.reduce((sum, block) => sum + this.bytesOf(block), 0);
  }

  /** The block of a token, its row there and the rows from it to the end of a full block. */
  private at(token: number): { block: Block; row: number; room: number } {
    const at = token - this.start;
    const row = at % this.blockSize;
    return { block: this.blocks[Math.floor(at / this.blockSize)]!, row, room: this.blockSize - row };
  }
}
