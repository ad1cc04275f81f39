import { defined } from '../../util/defined.ts';
import type { PlacedReach, ReachResult } from '../reach/result.ts';
import { QUALITY, type Wanted } from './budgets.ts';
import type { ConversionResult } from './result.ts';

/** Which of the placements found is taken, and why. */

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

function keeps(placed: PlacedReach, parent: PlacedReach, { keep, textLoss }: typeof QUALITY): boolean {
  const found = keptRecall(placed, parent);
  return (
    found.every((share) => share === null || share >= keep) && (textChange(placed, parent) ?? 0) <= textLoss
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

/** Of a budget the best that it allows, else the cheapest that keeps the wanted quality. */
export function choosePlacement(
  result: Pick<ReachResult, 'placements'>,
  { memory, speed, heads, ...quality }: Omit<Wanted, 'context'>,
): Choice {
  const parent = parentOf(result);
  const found = [...result.placements.entries()]
    .filter(([, { how }]) => how === 'refined')
    .sort(([, a], [, b]) => a.cost.bytes - b.cost.bytes);
  const place = (at: number) => result.placements[at]!;
  const best = found.reduce((a, b) => ((b[1].searched ?? 0) < (a[1].searched ?? 0) ? b : a), found[0]!)[0];
  const told = (at: number) => `${place(at).heads} KV heads that see everything`;
  if (memory !== undefined || speed !== undefined || heads !== undefined) {
    return { chosen: best, reason: `the best that the budget allows: ${told(best)}` };
  }
  const wanted = { ...QUALITY, ...defined(quality) };
  const limits = `${Number((100 * wanted.keep).toFixed(1))} % of the parent's recall at every distance`;
  const enough = found.find(([, placed]) => keeps(placed, parent, wanted))?.[0];
  if (enough !== undefined) {
    return {
      chosen: enough,
      reason: `the cheapest that keeps ${limits} and stays within ${wanted.textLoss} nats a token of text: ${told(enough)}`,
    };
  }
  return {
    chosen: best,
    reason: `the best of those tried, of which none keeps ${limits} within ${wanted.textLoss} nats a token of text: ${told(best)}`,
  };
}
