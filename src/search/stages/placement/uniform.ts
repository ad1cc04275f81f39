import { checkBudget, type Searcher } from './searcher.ts';

/**
 * The last layer of each of `size` equal groups, which is how hybrids with a fixed ratio are built (three linear
 * layers, one full). 8 layers, 2 full: {3, 7}.
 */
export function uniformPlacement(layers: number, size: number): number[] {
  return Array.from({ length: size }, (_, i) => Math.round(((i + 1) * layers) / size) - 1);
}

/** The baseline every search must beat; one placement for each number of full layers up to the budget. */
export const uniform: Searcher = {
  name: 'uniform',
  async search({ layers, budget, judge }) {
    checkBudget(budget, layers);
    const sizes = Array.from({ length: budget + 1 }, (_, size) => uniformPlacement(layers, size));
    return { best: await judge(sizes) };
  },
};
