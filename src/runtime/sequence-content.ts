import type { Values } from '../graph/index.ts';

/** What a sequence remembers, in host memory and the same for all devices: between an engine and a file. */
export interface SequenceContent {
  /** States of linear layers by their names, [1, ...]. */
  state: Values;
  /** Of each attention layer, in order. */
  caches: CachedTokens[];
}

/** Keys and values [KV, tokens, d] that are still seen, and the place of the first in the sequence. */
export interface CachedTokens {
  k: Float32Array;
  v: Float32Array;
  start: number;
}
