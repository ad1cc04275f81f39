import { BLOCK } from './kv-blocks.ts';
import type { Sequence } from './sequence.ts';

/**
 * What prompts leave behind for prompts that begin alike: snapshots of the sequence at fixed distances and at places
 * that the caller names, such as the ends of messages, for a linear layer's state cannot be cut back to an earlier
 * token. Snapshots of one prompt share their full blocks of keys and values. The least recently used go when the
 * budget is spent.
 *
 * A start from a snapshot is the cold start bit for bit, if both name the same places: pieces of a prompt end there
 * and at fixed distances.
 */

/** Tokens between snapshots: full blocks, so that nothing of keys and values is held twice. */
const DISTANCE = BLOCK;

interface Entry {
  ids: Int32Array;
  sequence: Sequence;
}

export class PrefixCache {
  /** The most recently used last. */
  private entries: Entry[] = [];
  /** Prompts that began with something known, and tokens that were not read for that. */
  hits = 0;
  tokensSaved = 0;

  constructor(
    /** Of states, keys and values together. */
    readonly budget: number,
  ) {}

  /** The sequence behind the longest beginning of a prompt that is known, to go on from; null where none is. */
  start(ids: readonly number[]): Sequence | null {
    const known = this.find(ids);
    if (!known) return null;
    this.hits++;
    this.tokensSaved += known.ids.length;
    return known.sequence.fork();
  }

  /** Where in a prompt of this length snapshots are kept: at these boundaries and at fixed distances. */
  places(length: number, boundaries: readonly number[]): number[] {
    const places = boundaries.filter((at) => at > 0 && at <= length);
    for (let at = DISTANCE; at < length; at += DISTANCE) places.push(at);
    return places;
  }

  /** Keeps a snapshot of a sequence with these tokens. */
  put(ids: readonly number[], sequence: Sequence): void {
    const known = this.entries.find((entry) => entry.ids.length === ids.length && begins(ids, entry.ids));
    if (known) {
      this.use(known);
      return;
    }
    this.entries.push({ ids: Int32Array.from(ids), sequence: sequence.fork() });
    while (this.bytes > this.budget) this.entries.shift()!.sequence.dispose();
  }

  /** The longest snapshot of a beginning of the prompt that leaves a token to read, for the logits come of that. */
  private find(ids: readonly number[]): Entry | null {
    let best: Entry | null = null;
    for (const entry of this.entries) {
      const longer = entry.ids.length < ids.length && entry.ids.length > (best?.ids.length ?? 0);
      if (longer && begins(ids, entry.ids)) best = entry;
    }
    if (best) this.use(best);
    return best;
  }

  private use(entry: Entry): void {
    this.entries = [...this.entries.filter((other) => other !== entry), entry];
  }

  /** Memory of all snapshots; what they share counts once. */
  get bytes(): number {
    const parts = new Map<object, number>();
    let total = 0;
    for (const { ids, sequence } of this.entries) {
      total += ids.byteLength;
      for (const [part, bytes] of sequence.parts()) parts.set(part, bytes);
    }
    for (const bytes of parts.values()) total += bytes;
    return total;
  }

  get size(): number {
    return this.entries.length;
  }

  clear(): void {
    for (const { sequence } of this.entries) sequence.dispose();
    this.entries = [];
  }
}

function begins(ids: readonly number[], start: Int32Array): boolean {
  return start.every((id, i) => id === ids[i]);
}
