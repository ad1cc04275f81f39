import { asPlacement, checkBudget, type Placement, placementKey, type Searcher, top } from './searcher.ts';

/** The best of some placements drawn at random: what a search of the same cost must beat. */
export function randomSearch(samples: number): Searcher {
  return {
    name: `random-${samples}`,
    async search({ layers, budget, judge, random }) {
      checkBudget(budget, layers);
      const drawn = new Map<string, Placement>();
      const all = Array.from({ length: layers }, (_, i) => i);
      // Drawn with repeats, so that a budget with few placements ends too.
      for (let i = 0; i < samples; i++) {
        const placement = asPlacement(random.shuffled(all).slice(0, budget));
        drawn.set(placementKey(placement), placement);
      }
      const judged = await judge([...drawn.values()]);
      return { best: top(judged, 1), drawn: judged };
    },
  };
}
