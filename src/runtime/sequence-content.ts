import type { Values } from '../graph/index.ts';

/** What a sequence remembers, in host memory and the same for all devices: between an engine and a file. */
export interface SequenceContent {
  /** States of linear layers and rings of windows by their names, [1, ...]. */
  state: Values;
  /** In order of the groups of heads that have one. */
  caches: CachedTokens[];
}

/** Keys and values [heads, tokens, d] that are still seen, and the place of the first in the sequence. */
export interface CachedTokens {
  k: Float32Array;
  v: Float32Array;
  start: number;
}
