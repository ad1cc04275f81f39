import {
  add,
  concat,
  div,
  exp,
  max,
  maximum,
  mul,
  reciprocal,
  softmax,
  sub,
  sum,
  type Tensor,
} from '../../graph/index.ts';

/** Softmax attention over some keys: the largest score, the sum of the exponentials relative to it, and the result. */
export type Sums = Record<'m' | 'l' | 'o', Tensor>;

/**
 * Of the values it makes their softmax, which takes a score in one pass over memory where exp and sum take three. Its
 * largest weight is e^0 / l.
 */
export function sumsOf(scores: Tensor, weigh: (weights: Tensor) => Tensor): Sums {
  const weights = softmax(scores);
  return { m: max(scores, -1, true), l: reciprocal(max(weights, -1, true)), o: weigh(weights) };
}

/** Over the keys of both. */
export function merge(a: Sums, b: Sums): Sums {
  const m = maximum(a.m, b.m);
  const [x, y] = [a, b].map((sums) => mul(exp(sub(sums.m, m)), sums.l)) as [Tensor, Tensor];
  const l = add(x, y);
  return { m, l, o: add(mul(div(x, l), a.o), mul(div(y, l), b.o)) };
}

/** Over the keys of all sets, which lie along axis 1. */
export function together(sets: readonly Sums[]): Sums {
  const all = (name: keyof Sums) =>
    concat(
      sets.map((sums) => sums[name]),
      1,
    );
  const largest = all('m');
  const m = max(largest, 1, true);
  const shares = mul(all('l'), exp(sub(largest, m)));
  const l = sum(shares, 1, true);
  return { m, l, o: div(sum(mul(all('o'), shares), 1, true), l) };
}
