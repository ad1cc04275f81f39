import { range } from '../../util/range.ts';
import { type LayerCosts, placementCost } from './costs.ts';
import { fullHeadsOf, type ReachPlacement } from './placement.ts';
import type { ReachBudget } from './result.ts';

/**
 * The placement of the least sum of scores under a budget, as an integer programme (as Puzzle, Bercovich et al. 2024, arXiv
 * 2411.19146, puts blocks together). Scores add up there as if heads did not work together, so it is a start for a search.
 */

/** KV heads of a layer that see everything together or not at all: one of them, or all. */
export interface Unit {
  layer: number;
  heads: readonly number[];
}

/** What is chosen from; changes of the objective from all heads windows, the shortest ones. */
export interface Choices {
  layers: number;
  kvHeads: number;
  sinks: number;
  units: readonly (Unit & { change: number })[];
  /** The windows that a layer can have, ascending; what a longer one changes, by layer. */
  windows: readonly { window: number; changes: readonly number[] }[];
}

/** Of a budget: sums of what was measured are as exact as numbers are. */
const ROUNDING = 1 + 1e-9;

/** Whether a placement keeps to a budget. */
export function fits(placement: ReachPlacement, budget: ReachBudget, costs: LayerCosts): boolean {
  const { bytes, milliseconds } = placementCost(placement, costs);
  const full = fullHeadsOf(placement);
  const layers = placement.filter(({ fullHeads }) => fullHeads.length > 0).length;
  return (
    full <= (budget.heads ?? Number.POSITIVE_INFINITY) &&
    layers <= (budget.layers ?? Number.POSITIVE_INFINITY) &&
    bytes <= ROUNDING * (budget.bytes ?? Number.POSITIVE_INFINITY) &&
    (budget.milliseconds === undefined ||
      (milliseconds !== undefined && milliseconds <= ROUNDING * budget.milliseconds))
  );
}

/** @returns null where nothing fits */
export async function assemble(
  { layers, kvHeads, sinks, units, windows }: Choices,
  budget: ReachBudget,
  costs: LayerCosts,
): Promise<ReachPlacement | null> {
  const all = range(layers);
  const counts = range(kvHeads + 1);
  // y: a unit sees everything. u: a layer has so many heads that do, and this window for the others.
  const y = (i: number) => `y${i}`;
  const kinds = all.flatMap((layer) =>
    windows.flatMap(({ window, changes }, w) =>
      counts.map((count) => ({
        name: `u${layer}_${count}_${w}`,
        layer,
        count,
        window,
        change: changes[layer]!,
      })),
    ),
  );
  const layersOf = (layer: number) => kinds.filter((kind) => kind.layer === layer);
  const constraints: string[] = [];
  for (const layer of all) {
    const own = layersOf(layer);
    constraints.push(`${linear(own.map(({ name }) => [1, name]))} = 1`);
    const heads = units.flatMap((unit, i): [number, string][] =>
      unit.layer === layer ? [[unit.heads.length, y(i)]] : [],
    );
    const counted = own.flatMap(({ name, count }): [number, string][] => (count > 0 ? [[-count, name]] : []));
    constraints.push(`${linear([...heads, ...counted])} = 0`);
  }
  const limit = (terms: [number, string][], most: number | undefined, fixed = 0) => {
    // As shares of the largest: bytes are large numbers, and a solver's tolerances are absolute.
    const scale = Math.max(1e-12, ...terms.map(([factor]) => factor));
    if (most !== undefined) {
      const scaled = terms.map(([factor, name]): [number, string] => [factor / scale, name]);
      constraints.push(`${linear(scaled)} <= ${shown((most - fixed) / scale)}`);
    }
  };
  const size = units.map(({ heads }, i): [number, string] => [heads.length, y(i)]);
  limit(size, budget.heads);
  limit(
    size.map(([count, name]) => [count / kvHeads, name]),
    budget.layers,
  );
  limit(
    kinds.map(({ name, count, window }) => [costs.bytes(count, window), name]),
    budget.bytes,
  );
  if (budget.milliseconds !== undefined) {
    const times = kinds.map(({ name, count, window }): [number, string] => [
      costs.milliseconds?.(count, window) ?? Number.POSITIVE_INFINITY,
      name,
    ]);
    if (times.some(([time]) => !Number.isFinite(time))) throw new Error('assemble: a time was not measured');
    limit(times, budget.milliseconds, costs.fixed);
  }
  const objective = linear([
    ...units.map(({ change }, i): [number, string] => [change, y(i)]),
    ...kinds.map(({ name, change }): [number, string] => [change, name]),
  ]);
  const binaries = [...units.map((_, i) => y(i)), ...kinds.map(({ name }) => name)];
  const chosen = await solve(
    `Minimize\n obj: ${objective}\nSubject To\n${constraints.map((line, i) => ` c${i}: ${line}`).join('\n')}\nBinary\n ${binaries.join('\n ')}\nEnd\n`,
  );
  if (!chosen) return null;
  const placement = all.map((layer) => ({
    fullHeads: units
      .flatMap((unit, i) => (unit.layer === layer && chosen.has(y(i)) ? unit.heads : []))
      .sort((a, b) => a - b),
    window: layersOf(layer).find(({ name }) => chosen.has(name))!.window,
    sinks,
  }));
  return placement;
}

/** Terms of a line of the format LP, which are not many to a line. */
function linear(terms: readonly (readonly [number, string])[]): string {
  const parts = terms.map(([factor, name]) => `${factor < 0 ? '-' : '+'} ${shown(Math.abs(factor))} ${name}`);
  const lines: string[] = [];
  for (let i = 0; i < parts.length; i += 8) lines.push(parts.slice(i, i + 8).join(' '));
  return lines.join('\n  ');
}

const shown = (value: number) => value.toFixed(12);

/** The variables that are 1 in the best solution; null where there is none. */
async function solve(problem: string): Promise<ReadonlySet<string> | null> {
  // Its types are those of CommonJS, where the default is the module.
  const { default: load } = await import('highs');
  const highs = await (load as unknown as typeof load.default)();
  const solution = highs.solve(problem, { output_flag: false, mip_rel_gap: 0, mip_abs_gap: 1e-9 });
  if (solution.Status === 'Infeasible') return null;
  if (solution.Status !== 'Optimal') throw new Error(`assemble: the solver ended with ${solution.Status}`);
  return new Set(
    Object.entries(solution.Columns).flatMap(([name, column]) =>
      'Primal' in column && column.Primal > 0.5 ? [name] : [],
    ),
  );
}
