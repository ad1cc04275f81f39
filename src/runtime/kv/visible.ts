import { type Block, PART } from './blocks.ts';
import type { KvCache } from './cache.ts';
import type { Packed } from './packed-blocks.ts';

/** Some tokens of a cache of which queries see at least one. */
interface Visible {
  /** Place of the first of them in the text. */
  start: number;
  /** Some of them are masked for some of the queries. */
  masked: boolean;
}

/** What of a cache some queries see, in the order of the text. */
export interface VisibleParts {
  /** The first tokens, where the window of a query has left some of them behind. */
  sinks: Block | null;
  packed: (Visible & { packed: Packed })[];
  exact: (Visible & { block: Block })[];
}

/** For T queries from a place of the text on, the last of which stands in the last block that it sees. */
export function visibleParts(cache: KvCache, first: number, T: number): VisibleParts {
  const { window } = cache.shape;
  let start = cache.start;
  const visible = <P extends object>(part: P, tokens: number) => {
    const end = start + tokens;
    const seen = end > first + 1 - window && start <= first;
    const found = { ...part, start, masked: start < first + T - window || end > first + 1 };
    start = end;
    return seen ? [found] : [];
  };
  return {
    sinks: first >= window ? cache.sinks : null,
    packed: cache.packed.flatMap((packed) => visible({ packed }, PART * packed.parts)),
    exact: cache.blocks.flatMap((block) => visible({ block }, block.capacity)),
  };
}
