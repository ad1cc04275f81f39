import type { Random } from '../../util/random.ts';
import type { Unit } from '../reach/assemble.ts';
import type { Placement } from '../stages/placement/searcher.ts';

/**
 * Searchers side by side: from a model, what its layers choose between, a budget and a judge each finds a placement and says what
 * it took. A place is a layer or a KV head of one, which keeps full attention or not; a placement is the set of those that do, by
 * their numbers. What is not kept is what it is exchanged for: a window, or a linear block.
 */

/** What is said of a placement; lower is better. */
export interface Judgement {
  /** The objective of the search: what is lost on its tasks. */
  objective: number;
  /** Divergence from the parent on text, nats a token. */
  kl: number;
}

/** What a search takes. */
export interface Spent {
  /** Tokens taken through the network: layers that were computed times tokens, over the number of layers. */
  tokens: number;
  /** Tokens that something was trained on. */
  trainedTokens: number;
  seconds: number;
}

/** @param near a placement from which all of them differ by little: judges may read texts with it */
export type JudgePlacements = (
  placements: readonly Placement[],
  near?: Placement,
) => Promise<readonly Judgement[]>;

export interface Problem {
  /** In order of layers. */
  places: readonly Unit[];
  layers: number;
  kvHeads: number;
  /** How many places keep full attention. */
  budget: number;
  /** Those that were judged before cost nothing. */
  judge: JudgePlacements;
  random: Random;
  /** Of each place, how far the layer's own output is from the parent's where it alone is exchanged, its input the parent's. */
  localErrors(): Promise<readonly number[]>;
  /** Of each place, how open a gate to full attention stays that was trained on recall under the budget: 0 to 1. */
  gates(): Promise<readonly number[]>;
  /** Trains what full attention is exchanged for along random paths; the judge of what it has become. */
  superNetwork(): Promise<JudgePlacements>;
}

interface Found {
  placement: Placement;
  /** All that were drawn, where they were drawn by chance. */
  drawn?: readonly Placement[];
}

export interface Searcher {
  name: string;
  search(problem: Problem): Promise<Found>;
}

/** The numbers of all places. */
export const everywhere = ({ places }: Pick<Problem, 'places'>): number[] => places.map((_, i) => i);
