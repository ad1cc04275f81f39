import {
  BLOCK,
  type Block,
  blockSize,
  type CacheShape,
  copyTokens,
  exactBlock,
  type KvDtype,
  PART,
  rowsOf,
  tokenBytes,
} from './kv-blocks.ts';
import { join, type Packer, unpack } from './packed-blocks.ts';

/**
 * Keys and values of one attention layer of one sequence, in blocks of tokens. A full block never moves and is never
 * written again, so that sequences with a common beginning share it. The last block grows in steps, by copies of at most
 * a block; a sliding window lets go of the blocks behind it. Of 8 bits, full blocks are packed, but where a window is
 * shorter than such a block.
 */
export class KvCache {
  /** Tokens in all, those that are gone included. */
  length = 0;
  /** Of the tokens that are gone. */
  start = 0;
  blocks: Block[] = [];
  /** Tokens of a full block that is exact. */
  readonly blockSize: number;
  /** The last block belongs to another sequence too: it is copied before it is written to. */
  private shared = false;

  constructor(
    readonly shape: CacheShape,
    /** Packs full blocks in 8 bits; all is kept exact where there is none. */
    private readonly packer: Packer | null = null,
  ) {
    this.blockSize = blockSize(shape.window);
  }

  /**
   * Makes room for further tokens.
   *
   * @throws RangeError where there is no memory; the cache stays as it was
   */
  reserve(tokens: number): void {
    const blocks = this.blocks.slice();
    const end = this.length + tokens;
    let i = Math.max(0, blocks.length - 1);
    for (let from = this.start + capacityOf(blocks.slice(0, i)); from < end; i++) {
      const block = blocks[i];
      const size = block?.factors ? block.capacity : this.blockSize;
      const used = Math.max(0, Math.min(size, this.length - from));
      const needed = Math.min(size, end - from);
      from += size;
      if (block && block.capacity >= needed && !(this.shared && needed > used)) continue;
      const capacity = Math.max(block?.capacity ?? 0, PART * Math.ceil(needed / PART));
      const grown = exactBlock(this.shape, capacity);
      if (block) copyTokens(this.shape, block, grown, used);
      blocks[i] = grown;
    }
    this.blocks = blocks;
    this.shared = false;
  }

  /**
   * Appends the tokens of k and v [KV, T, d], for which there is room.
   */
  write(k: Float32Array, v: Float32Array, T: number): void {
    this.append({ k, v }, T, 0, T);
  }

  /** After tokens have been attended to: lets go of blocks that no later query sees, and packs what is full. */
  async settle(): Promise<void> {
    const { window } = this.shape;
    for (;;) {
      const [first] = this.blocks;
      if (!first || this.start + first.capacity > this.length + 1 - window) break;
      this.blocks.shift();
      this.start += first.capacity;
    }
    if (this.packer && this.blockSize === BLOCK) await this.pack(this.packer);
  }

  /** The same tokens for another sequence; only the last block will ever be copied. */
  fork(): KvCache {
    const copy = new KvCache(this.shape, this.packer);
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
    let done = 0;
    for (const block of this.blocks) {
      const count = Math.min(block.capacity, tokens - done);
      for (let head = 0; head < heads; head++) {
        const at = (head * tokens + done) * width;
        const rows = all.subarray(at, at + count * width);
        if (block.factors) unpack(this.shape, block, part, head, rows);
        else rows.set(rowsOf(block, part, head, 0, count, width));
      }
      done += count;
    }
    return all;
  }

  /** Makes an empty cache what it was when these were its rows. */
  async restore(k: Float32Array, v: Float32Array, start: number, length: number): Promise<void> {
    this.start = start;
    this.length = start;
    while (this.length < length) {
      const count = Math.min(this.blockSize, length - this.length);
      this.reserve(count);
      this.append({ k, v }, length - start, this.length - start, count);
      await this.settle();
    }
  }

  /** Memory of a block, shared or not. */
  bytesOf({ capacity, factors }: Block): number {
    return tokenBytes(this.shape, factors !== undefined) * capacity;
  }

  /** Memory of all blocks. */
  get bytes(): number {
    return this.blocks.reduce((sum, block) => sum + this.bytesOf(block), 0);
  }

  private async pack(packer: Packer): Promise<void> {
    let end = this.start;
    const due = (block: Block) => {
      end += block.capacity;
      return !block.factors && block.capacity === BLOCK && end <= this.length;
    };
    const first = this.blocks.findIndex(due);
    if (first < 0) return;
    let blocks = this.blocks.slice(0, first);
    end = this.start + capacityOf(blocks);
    for (const block of this.blocks.slice(first)) {
      blocks.push(due(block) ? await packer.pack(this.shape, block) : block);
      blocks = join(this.shape, blocks, end);
    }
    this.blocks = blocks;
  }

  /** Appends the tokens from `first` on of keys and values [KV, all, d]. */
  private append(given: Record<'k' | 'v', Float32Array>, all: number, first: number, tokens: number): void {
    const { heads, width } = this.shape;
    let from = this.start;
    for (const block of this.blocks) {
      const row = this.length - from;
      from += block.capacity;
      const count = Math.min(tokens, block.capacity - row);
      if (count <= 0) continue;
      for (let head = 0; head < heads; head++) {
        const at = (head * all + first) * width;
        for (const part of ['k', 'v'] as const) {
          rowsOf(block, part, head, row, count, width).set(given[part].subarray(at, at + count * width));
        }
      }
      this.length += count;
      first += count;
      tokens -= count;
    }
  }
}

function capacityOf(blocks: readonly Block[]): number {
  return blocks.reduce((sum, { capacity }) => sum + capacity, 0);
}

/** Bytes of keys and values of so many tokens of a sequence, without places for tokens to come. */
export function cacheBytes(shape: CacheShape, tokens: number, dtype: KvDtype): number {
  const seen = Math.min(tokens, shape.window);
  const packs = dtype === 'q8' && blockSize(shape.window) === BLOCK;
  const packed = packs ? seen - (seen % BLOCK) : 0;
  return tokenBytes(shape, true) * packed + tokenBytes(shape, false) * (seen - packed);
}
