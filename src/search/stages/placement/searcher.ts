import { InputError } from '../../../util/errors.ts';
import type { OnProgress } from '../../../util/progress.ts';
import type { Random } from '../../../util/random.ts';
import type { Judged } from '../../result-fields.ts';

/**
 * Where full attention must stay. A placement is the set of layers that keep it, ascending. Searchers differ only
 * in which placements they look at; how one is judged is given to them. One file per searcher.
 */
export type Placement = readonly number[];

export type { Judged };

export interface SearchContext {
  layers: number;
  /** Full-attention layers allowed. */
  budget: number;
  /** Judges placements; those asked for together share work, those asked for before cost nothing. */
  judge(placements: readonly Placement[]): Promise<Judged[]>;
  random: Random;
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

interface SearchOutcome {
  /** The best placement for each number of full layers that was looked at, fewest first. */
  best: Judged[];
  /** All that were drawn, where they were drawn by chance. */
  drawn?: Judged[];
}

export interface Searcher {
  name: string;
  /** @throws InputError for a budget that the layers do not allow */
  search(context: SearchContext): Promise<SearchOutcome>;
}

/** @throws InputError when there are fewer layers than may keep full attention */
export function checkBudget(budget: number, layers: number): void {
  if (!Number.isInteger(budget) || budget < 0 || budget > layers) {
    throw new InputError(
      `a budget of ${budget} full-attention layers, but the model has ${layers} layers: expected 0 to ${layers}`,
    );
  }
}

/** @throws InputError for layers that the model does not have, and where none is left for a block */
export function checkLayers(placement: Placement, layers: number): void {
  const wrong = placement.find((layer) => !Number.isInteger(layer) || layer < 0 || layer >= layers);
  if (wrong !== undefined) {
    throw new InputError(`placement ${placement.join(', ')}: no layer ${wrong}, expected 0 to ${layers - 1}`);
  }
  if (asPlacement(placement).length === layers) {
    throw new InputError(`placement ${placement.join(', ')}: no layer is left for a block`);
  }
}

/** One key per set: the order in which layers were chosen does not matter. */
export function placementKey(placement: Placement): string {
  return [...placement].sort((a, b) => a - b).join(',');
}

/** Ascending, without repeats. */
export function asPlacement(layers: Iterable<number>): number[] {
  return [...new Set(layers)].sort((a, b) => a - b);
}

/** Of the judged, those with the highest scores; equal scores go to the earlier layers, NaN comes last. */
export function top(judged: readonly Judged[], count: number): Judged[] {
  const value = ({ score }: Judged) => (Number.isNaN(score) ? Number.NEGATIVE_INFINITY : score);
  return [...judged].sort((a, b) => value(b) - value(a) || compare(a.placement, b.placement)).slice(0, count);
}

function compare(a: Placement, b: Placement): number {
  const at = a.findIndex((layer, i) => layer !== b[i]);
  return at < 0 ? a.length - b.length : a[at]! - (b[at] ?? -1);
}
