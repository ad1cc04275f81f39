import { type Placement, type Searcher as PlacementSearcher, top } from '../stages/placement/searcher.ts';
import type { JudgePlacements, Problem, Searcher } from './searcher.ts';

/** The searchers of `postnas search` behind the interface of the comparison. */

/** @param judgeOf what it judges by, where that is not the problem's own judge */
export function fromPlacementSearch(
  name: string,
  inner: PlacementSearcher,
  judgeOf: (problem: Problem) => Promise<JudgePlacements> = async ({ judge }) => judge,
): Searcher {
  return {
    name,
    async search(problem) {
      const judge = await judgeOf(problem);
      // A round grows what was best in the last one.
      let near: Placement = [];
      const { best, drawn } = await inner.search({
        layers: problem.places.length,
        budget: problem.budget,
        random: problem.random,
        judge: async (placements) => {
          const judged = await judge(placements, near);
          // Its scores are higher for the better.
          const scored = placements.map((placement, i) => {
            return { placement, score: -judged[i]!.objective, tasks: {} };
          });
          near = top(scored, 1)[0]!.placement;
          return scored;
        },
      });
      return {
        placement: best.at(-1)!.placement,
        ...(drawn && { drawn: drawn.map(({ placement }) => placement) }),
      };
    },
  };
}
