import { assemble, type Unit } from '../reach/assemble.ts';
import { inOrder } from '../reach/baselines.ts';
import type { LayerCosts } from '../reach/costs.ts';
import { eliminate } from '../reach/eliminate.ts';
import { type ReachPlacement, withAllHeads } from '../reach/placement.ts';
import type { JudgedReach } from '../reach/reach-judge.ts';
import { type ReachJudging, refine, unitKey } from '../reach/refine.ts';
import { asPlacement, checkBudget, type Placement } from '../stages/placement/searcher.ts';
import { everywhere, type Problem, type Searcher } from './searcher.ts';

/**
 * What `postnas search` does for windows: the least sum of the changes by single choices as an integer programme, or the order in
 * which places are missed least, whichever is better; then exchanges that are judged as wholes.
 */

/** Only how many places there are counts. */
const NO_COSTS: LayerCosts = { bytes: () => 0, fixed: 0 };

export const integerProgramme: Searcher = {
  name: 'integer programme, refined',
  async search(problem) {
    const { places, layers, kvHeads, judge } = problem;
    checkBudget(problem.budget, places.length);
    const all = everywhere(problem);
    const [none, ...alone] = await judge([[], ...all.map((place) => [place])], []);
    const without = all.map((place) => all.filter((other) => other !== place));
    const [full, ...missing] = await judge([all, ...without], all);
    const units = places.map((unit, i) => ({
      ...unit,
      change: alone[i]!.objective - none!.objective - (missing[i]!.objective - full!.objective),
    }));
    const budget = { heads: problem.budget * places[0]!.heads.length };
    // Of windows only their name: what places are exchanged for is the problem's.
    const base: ReachPlacement = Array.from({ length: layers }, () => ({
      ...{ fullHeads: [], window: 1, sinks: 0 },
    }));
    const judging = judgingOf(problem);
    const choices = { layers, kvHeads, sinks: 0, units };
    const start = (await assemble(
      { ...choices, windows: [{ window: 1, changes: base.map(() => 0) }] },
      budget,
      NO_COSTS,
    ))!;
    const order = await eliminate(judging, withAllHeads(base, { numKvHeads: kvHeads }), units, {
      fewest: problem.budget,
      name: 'places',
    });
    let [best, least] = [start, Number.POSITIVE_INFINITY];
    for (const placement of [start, inOrder(base, order, budget, NO_COSTS)]) {
      const { objective } = await judging.whole(placement, 'start');
      if (objective < least) [best, least] = [placement, objective];
    }
    const { placement } = await refine(judging, best, {
      ...{ budget, costs: NO_COSTS, units, name: 'refine' },
      changes: new Map(units.map((unit) => [unitKey(unit), unit.change])),
    });
    return { placement: placesOf(placement, places) };
  },
};

/** The places whose heads all see everything. */
function placesOf(placement: ReachPlacement, places: readonly Unit[]): number[] {
  return asPlacement(
    places.flatMap(({ layer, heads }, i) =>
      heads.every((head) => placement[layer]!.fullHeads.includes(head)) ? [i] : [],
    ),
  );
}

/** The problem's judge as refinement asks it. */
function judgingOf({ judge, places }: Problem): ReachJudging {
  let reader: Placement | undefined;
  const judged = async (placements: readonly ReachPlacement[]): Promise<JudgedReach[]> => {
    const found = await judge(
      placements.map((placement) => placesOf(placement, places)),
      reader,
    );
    return found.map(({ objective }) => ({ recall: [], text: null, objective }));
  };
  const readWith = (placement: ReachPlacement) => {
    reader = placesOf(placement, places);
  };
  return {
    judge: judged,
    readWith,
    async whole(placement) {
      readWith(placement);
      return (await judged([placement]))[0]!;
    },
  };
}
