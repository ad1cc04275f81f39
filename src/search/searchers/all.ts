import { beamSearch } from '../stages/placement/beam.ts';
import { randomSearch } from '../stages/placement/random.ts';
import { fromPlacementSearch } from './from-placement-search.ts';
import { greedyAddition, greedyRemoval } from './greedy.ts';
import { integerProgramme } from './integer-programme.ts';
import { learnedGates, localError } from './ranked.ts';
import type { Searcher } from './searcher.ts';
import { uniformLayers } from './uniform.ts';

/** Of the beam, and of random placements: what a search of the paper's kind has by default. */
const [WIDTH, DRAWN] = [3, 8];

const beam = beamSearch(WIDTH);

/** The paper's, which trains what full attention is exchanged for: where there is nothing to train it is the beam alone. */
export const ONCE_FOR_ALL = 'once-for-all, beam';

/** All searchers that are compared, those that train last. */
export const SEARCHERS: readonly Searcher[] = [
  uniformLayers,
  fromPlacementSearch(`random, best of ${DRAWN}`, randomSearch(DRAWN)),
  localError,
  greedyAddition('greedy by KL, adding', ({ kl }) => kl),
  greedyRemoval('greedy by KL, taking away', ({ kl }) => kl),
  greedyRemoval('distil, then replace', ({ objective }) => objective),
  fromPlacementSearch('beam', beam),
  integerProgramme,
  learnedGates,
  fromPlacementSearch(ONCE_FOR_ALL, beam, (problem) => problem.superNetwork()),
];
