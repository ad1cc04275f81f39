import type { PricedJudge } from '../../src/search/searchers/charged.ts';
import type { Problem, Spent } from '../../src/search/searchers/searcher.ts';
import type { Placement } from '../../src/search/stages/placement/searcher.ts';
import type { Identity } from '../../src/util/store/identity.ts';

/** What is searched: a model, what its places choose between, and who judges. */
export interface Space {
  /** All that results depend on beside searcher and budget. */
  identity: Identity;
  places: Problem['places'];
  layers: number;
  kvHeads: number;
  judge: PricedJudge;
  /** What a search learns by itself, at its own cost. */
  localErrors(spent: Spent): Promise<readonly number[]>;
  gates(budget: number, spent: Spent): Promise<readonly number[]>;
  superNetwork(spent: Spent): Promise<PricedJudge>;
  /** Processor seconds of judging a token, of all that was judged. */
  secondsPerToken(): number;
  /** On examples that no search has seen. */
  quality(placements: readonly Placement[]): Promise<Quality[]>;
  /** The same after a short training that is equal for all; undefined where nothing is trained. */
  trained?(placement: Placement): Promise<Quality>;
  dispose(): Promise<void>;
}

/** What is reported of a placement. */
export interface Quality {
  /** Share of answers that are right, the mean over tasks or distances. */
  right: number;
  /** Divergence from the parent on text, nats a token. */
  kl: number;
}
