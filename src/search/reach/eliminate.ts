import type { Unit } from './assemble.ts';
import type { ReachPlacement } from './placement.ts';
import { type ReachJudging, unitKey, withoutUnit } from './refine.ts';
import { LONGEST_FULL } from './scores.ts';

/**
 * The order in which units are missed least: from the whole model the least needed are taken away step by step, judged anew among
 * those that are left. Two heads that do the same work are each dispensable, not both: no order by single scores sees that.
 */

/** Share of the units that is left by a step. */
const LEFT = 0.75;

/** How many of them are left by a step, of which no less than `fewest` are to stay. */
export const leftOf = (count: number, fewest: number) =>
  Math.max(fewest, 1, Math.min(count - 1, Math.ceil(LEFT * count)));
/** As long as more of them than this see everything, longer texts take longer than all else. */
export const MANY = 1 / 4;

/**
 * @param fewest units of the smallest placement that is wanted: no more are taken away
 * @returns all units, those that are needed most first
 */
export async function eliminate(
  judge: ReachJudging,
  full: ReachPlacement,
  units: readonly Unit[],
  { fewest, name }: { fewest: number; name: string },
): Promise<Unit[]> {
  const order: Unit[] = [];
  let [left, placement] = [[...units], full];
  while (left.length > Math.max(1, fewest)) {
    const longest = left.length > MANY * units.length ? LONGEST_FULL : Number.POSITIVE_INFINITY;
    judge.readWith(placement);
    const without = await judge.judge(
      left.map((unit) => withoutUnit(placement, unit)),
      `${name} taken away, ${left.length} left`,
      { longest },
    );
    const missed = new Map(left.map((unit, i) => [unitKey(unit), without[i]!.objective]));
    left.sort((a, b) => missed.get(unitKey(b))! - missed.get(unitKey(a))!);
    const gone = left.splice(leftOf(left.length, fewest));
    placement = gone.reduce(withoutUnit, placement);
    order.unshift(...gone);
  }
  return [...left, ...order];
}
