import { Random } from '../../util/random.ts';
import { range } from '../../util/range.ts';
import { uniformPlacement } from '../stages/placement/uniform.ts';
import { fits, type Unit } from './assemble.ts';
import type { LayerCosts } from './costs.ts';
import type { ReachPlacement } from './placement.ts';
import { withUnit } from './refine.ts';
import type { ReachBudget } from './result.ts';

/** What a search has to beat under the same budget. */

/** Units in this order, as long as they fit. */
export function inOrder(
  windows: ReachPlacement,
  units: readonly Unit[],
  budget: ReachBudget,
  costs: LayerCosts,
): ReachPlacement {
  return units.reduce((placement, unit) => {
    const more = withUnit(placement, unit);
    return fits(more, budget, costs) ? more : placement;
  }, windows);
}

/** Whole layers, evenly spread, as many as fit. */
export function uniformLayers(
  windows: ReachPlacement,
  kvHeads: number,
  budget: ReachBudget,
  costs: LayerCosts,
): ReachPlacement {
  const heads = range(kvHeads);
  for (let count = windows.length; count > 0; count--) {
    const placement = uniformPlacement(windows.length, count).reduce(
      (sum, layer) => withUnit(sum, { layer, heads }),
      windows,
    );
    if (fits(placement, budget, costs)) return placement;
  }
  return windows;
}

/** Units drawn by a seed, as many as fit. */
export function randomUnits(
  windows: ReachPlacement,
  units: readonly Unit[],
  seed: number,
  budget: ReachBudget,
  costs: LayerCosts,
): ReachPlacement {
  return inOrder(windows, new Random(seed).shuffled(units), budget, costs);
}
