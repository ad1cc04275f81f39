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
} from './blocks.ts';
import { type Packed, type Packer, packedBytes, unpack, without } from './packed-blocks.ts';

/**
 * Keys and values of one attention layer of one sequence, in blocks of tokens. A full block never moves and is never
 * written again, so that sequences with a common beginning share it. The last block grows in steps, by copies of at most
 * a block; a sliding window lets go of what is behind it. Of 8 bits, full blocks are packed and let go of, but where a
 * window is shorter than such a block.
 */
export class KvCache {
  /** Tokens in all, those that are gone included. */
  length = 0;
  /** Of the tokens that are gone. */
  start = 0;
  /** The tokens after those, as far as they are packed: all in one store, or in several. */
  packed: readonly Packed[] = [];
  /** The tokens after those, exact. */
  blocks: Block[] = [];
  /** The first tokens of all, for when the window has left them behind. */
  sinks: Block | null = null;
  /** Tokens of a full block. */
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

  /** The place of the first token that is exact. */
  get exactStart(): number {
    return this.start + PART * this.packed.reduce((sum, { parts }) => sum + parts, 0);
  }

  /**
   * Makes room for further tokens.
   *
   * @throws RangeError where there is no memory; the cache stays as it was
   */
  reserve(tokens: number): void {
    const { blockSize, exactStart } = this;
    const sinks = this.roomForSinks();
    const blocks = this.blocks.slice();
    const [used, end] = [this.length - exactStart, this.length + tokens - exactStart];
    const first = Math.max(0, Math.min(blocks.length - 1, Math.floor(used / blockSize)));
    for (let i = first; i * blockSize < end; i++) {
      const taken = Math.max(0, Math.min(blockSize, used - i * blockSize));
      const needed = Math.min(blockSize, end - i * blockSize);
      const block = blocks[i];
      if (block && block.capacity >= needed && !(this.shared && needed > taken)) continue;
      const capacity = Math.max(block?.capacity ?? 0, PART * Math.ceil(needed / PART));
      const grown = exactBlock(this.shape, capacity);
      if (block) copyTokens(this.shape, block, grown, taken);
      blocks[i] = grown;
    }
    this.blocks = blocks;
    this.sinks = sinks;
    this.shared = false;
  }

  /** A block for all sinks; another one, where another sequence adds its own to it. */
  private roomForSinks(): Block | null {
    const { shape, sinks, length } = this;
    const all = shape.sinks ?? 0;
    if (all === 0 || (sinks && !(this.shared && length < all))) return sinks;
    const room = exactBlock(shape, all);
    if (sinks) copyTokens(shape, sinks, room, length);
    return room;
  }

  /**
   * Appends the tokens of k and v [KV, T, d], for which there is room.
   */
  write(k: Float32Array, v: Float32Array, T: number): void {
    this.append({ k, v }, T, 0, T);
  }

  /**
   * After tokens have been attended to: lets go of blocks that no later query sees, and packs what is full.
   *
   * @throws RangeError where there is no memory
   */
  async settle(): Promise<void> {
    const behind = () => this.length + 1 - this.shape.window - this.start;
    for (let [first] = this.packed; first && behind() >= BLOCK; [first] = this.packed) {
      const left = without(first, BLOCK / PART);
      this.packed = [...(left.parts > 0 ? [left] : []), ...this.packed.slice(1)];
      this.start += BLOCK;
    }
    while (this.packed.length === 0 && behind() >= this.blockSize) {
      this.blocks = this.blocks.slice(1);
      this.start += this.blockSize;
    }
    if (!this.packer || this.blockSize < BLOCK) return;
    while (this.length - this.exactStart >= BLOCK) {
      this.packed = await this.packer.add(this.shape, this.packed, this.blocks[0]!);
      this.blocks = this.blocks.slice(1);
    }
  }

  /** The same tokens for another sequence; only the last block will ever be copied. */
  fork(): KvCache {
    const copy = new KvCache(this.shape, this.packer);
    copy.length = this.length;
    copy.start = this.start;
    copy.packed = this.packed;
    copy.blocks = this.blocks.slice();
    copy.sinks = this.sinks;
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
    const read = (count: number, into: (head: number, rows: Float32Array) => void) => {
      for (let head = 0; head < heads; head++) {
        const at = (head * tokens + done) * width;
        into(head, all.subarray(at, at + count * width));
      }
      done += count;
    };
    for (const packed of this.packed) {
      read(PART * packed.parts, (head, rows) => unpack(this.shape, packed, part, head, rows));
    }
    for (const block of this.blocks) {
      const count = Math.min(block.capacity, tokens - done);
      read(count, (head, rows) => rows.set(rowsOf(block, part, head, 0, count, width)));
    }
    return all;
  }

  /** Makes an empty cache, which has no sinks, what it was when these were its rows. */
  async restore(k: Float32Array, v: Float32Array, start: number, length: number): Promise<void> {
    this.start = start;
    this.length = start;
    const all = length - start;
    for (let done = 0; done < all; ) {
      const count = Math.min(this.blockSize, all - done);
      this.reserve(count);
      this.append({ k, v }, all, done, count);
      await this.settle();
      done += count;
    }
  }

  /** What there is memory for, by objects that other sequences may share, in bytes. */
  parts(): Map<object, number> {
    return new Map<object, number>([
      ...this.packed.map(({ store }) => [store, packedBytes(this.shape, store.used)] as const),
      ...[...this.blocks, ...(this.sinks ? [this.sinks] : [])].map(
        (block) => [block, tokenBytes(this.shape) * block.capacity] as const,
      ),
    ]);
  }

  /** Memory of it all. */
  get bytes(): number {
    return [...this.parts().values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  /** Appends the tokens from `first` on of keys and values [KV, all, d]. */
  private append(given: Record<'k' | 'v', Float32Array>, all: number, first: number, tokens: number): void {
    const { heads, width } = this.shape;
    const { exactStart, blockSize } = this;
    const copy = (block: Block, row: number, from: number, count: number) => {
      for (let head = 0; head < heads; head++) {
        const at = (head * all + first + from) * width;
        for (const part of ['k', 'v'] as const) {
          rowsOf(block, part, head, row, count, width).set(given[part].subarray(at, at + count * width));
        }
      }
    };
    const sinks = Math.min(tokens, (this.shape.sinks ?? 0) - this.length);
    if (sinks > 0) copy(this.sinks!, this.length, 0, sinks);
    for (let done = 0; done < tokens; ) {
      const at = this.length - exactStart;
      const row = at % blockSize;
      const count = Math.min(tokens - done, blockSize - row);
      copy(this.blocks[Math.floor(at / blockSize)]!, row, done, count);
      this.length += count;
      done += count;
    }
  }
}

/** Bytes of keys and values of so many tokens of a sequence, without places for tokens to come. */
export function cacheBytes(shape: CacheShape, tokens: number, dtype: KvDtype): number {
  const seen = Math.min(tokens, shape.window);
  const packs = dtype === 'q8' && blockSize(shape.window) === BLOCK;
  const packed = packs ? seen - (seen % BLOCK) : 0;
  const sinks = Math.min(tokens - seen, shape.sinks ?? 0);
  return packedBytes(shape, packed / PART) + tokenBytes(shape) * (seen - packed + sinks);
}
