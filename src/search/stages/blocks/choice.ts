import { average, decidedSign, median } from '../../../util/statistics.ts';
import type { BlockFindings } from './result.ts';

/**
 * How one block is chosen among several: by a stated rule, so that a table and its conclusion cannot part. Rules
 * know nothing of what the candidates differ in.
 */
export interface ChoiceRule {
  /** In a sentence, for reports. */
  text: string;
  /** @param candidates at least one, each with the same seeds */
  choose(candidates: readonly BlockFindings[]): BlockFindings;
}

const scores = ({ runs }: BlockFindings) => runs.map(({ judged }) => judged.score);
export const meanScore = (candidate: BlockFindings) => average(scores(candidate));

/** The middle of the rounds, in tokens per second. */
export const decodeSpeed = ({ decode }: BlockFindings) => median(decode);

const highest = (candidates: readonly BlockFindings[], value: (candidate: BlockFindings) => number) =>
  candidates.reduce((best, each) => (value(each) > value(best) ? each : best));

/** As good by the mean, too: few seeds leave even large differences undecided. Of the score: 3 points, 0.03 nats. */
const CLOSE = 0.03;

/** Whether seeds leave it undecided that `best` is better than `other`, by a difference that is small. */
function asGood(other: BlockFindings, best: BlockFindings): boolean {
  const differences = scores(best).map((score, i) => score - scores(other)[i]!);
  // One seed decides nothing: its highest score is taken.
  return differences.length > 1 && decidedSign(differences) === 0 && average(differences) <= CLOSE;
}

/** Stages 2 and 3: quality decides, speed where quality cannot. */
export const bestThenFastest: ChoiceRule = {
  text:
    'the highest mean score over the seeds; if others are close to it (by 3 points of accuracy or 0.03 nats) and the ' +
    'difference is undecided (0 lies in the 95 % interval of the paired differences), the fastest of these and of it',
  choose(candidates) {
    const best = highest(candidates, meanScore);
    return highest(
      candidates.filter((each) => each === best || asGood(each, best)),
      decodeSpeed,
    );
  },
};

/** Stage 4: as fast as the first candidate, which has the parent's dimensions, and the best of those. */
export function asFastThenBest(slack = 0.03): ChoiceRule {
  return {
    text:
      `of the candidates that decode at least ${100 - 100 * slack} % as fast as the parent's dimensions, ` +
      'the one with the highest mean score over the seeds',
    choose(candidates) {
      const least = decodeSpeed(candidates[0]!) * (1 - slack);
      return highest(
        candidates.filter((each) => decodeSpeed(each) >= least),
        meanScore,
      );
    },
  };
}

/** Those that no other beats in speed and in score at once, fastest first. */
export function paretoFront(candidates: readonly BlockFindings[]): BlockFindings[] {
  const beats = (a: BlockFindings, b: BlockFindings) =>
    decodeSpeed(a) >= decodeSpeed(b) &&
    meanScore(a) >= meanScore(b) &&
    (decodeSpeed(a) > decodeSpeed(b) || meanScore(a) > meanScore(b));
  return candidates
    .filter((each) => !candidates.some((other) => beats(other, each)))
    .sort((a, b) => decodeSpeed(b) - decodeSpeed(a));
}
