import { descending } from '../../util/statistics.ts';
import { asPlacement, checkBudget } from '../stages/placement/searcher.ts';
import type { Problem, Searcher } from './searcher.ts';

/** The places of the highest values keep full attention; no placement is judged. */
function ranked(name: string, values: (problem: Problem) => Promise<readonly number[]>): Searcher {
  return {
    name,
    async search(problem) {
      checkBudget(problem.budget, problem.places.length);
      return { placement: asPlacement(descending(await values(problem)).slice(0, problem.budget)) };
    },
  };
}

/** Ranks layers by themselves, each as if all others were the parent's. */
export const localError = ranked('local error', (problem) => problem.localErrors());

/** As DuoAttention (arXiv 2410.10819) finds heads that look far back, and FlashMorph (arXiv 2606.30562) layers. */
export const learnedGates = ranked('learned gates', (problem) => problem.gates());
