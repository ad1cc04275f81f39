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

/** Spearman's rank correlation of two lists; equal values share the mean of their ranks. NaN where one is constant. */
export function rankCorrelation(a: readonly number[], b: readonly number[]): number {
  const [x, y] = [ranks(a), ranks(b)];
  const [mx, my] = [average(x), average(y)];
  const sum = (value: (i: number) => number) => x.reduce((total, _, i) => total + value(i), 0);
  const covariance = sum((i) => (x[i]! - mx) * (y[i]! - my));
  return covariance / Math.sqrt(sum((i) => (x[i]! - mx) ** 2) * sum((i) => (y[i]! - my) ** 2));
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
