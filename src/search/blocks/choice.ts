import { average, median, spreadOf } from '../../util/statistics.ts';
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

/** Whether `other`, seed by seed, is worse than `best` by no more than one standard error of the difference. */
function asGood(other: BlockFindings, best: BlockFindings): boolean {
  const differences = scores(best).map((score, i) => score - scores(other)[i]!);
  const { mean, deviation = 0 } = spreadOf(differences)!;
  return mean <= deviation / Math.sqrt(differences.length);
}

/** Stages 2 and 3: quality decides, speed where quality cannot. */
export const bestThenFastest: ChoiceRule = {
  text:
    'the highest mean score over the seeds; among those that are worse, seed by seed, by at most one standard error ' +
    'of the difference, the one that decodes fastest',
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
