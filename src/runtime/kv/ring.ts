import { float32, Value, type Values } from '../../graph/index.ts';
import { MASKED } from './mask.ts';

/**
 * Keys and values of heads that see a window and the first tokens of a text, as a part of the state whose size no number of
 * tokens changes: token p lies at place p if it is one of the sinks, else at sinks + (p - sinks) % window, where it takes the
 * place of the token that leaves the window. So as soon as all places are taken, all that is there is seen.
 */

export interface Window {
  /** Tokens that a query sees, its own included. */
  window: number;
  /** First tokens of the text that stay visible behind it. */
  sinks: number;
}

/** Of a layer: [B, heads, sinks + window, d]. */
export interface Ring extends Window {
  heads: number;
}

/**
 * Places of the largest ring, for 2,048 tokens and 4 sinks: from the first token on it takes all its memory, and every step
 * reads all of it.
 */
const LARGEST_RING = 2052;

/** Whether a window is kept as a ring. */
export function isRing({ window, sinks }: Window): boolean {
  return window + sinks <= LARGEST_RING;
}

/** Name of an input that depends on where the tokens stand. */
export function ringInput({ window, sinks }: Window, part: string): string {
  return `ring.${window}.${sinks}.${part}`;
}

/** Where the token at place p of a text lies. */
export function ringPlace({ window, sinks }: Window, p: number): number {
  return p < sinks ? p : sinks + ((p - sinks) % window);
}

/** The token that lies at a place of a ring after so many tokens; -1 where there is none. */
export function tokenAt({ window, sinks }: Window, place: number, tokens: number): number {
  if (place < sinks) return place < tokens ? place : -1;
  const rounds = Math.floor((tokens - 1 - place) / window);
  return rounds < 0 ? -1 : place + rounds * window;
}

/** What programs are given of rings, filled for each run. */
export interface RingPlaces {
  readonly values: Values;
  /** @param positions of all tokens, sequence by sequence; of the first sequences only, where the rest is unused */
  fill(positions: readonly number[]): void;
}

/** For a token of each of B sequences: `at.{heads}` [B, heads, 1, 3], where it goes, and `mask` [B, places]. */
export class DecodePlaces implements RingPlaces {
  readonly values: Values = {};

  constructor(
    private readonly rings: readonly Ring[],
    B: number,
  ) {
    for (const ring of rings) {
      const { window, sinks, heads } = ring;
      const at = new BigInt64Array(B * heads * 3);
      for (let row = 0; row < B * heads; row++) {
        at.set([BigInt(Math.floor(row / heads)), BigInt(row % heads)], 3 * row);
      }
      this.values[ringInput(ring, `at.${heads}`)] = new Value('int64', at, [B, heads, 1, 3]);
      const places = sinks + window;
      this.values[ringInput(ring, 'mask')] ??= float32(new Float32Array(B * places), [B, places]);
    }
  }

  fill(positions: readonly number[]): void {
    for (const ring of this.rings) {
      const { window, sinks, heads } = ring;
      const at = this.values[ringInput(ring, `at.${heads}`)]!.data as BigInt64Array;
      const mask = this.values[ringInput(ring, 'mask')]!.data as Float32Array;
      for (const [b, position] of positions.entries()) {
        const place = BigInt(ringPlace(ring, position));
        for (let head = 0; head < heads; head++) at[3 * (b * heads + head) + 2] = place;
        const row = mask.subarray(b * (sinks + window), (b + 1) * (sinks + window));
        // Places are taken one after the other, the sinks' first.
        row.fill(0, 0, position + 1).fill(MASKED, position + 1);
      }
    }
  }
}

/** Queries of a block: each block is given the window before it. */
const QUERIES = 64;

/**
 * For T tokens of one sequence, in N blocks of Q: `near` [N, S], the places among those of ring and tokens that a block is
 * given, sinks, window and own; `mask` [N, Q, S]; and `kept` [places], where the ring's tokens come from.
 */
export class PrefillPlaces implements RingPlaces {
  readonly values: Values = {};
  private readonly windows: readonly Window[];
  private readonly blocks: number;
  private readonly queries: number;

  constructor(
    rings: readonly Ring[],
    private readonly tokens: number,
  ) {
    this.queries = Math.min(tokens, QUERIES);
    this.blocks = Math.ceil(tokens / this.queries);
    const [N, Q] = [this.blocks, this.queries];
    this.windows = [...new Map(rings.map((ring) => [ringInput(ring, ''), ring])).values()];
    for (const ring of this.windows) {
      const places = ring.sinks + ring.window;
      const S = places + Q;
      this.values[ringInput(ring, 'near')] = new Value('int64', new BigInt64Array(N * S), [N, S]);
      this.values[ringInput(ring, 'mask')] = float32(new Float32Array(N * Q * S), [N, Q, S]);
      this.values[ringInput(ring, 'kept')] = new Value('int64', new BigInt64Array(places), [places]);
    }
  }

  fill([first]: readonly number[]): void {
    for (const window of this.windows) this.fillWindow(window, first!);
  }

  private fillWindow(ring: Window, first: number): void {
    const { window, sinks } = ring;
    const { tokens, blocks: N, queries: Q } = this;
    const places = sinks + window;
    const S = places + Q;
    const near = this.values[ringInput(ring, 'near')]!.data as BigInt64Array;
    const mask = this.values[ringInput(ring, 'mask')]!.data as Float32Array;
    const kept = this.values[ringInput(ring, 'kept')]!.data as BigInt64Array;
    const end = first + tokens;
    /** Among the places of ring and tokens. */
    const placeOf = (p: number) => BigInt(p >= first ? places + p - first : ringPlace(ring, p));
    for (let place = 0; place < places; place++) {
      const token = tokenAt(ring, place, end);
      kept[place] = token < 0 ? BigInt(place) : placeOf(token);
    }
    mask.fill(MASKED);
    for (let n = 0; n < N; n++) {
      const start = first + n * Q;
      const row = near.subarray(n * S, (n + 1) * S).fill(0n);
      for (let j = 0; j < Math.min(sinks, end); j++) row[j] = placeOf(j);
      // The key at place j of a block, behind the sinks, is token start - window + j - sinks.
      const from = start - window - sinks;
      for (let j = Math.max(sinks, -from); j < Math.min(S, end - from); j++) row[j] = placeOf(from + j);
      for (let i = 0; i < Q; i++) {
        const query = start + i;
        const seen = mask.subarray((n * Q + i) * S, (n * Q + i + 1) * S);
        const last = Math.min(query, end - 1);
        const earliest = Math.max(0, last + 1 - window);
        seen.fill(0, earliest - from, last - from + 1);
        // Sinks that stand in the window are seen there.
        seen.fill(0, 0, Math.min(sinks, earliest));
      }
    }
  }
}
