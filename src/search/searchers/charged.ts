import { type Placement, placementKey } from '../stages/placement/searcher.ts';
import type { Judgement, JudgePlacements, Spent } from './searcher.ts';

/** Who judges, and what that takes. */
export interface PricedJudge {
  /** Whether what is judged does not depend on what texts were read with. */
  exact: boolean;
  /** @returns as many judgements as placements */
  judge(placements: readonly Placement[], near?: Placement): Promise<readonly Judgement[]>;
  /** @param read what the same search had texts read with before, if it asked before */
  tokensOf(placements: readonly Placement[], near?: Placement, read?: Placement): number;
}

/**
 * The judge of one search, to which what it asks is charged as if it had the judge for itself, though others may have asked the
 * same before. What it asked before costs it nothing.
 */
export function charged(judge: PricedJudge, spent: Spent): JudgePlacements {
  const known = new Map<string, Judgement>();
  let read: Placement | undefined;
  return async (placements, near) => {
    const keyOf = (placement: Placement) =>
      placementKey(placement) + (judge.exact || !near ? '' : ` near ${placementKey(near)}`);
    const fresh = new Map(placements.map((placement) => [keyOf(placement), placement]));
    for (const key of known.keys()) fresh.delete(key);
    if (fresh.size > 0) {
      const list = [...fresh.values()];
      spent.tokens += judge.tokensOf(list, near, read);
      read = near;
      const found = await judge.judge(list, near);
      for (const [i, key] of [...fresh.keys()].entries()) known.set(key, found[i]!);
    }
    return placements.map((placement) => known.get(keyOf(placement))!);
  };
}
