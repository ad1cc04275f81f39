import type { CandidateFindings, Comparison } from '../comparison.ts';
import { evidenceOf, pairedSpread } from '../paired.ts';
import { against, changeText } from './claim.ts';

/** Which of stage 2's block and stage 3's design goes on to stage 4, and how sure that is. */
export interface GoesOn {
  taken: CandidateFindings;
  /** By what rule, with the values that it was applied to. */
  why: string;
}

/** Undefined where there are not both. The rule is that of the search: the higher mean score over the seeds. */
export function goesOn(blocks: Comparison | undefined, design: Comparison | undefined): GoesOn | undefined {
  if (!blocks || !design) return undefined;
  const { overall } = design;
  const [block, built] = [blocks.taken, design.taken];
  const change = pairedSpread(overall, built.found.runs, block.found.runs);
  if (!change) return undefined;
  // Equal means leave it to the later stage, as in the search.
  const taken = overall.gain(change.mean, 0) >= 0 ? built : block;
  const sure =
    evidenceOf(overall, change) !== 'undecided'
      ? ''
      : ', within the spread of the seeds, so that another run might take the other';
  return {
    taken,
    why:
      'the higher mean score over the seeds of stage 2’s block and stage 3’s design: ' +
      `${against(overall, built, block)}; ${changeText(overall, change)}${sure}`,
  };
}
