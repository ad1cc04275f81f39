import { asPlacement, checkBudget } from '../stages/placement/searcher.ts';
import { uniformPlacement } from '../stages/placement/uniform.ts';
import type { Searcher } from './searcher.ts';

/** Whole layers evenly spread, and of heads that are left over the first ones of the next layer. */
export const uniformLayers: Searcher = {
  name: 'uniform',
  async search({ places, layers, budget }) {
    checkBudget(budget, places.length);
    const perLayer = places.length / layers;
    const whole = uniformPlacement(layers, Math.floor(budget / perLayer));
    const inOrder = [...whole, ...Array.from({ length: layers }, (_, layer) => layer)];
    const all = inOrder.flatMap((layer) => places.flatMap((place, i) => (place.layer === layer ? [i] : [])));
    return { placement: asPlacement([...new Set(all)].slice(0, budget)) };
  },
};
