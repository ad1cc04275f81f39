/**
 * What sampling means, in float64 and without regard to speed: the definition that src/runtime/sampler.ts is tested
 * against. Each function returns new scores, with -Infinity for what it removes.
 */

type Scores = readonly number[];

export function repetitionPenalty(scores: Scores, occurring: Iterable<number>, penalty: number): number[] {
  const seen = new Set(occurring);
  return scores.map((x, id) => (!seen.has(id) ? x : x < 0 ? x * penalty : x / penalty));
}

export function occurrencePenalties(
  scores: Scores,
  occurring: readonly number[],
  { frequency, presence }: { frequency: number; presence: number },
): number[] {
  return scores.map((x, id) => {
    const count = occurring.filter((other) => other === id).length;
    return count > 0 ? x - count * frequency - presence : x;
  });
}

/** Less the largest, which changes no probability and lets no temperature make two infinities. */
export function temperature(scores: Scores, value: number): number[] {
  const largest = Math.max(...scores);
  return scores.map((x) => (x - largest) / value);
}

/** The k largest, and whatever is as large as the smallest of them. */
export function topK(scores: Scores, k: number): number[] {
  const least = [...scores].sort((a, b) => b - a)[Math.min(k, scores.length) - 1]!;
  return scores.map((x) => (x < least ? Number.NEGATIVE_INFINITY : x));
}

/** The most probable ones, until together they have this probability; of equal ones, smaller ids first. */
export function topP(scores: Scores, p: number): number[] {
  const weights = weightsOf(scores);
  const enough = p * sum(weights);
  const order = [...weights.keys()].sort((a, b) => weights[b]! - weights[a]! || a - b);
  const kept = new Set<number>();
  let above = 0;
  for (const id of order) {
    if (above >= enough) break;
    kept.add(id);
    above += weights[id]!;
  }
  return scores.map((x, id) => (kept.has(id) ? x : Number.NEGATIVE_INFINITY));
}

/** Those at least so probable as this share of the most probable one. */
export function minP(scores: Scores, share: number): number[] {
  const weights = weightsOf(scores);
  return scores.map((x, id) => (weights[id]! < share ? Number.NEGATIVE_INFINITY : x));
}

export function draw(scores: Scores, uniform: number): number {
  const weights = weightsOf(scores);
  let left = uniform * sum(weights);
  let last = 0;
  for (const [id, weight] of weights.entries()) {
    if (weight === 0) continue;
    last = id;
    left -= weight;
    if (left < 0) break;
  }
  return last;
}

/** Probabilities, not normalised. */
function weightsOf(scores: Scores): number[] {
  const largest = Math.max(...scores);
  return scores.map((x) => Math.exp(x - largest));
}

const sum = (values: Scores) => values.reduce((a, b) => a + b, 0);
