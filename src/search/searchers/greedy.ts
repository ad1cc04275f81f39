import { asPlacement, checkBudget, type Placement } from '../stages/placement/searcher.ts';
import { everywhere, type Judgement, type Problem, type Searcher } from './searcher.ts';

/** One place at a time, each time the one that is best by a measure. */

type Measure = (judgement: Judgement) => number;

/** From no full attention: the place that lowers the measure most keeps it, until the budget is met. */
export function greedyAddition(name: string, measure: Measure): Searcher {
  return {
    name,
    async search(problem) {
      checkBudget(problem.budget, problem.places.length);
      let current: Placement = [];
      while (current.length < problem.budget) {
        const absent = everywhere(problem).filter((place) => !current.includes(place));
        const grown = absent.map((place) => asPlacement([...current, place]));
        current = await bestOf(problem, grown, current, measure);
      }
      return { placement: current };
    },
  };
}

/** From the parent: the place that is missed least by the measure loses full attention, until the budget is met. */
export function greedyRemoval(name: string, measure: Measure): Searcher {
  return {
    name,
    async search(problem) {
      checkBudget(problem.budget, problem.places.length);
      let current: Placement = everywhere(problem);
      while (current.length > problem.budget) {
        const fewer = current.map((place) => current.filter((other) => other !== place));
        current = await bestOf(problem, fewer, current, measure);
      }
      return { placement: current };
    },
  };
}

async function bestOf(
  { judge }: Problem,
  placements: readonly Placement[],
  near: Placement,
  measure: Measure,
): Promise<Placement> {
  const values = (await judge(placements, near)).map(measure);
  return placements[values.indexOf(Math.min(...values))]!;
}
