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

/** The indices in order of their values, highest first; equal values stay in order. */
export function descending(values: readonly number[]): number[] {
  return values.map((_, i) => i).sort((a, b) => values[b]! - values[a]!);
}

/** The middle value, or the mean of the two in the middle; NaN for none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : average(sorted.slice(half - 1, half + 1));
}
