import { InputError } from '../../util/errors.ts';
import { checkBudget, type Placement, type Searcher, top } from './searcher.ts';

/** Placements looked at before the search is refused: beyond this nobody waits. */
const LIMIT = 5000;

/** How many sets of `size` there are of `layers` layers. */
export function countCombinations(layers: number, size: number): number {
  let count = 1;
  // Whole at every step: the product so far counts the sets of i.
  for (let i = 1; i <= size; i++) count = (count * (layers - size + i)) / i;
  return count;
}

/** All sets of `size` of `layers` layers, in lexicographic order. */
export function combinations(layers: number, size: number): number[][] {
  if (size === 0) return [[]];
  const result: number[][] = [];
  const extend = (chosen: number[], from: number) => {
    if (chosen.length === size) {
      result.push(chosen);
      return;
    }
    for (let layer = from; layer <= layers - (size - chosen.length); layer++)
      extend([...chosen, layer], layer + 1);
  };
  extend([], 0);
  return result;
}

/** @throws InputError for a budget that the layers do not allow, or with too many placements to look at them all */
export function checkExhaustive(budget: number, layers: number): void {
  checkBudget(budget, layers);
  const count = countCombinations(layers, budget);
  if (count > LIMIT) {
    throw new InputError(
      `exhaustive search of ${budget} of ${layers} layers has ${count} placements, more than ${LIMIT}`,
    );
  }
}

/** Judges every placement of exactly the budget: what other searchers are measured against on small models. */
export const exhaustive: Searcher = {
  name: 'exhaustive',
  async search({ layers, budget, judge }) {
    checkExhaustive(budget, layers);
    const all: Placement[] = combinations(layers, budget);
    return { best: top(await judge(all), 1) };
  },
};
