import { average } from '../../../util/statistics.ts';
import type { RunContext } from '../../run/context.ts';
import type { Findings } from '../../run/stage.ts';
import type { PlacementResult } from './result.ts';
import { asPlacement } from './searcher.ts';

/** How one placement is taken for all seeds. */
export const AGREEMENT =
  'what most seeds found; of those found equally often the one with the highest mean score';

/** The one placement that later stages keep: AGREEMENT. */
export function agreedPlacement({ runs }: PlacementResult): number[] {
  const found = new Map<string, { placement: number[]; scores: number[] }>();
  for (const { placement, searchers } of runs) {
    const key = placement.join();
    const entry = found.get(key) ?? { placement, scores: [] };
    entry.scores.push(searchers[0]!.best.at(-1)!.score);
    found.set(key, entry);
  }
  return [...found.values()].sort(
    (a, b) => b.scores.length - a.scores.length || average(b.scores) - average(a.scores),
  )[0]!.placement;
}

/** The layers that keep full attention after stage 1, by AGREEMENT where they were searched, as the recipe gives them else. */
export function keptLayers({ recipe }: Pick<RunContext, 'recipe'>, { placement }: Findings): number[] {
  if (placement) return agreedPlacement(placement);
  const { placement: given } = recipe;
  if (!given || !('layers' in given)) throw new Error('a stage was made before the placement was found');
  return asPlacement(given.layers);
}
