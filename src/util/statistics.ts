/** What several seeds say together. */
export interface Spread {
  values: readonly number[];
  mean: number;
  lowest: number;
  highest: number;
  /** Sample standard deviation (n - 1); undefined for a single value, which says nothing about its spread. */
  deviation: number | undefined;
}

/** Undefined when there is nothing to say anything about. */
export function spreadOf(values: readonly number[]): Spread | undefined {
  const count = values.length;
  if (count === 0) return undefined;
  const mean = average(values);
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return {
    values,
    mean,
    lowest: Math.min(...values),
    highest: Math.max(...values),
    deviation: count > 1 ? Math.sqrt(squares / (count - 1)) : undefined,
  };
}

/** NaN for none. */
export function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The middle one, or the mean of the two in the middle. NaN for none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length / 2;
  return Number.isInteger(half) ? average(sorted.slice(half - 1, half + 1)) : sorted[Math.floor(half)]!;
}

/** Pearson's; undefined where one of the lists does not vary. */
export function correlation(a: readonly number[], b: readonly number[]): number | undefined {
  const [meanA, meanB] = [average(a), average(b)];
  const sum = (value: (i: number) => number) => a.reduce((total, _, i) => total + value(i), 0);
  const spread = Math.sqrt(sum((i) => (a[i]! - meanA) ** 2) * sum((i) => (b[i]! - meanB) ** 2));
  return spread > 0 ? sum((i) => (a[i]! - meanA) * (b[i]! - meanB)) / spread : undefined;
}

/** The indices in order of their values, highest first; equal values stay in order. */
export function descending(values: readonly number[]): number[] {
  return values.map((_, i) => i).sort((a, b) => values[b]! - values[a]!);
}

/** Spearman's of two lists; equal values share the mean of their ranks. Undefined where one of them does not vary. */
export function rankCorrelation(a: readonly number[], b: readonly number[]): number | undefined {
  return correlation(ranks(a), ranks(b));
}

function ranks(values: readonly number[]): number[] {
  const order = descending(values);
  const result = new Array<number>(values.length);
  for (let from = 0; from < order.length; ) {
    let to = from;
    while (to < order.length && values[order[to]!] === values[order[from]!]) to++;
    for (let i = from; i < to; i++) result[order[i]!] = (from + to - 1) / 2;
    from = to;
  }
  return result;
}

/**
 * Half the width of the 95 % interval of the mean (Student's t); undefined for fewer than two values, which do not say
 * how far they scatter.
 */
export function margin95(values: readonly number[]): number | undefined {
  const deviation = spreadOf(values)?.deviation;
  if (deviation === undefined) return undefined;
  return (quantile95(values.length - 1) * deviation) / Math.sqrt(values.length);
}

/**
 * What paired differences decide: 1 or -1, their sign, where the 95 % interval of their mean leaves out 0; 0 where it does
 * not, and for a single difference.
 */
export function decidedSign(differences: readonly number[]): 1 | 0 | -1 {
  const margin = margin95(differences);
  const mean = average(differences);
  // Rounding in the mean of equal numbers decides nothing.
  const least = Math.max(margin ?? Number.POSITIVE_INFINITY, 1e-12);
  return mean > least ? 1 : mean < -least ? -1 : 0;
}

/** The t that |T| of Student's distribution stays below with a probability of 95 %: 12.706 for one degree of freedom. */
function quantile95(freedom: number): number {
  let [low, high] = [0, 16];
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (within(middle, freedom) < 0.95) low = middle;
    else high = middle;
  }
  return high;
}

/** P(|T| < t), for whole degrees of freedom a finite sum (Abramowitz and Stegun, 26.7.3 and 26.7.4). */
function within(t: number, freedom: number): number {
  const angle = Math.atan(t / Math.sqrt(freedom));
  const square = Math.cos(angle) ** 2;
  const odd = freedom % 2;
  let term = odd ? Math.cos(angle) : 1;
  let sum = 0;
  for (let k = 2 + odd; k <= freedom; k += 2) {
    sum += term;
    term *= (square * (k - 1)) / k;
  }
  return odd ? (2 / Math.PI) * (angle + Math.sin(angle) * sum) : Math.sin(angle) * sum;
}

/** 95 % interval of a share of so many examples (Wilson 1927), which stays within 0 and 1. */
export function wilson(share: number, count: number): [low: number, high: number] {
  const z = 1.959964;
  const middle = (share + z ** 2 / (2 * count)) / (1 + z ** 2 / count);
  const margin =
    (z / (1 + z ** 2 / count)) * Math.sqrt((share * (1 - share)) / count + z ** 2 / (4 * count ** 2));
  return [Math.max(0, middle - margin), Math.min(1, middle + margin)];
}
