import { combinations, countCombinations } from '../../../util/combinations.ts';
import { InputError } from '../../../util/errors.ts';
import { checkBudget, type Placement, type Searcher, top } from './searcher.ts';

/** Placements looked at before the search is refused: beyond this nobody waits. */
const LIMIT = 5000;

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
