import { fits, type Unit } from './assemble.ts';
import type { LayerCosts } from './costs.ts';
import type { ReachPlacement } from './placement.ts';
import type { JudgedReach, ReachJudge } from './reach-judge.ts';
import type { ReachBudget } from './result.ts';

/**
 * Betters a placement by moves that are judged as wholes: heads that lost nothing make room for those that bring most. What
 * single heads bring does not add up, so that an order by their scores alone is not enough.
 */

/** Units that are tried as additions: those that brought most when they were last judged, and others in turn. */
const [LIKELY, OTHERS] = [16, 10];
/** Exchanges of a round that are judged as wholes. */
const EXCHANGES = 14;
/** Units that are added at once, at most. */
const ADDED = 3;
/** Rounds between two readings of the texts, and such readings, at most. */
const [ROUNDS, READINGS] = [3, 4];
/** What makes no difference. */
const LEAST = 1e-4;

/** Who judges: over texts that a placement has read, which the last whole judgement chose. */
export type ReachJudging = Pick<ReachJudge, 'judge' | 'whole' | 'readWith'>;

export interface RefineOptions {
  budget: ReachBudget;
  costs: LayerCosts;
  units: readonly Unit[];
  /** Changes of the objective by each unit when it was last judged; new ones are written to it. */
  changes: Map<string, number>;
  /** What progress calls it. */
  name: string;
}

export const unitKey = ({ layer, heads }: Unit) => `${layer}.${heads.join('+')}`;

/** @returns the best placement that was judged by whole passes */
export async function refine(
  judge: ReachJudging,
  start: ReachPlacement,
  options: RefineOptions,
): Promise<{ placement: ReachPlacement; judged: JudgedReach }> {
  const { name } = options;
  const tried = new Set<string>();
  let best = { placement: start, judged: await judge.whole(start, `${name}: read`) };
  for (let reading = 0; reading < READINGS; reading++) {
    let current = best;
    for (let round = 0; round < ROUNDS; round++) {
      const next = await bestMove(judge, current, options, tried);
      if (!next || next.judged.objective > current.judged.objective - LEAST) break;
      current = next;
    }
    if (current === best) break;
    const judged = await judge.whole(current.placement, `${name}: read anew`);
    if (judged.objective > best.judged.objective - LEAST) break;
    best = { placement: current.placement, judged };
  }
  return best;
}

interface Change {
  placement: ReachPlacement;
  units: readonly Unit[];
  /** Of the objective, as far as single changes tell. */
  expected: number;
}

async function bestMove(
  judge: ReachJudging,
  current: { placement: ReachPlacement; judged: JudgedReach },
  { budget, costs, units, changes, name }: RefineOptions,
  tried: Set<string>,
): Promise<{ placement: ReachPlacement; judged: JudgedReach } | null> {
  const { placement, judged } = current;
  const present = units.filter((unit) => has(placement, unit));
  const likely = units
    .filter((unit) => !has(placement, unit))
    .sort((a, b) => (changes.get(unitKey(a)) ?? 0) - (changes.get(unitKey(b)) ?? 0));
  // What a unit brings hangs on those that are there: none is out for good.
  const others = likely.slice(LIKELY).filter((unit) => !tried.has(unitKey(unit)));
  const absent = [...likely.slice(0, LIKELY), ...others.slice(0, OTHERS)];
  for (const unit of absent) tried.add(unitKey(unit));
  const single = async (list: readonly Unit[], change: typeof withUnit, stage: string): Promise<Change[]> => {
    const found = await judge.judge(
      list.map((unit) => change(placement, unit)),
      `${name}: ${stage}`,
    );
    return list
      .map((unit, i) => ({
        placement: change(placement, unit),
        units: [unit],
        expected: found[i]!.objective - judged.objective,
      }))
      .sort((a, b) => a.expected - b.expected);
  };
  const additions = await single(absent, withUnit, 'add');
  const removals = await single(present, withoutUnit, 'leave out');
  for (const { units: own, expected } of additions) changes.set(unitKey(own[0]!), expected);
  for (const { units: own, expected } of removals) changes.set(unitKey(own[0]!), -expected);
  const added = Array.from({ length: Math.min(ADDED, additions.length) }, (_, i) =>
    additions.slice(0, i + 1).reduce((sum, { units: own }) => withUnit(sum, own[0]!), placement),
  );
  const exchanges = removals
    .flatMap((out) =>
      additions.map((into) => ({
        placement: withUnit(out.placement, into.units[0]!),
        units: [out.units[0]!, into.units[0]!],
        expected: out.expected + into.expected,
      })),
    )
    .filter((move) => fits(move.placement, budget, costs))
    .sort((a, b) => a.expected - b.expected);
  const two = exchanges.slice(0, 4).flatMap((a, i) =>
    exchanges
      .slice(i + 1, 8)
      .filter((b) => a.units.every((unit) => !b.units.includes(unit)))
      .map((b) =>
        b.units.reduce((sum, unit, at) => (at === 0 ? withoutUnit : withUnit)(sum, unit), a.placement),
      ),
  );
  const moves = [
    ...added,
    ...removals.slice(0, 2).map((move) => move.placement),
    ...exchanges.slice(0, EXCHANGES).map((move) => move.placement),
    ...two.slice(0, EXCHANGES / 2),
  ].filter((move) => fits(move, budget, costs));
  if (moves.length === 0) return null;
  const found = await judge.judge(moves, `${name}: exchange`);
  const best = found.reduce((a, own, i) => (own.objective < found[a]!.objective ? i : a), 0);
  return { placement: moves[best]!, judged: found[best]! };
}

function has(placement: ReachPlacement, { layer, heads }: Unit): boolean {
  return heads.every((head) => placement[layer]!.fullHeads.includes(head));
}

export function withUnit(placement: ReachPlacement, { layer, heads }: Unit): ReachPlacement {
  return changed(
    placement,
    layer,
    [...new Set([...placement[layer]!.fullHeads, ...heads])].sort((a, b) => a - b),
  );
}

export function withoutUnit(placement: ReachPlacement, { layer, heads }: Unit): ReachPlacement {
  return changed(
    placement,
    layer,
    placement[layer]!.fullHeads.filter((head) => !heads.includes(head)),
  );
}

function changed(placement: ReachPlacement, layer: number, fullHeads: readonly number[]): ReachPlacement {
  return placement.map((own, i) => (i === layer ? { ...own, fullHeads } : own));
}
