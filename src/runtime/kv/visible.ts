import { type Block, PART } from './blocks.ts';
import type { KvCache } from './cache.ts';
import { type Masks, sinkMask } from './mask.ts';
import type { Packed } from './packed-blocks.ts';

/** The mask of T queries over some tokens [T, tokens], which may be told: how many, and which is the first. */
export type Mask = ((tokens?: number, from?: number) => Float32Array) | null;

interface Visible {
  /** Place of the first token in the text. */
  start: number;
  /** Where some of the tokens are masked for some of the queries. */
  mask: Mask;
}

export type VisibleBlock = Visible & { block: Block };
export type VisiblePacked = Visible & { packed: Packed };

/** What of a cache some queries see, in the order of the text. */
export interface VisibleParts {
  /** The first tokens, where the window of a query has left some of them behind. */
  sinks: VisibleBlock | null;
  packed: VisiblePacked[];
  exact: VisibleBlock[];
}

/** For T queries from a place of the text on, the last of which stands in the last block that it sees. */
export function visibleParts(cache: KvCache, first: number, T: number, masks: Masks): VisibleParts {
  const { sinks, shape } = cache;
  const { window } = shape;
  let { start } = cache;
  const visible = <P extends object>(part: P, tokens: number): (P & Visible)[] => {
    const at = first - start;
    // Where the queries themselves stand, there always is one.
    const masked = at + T > window || at < tokens;
    const mask: Mask = (count = tokens, from = 0) => masks.causal(T, count, at - from, window);
    const found = { ...part, start, mask: masked ? mask : null };
    start += tokens;
    return at >= 0 && at + 1 - window < tokens ? [found] : [];
  };
  const packed = cache.packed.flatMap((packed) => visible({ packed }, PART * packed.parts));
  const exact = cache.blocks.flatMap((block) => visible({ block }, block.capacity));
  if (!sinks || first < window) return { sinks: null, packed, exact };
  const mask: Mask = () => sinkMask(T, sinks.capacity, first, window);
  const masked = first + 1 < window + sinks.capacity;
  return { sinks: { block: sinks, start: 0, mask: masked ? mask : null }, packed, exact };
}
