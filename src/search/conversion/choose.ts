import type { PlacedReach, ReachResult } from '../reach/result.ts';
import type { ConversionResult } from './result.ts';

/** Which of the placements found is taken, and why. */

/** What a placement must keep of its parent to be taken for want of a budget. */
const KEEPS = {
  /** Of the answers that the parent finds, at every distance at which it finds half of them. */
  recall: 0.95,
  /** Nats a token of text more than the parent, at most. */
  text: 0.05,
};

export interface Choice {
  /** Place in `placements`. */
  chosen: number;
  /** In words. */
  reason: string;
}

/** Share of the parent's answers that are found, by distance; null where the parent does not find half of them. */
export function keptRecall(placed: PlacedReach, parent: PlacedReach): (number | null)[] {
  return parent.quality.recall.map(({ right, questions }, i) => {
    if (right < questions / 2) return null;
    return Math.min(1, placed.quality.recall[i]!.right / right);
  });
}

/** Nats a token of text more than the parent; null without text. */
export function textChange(placed: PlacedReach, parent: PlacedReach): number | null {
  const [own, theirs] = [placed.quality.text, parent.quality.text];
  return own && theirs ? own.loss - theirs.loss : null;
}

function keeps(placed: PlacedReach, parent: PlacedReach): boolean {
  const found = keptRecall(placed, parent);
  return (
    found.every((share) => share === null || share >= KEEPS.recall) &&
    (textChange(placed, parent) ?? 0) <= KEEPS.text
  );
}

/** The parent, which every search judges too. */
export function parentOf({ placements }: Pick<ReachResult, 'placements'>): PlacedReach {
  return placements.find(({ how }) => how === 'full')!;
}

/** What each placement keeps of its parent. */
export function keptOf(result: Pick<ReachResult, 'placements'>): ConversionResult['kept'] {
  const parent = parentOf(result);
  return result.placements.map((placed) => ({
    recall: keptRecall(placed, parent),
    text: textChange(placed, parent),
  }));
}

/** Of budgets that the user did not give, the cheapest that keeps the parent; of the user's own, the best it allows. */
export function choosePlacement(result: Pick<ReachResult, 'placements'>, given: boolean): Choice {
  const parent = parentOf(result);
  const found = [...result.placements.entries()]
    .filter(([, { how }]) => how === 'refined')
    .sort(([, a], [, b]) => a.cost.bytes - b.cost.bytes);
  const place = (at: number) => result.placements[at]!;
  const best = found.reduce((a, b) => ((b[1].searched ?? 0) < (a[1].searched ?? 0) ? b : a), found[0]!)[0];
  const heads = (at: number) => `${place(at).heads} KV heads that see everything`;
  if (given) return { chosen: best, reason: `the best that the budget allows: ${heads(best)}` };
  const enough = found.find(([, placed]) => keeps(placed, parent))?.[0];
  if (enough !== undefined) {
    return {
      chosen: enough,
      reason:
        `the cheapest that keeps ${100 * KEEPS.recall} % of the parent's recall at every distance and stays ` +
        `within ${KEEPS.text} nats a token of text: ${heads(enough)}`,
    };
  }
  return {
    chosen: best,
    reason:
      `the best of those tried, of which none keeps ${100 * KEEPS.recall} % of the parent's recall at every distance within ` +
      `${KEEPS.text} nats a token of text: ${heads(best)}`,
  };
}
