import { argMaxOf, logSumExp } from './sampler.ts';

/** After a token, by its place in its sequence or tree: which tokens' log-probabilities are asked for. */
export interface Asked {
  place: number;
  ids: readonly number[];
}

export interface TokenScores {
  /** Natural logarithms of the probabilities of `ids`, in order. */
  logProbs: number[];
  /** The most probable token. */
  best: number;
}

/** The definition, from the logits after one token. */
export function scoresOf(logits: Float32Array, ids: readonly number[]): TokenScores {
  const total = logSumExp(logits);
  return { logProbs: ids.map((id) => logits[id]! - total), best: argMaxOf(logits) };
}
