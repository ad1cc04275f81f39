import { BLOCK } from './kv/blocks.ts';
import type { Sequence } from './sequence.ts';

/**
 * What prompts leave behind for prompts that begin alike: snapshots of the sequence at fixed distances and at places
 * that the caller names, such as the ends of messages, for a linear layer's state cannot be cut back to an earlier
 * token. Snapshots of one prompt share their full blocks of keys and values. The least recently used go when the
 * budget is spent.
 *
 * A start from a snapshot is the cold start bit for bit, if both name the same places: pieces of a prompt end there
 * and at fixed distances. The end of a prompt is no such place for longer ones, but it is for the very same prompt: it is
 * kept with its logits, so that nothing has to be read again.
 */

/** Tokens between snapshots: full blocks, so that nothing of keys and values is held twice. */
const DISTANCE = BLOCK;

/** Whole prompts that are kept, and their share of the budget where that is spent: they serve one prompt only. */
const MOST_WHOLE = 64;
const WHOLE_SHARE = 0.25;

interface Entry {
  ids: Int32Array;
  sequence: Sequence;
  /** Of a whole prompt. */
  whole?: Whole;
}

interface Whole {
  /** Where the pieces ended that it was read in. */
  ends: readonly number[];
  /** Of what may follow [vocabulary]. */
  logits: Float32Array;
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

  /** The sequence behind a prompt that was read in the same pieces, with its logits; null where it is not known. */
  startWhole(
    ids: readonly number[],
    ends: readonly number[],
  ): { sequence: Sequence; logits: Float32Array } | null {
    const known = this.entries.find((entry) => isWhole(entry, ids, ends));
    if (!known) return null;
    this.use(known);
    this.hits++;
    this.tokensSaved += ids.length;
    return { sequence: known.sequence.fork(), logits: known.whole!.logits };
  }

  /** Where in a prompt of this length snapshots are kept: at these boundaries and at fixed distances. */
  places(length: number, boundaries: readonly number[]): number[] {
    const places = boundaries.filter((at) => at > 0 && at <= length);
    for (let at = DISTANCE; at < length; at += DISTANCE) places.push(at);
    return places;
  }

  /** Keeps a snapshot of a sequence with these tokens. */
  put(ids: readonly number[], sequence: Sequence): void {
    const known = this.entries.find(
      (entry) => !entry.whole && entry.ids.length === ids.length && begins(ids, entry.ids),
    );
    if (known) this.use(known);
    else this.keep({ ids: Int32Array.from(ids), sequence: sequence.fork() });
  }

  /** Keeps a prompt that was read in pieces with these ends, and its logits. */
  putWhole(ids: readonly number[], ends: readonly number[], sequence: Sequence, logits: Float32Array): void {
    if (this.entries.some((entry) => isWhole(entry, ids, ends))) return;
    const whole = this.entries.filter((entry) => entry.whole);
    if (whole.length >= MOST_WHOLE) this.drop(whole[0]!);
    this.keep({
      ...{ ids: Int32Array.from(ids), sequence: sequence.fork(), whole: { ends, logits: logits.slice() } },
    });
  }

  private keep(entry: Entry): void {
    this.entries.push(entry);
    while (this.bytes > this.budget) {
      const whole = this.entries.filter((other) => other.whole);
      const tooMany = bytesOf(whole) > WHOLE_SHARE * this.budget;
      this.drop((tooMany ? whole[0] : this.entries.find((other) => !other.whole)) ?? this.entries[0]!);
    }
  }

  private drop(entry: Entry): void {
    this.entries = this.entries.filter((other) => other !== entry);
    entry.sequence.dispose();
  }

  /** The longest snapshot of a beginning of the prompt that leaves a token to read, for the logits come of that. */
  private find(ids: readonly number[]): Entry | null {
    let best: Entry | null = null;
    for (const entry of this.entries) {
      if (entry.whole) continue;
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
    return bytesOf(this.entries);
  }

  get size(): number {
    return this.entries.length;
  }

  clear(): void {
    for (const { sequence } of this.entries) sequence.dispose();
    this.entries = [];
  }
}

function bytesOf(entries: readonly Entry[]): number {
  const parts = new Map<object, number>();
  let total = 0;
  for (const { ids, sequence, whole } of entries) {
    total += ids.byteLength + (whole?.logits.byteLength ?? 0);
    for (const [part, bytes] of sequence.parts()) parts.set(part, bytes);
  }
  for (const bytes of parts.values()) total += bytes;
  return total;
}

function isWhole({ ids, whole }: Entry, prompt: readonly number[], ends: readonly number[]): boolean {
  if (!whole || ids.length !== prompt.length || whole.ends.length !== ends.length) return false;
  return whole.ends.every((end, i) => end === ends[i]) && begins(prompt, ids);
}

function begins(ids: readonly number[], start: Int32Array): boolean {
  return start.every((id, i) => id === ids[i]);
}
