/** What is added to the scores of keys that a query must not see: finite, so that sums stay numbers. */
export const MASKED = -1e30;

/** Over T queries and some keys [T, keys]: 0 for the keys that query i sees, from the first to before the second number. */
function mask(T: number, keys: number, seen: (i: number) => readonly [number, number]): Float32Array {
  const values = new Float32Array(T * keys).fill(MASKED);
  for (let i = 0; i < T; i++) {
    const [from, to] = seen(i);
    const [first, end] = [Math.max(0, from), Math.min(keys, to)];
    if (first < end) values.fill(0, i * keys + first, i * keys + end);
  }
  return values;
}

/** Query i, which stands at place `at + i` of the keys, sees key j where 0 <= at + i - j < window. [T, keys] */
function causalMask(T: number, keys: number, at: number, window: number): Float32Array {
  return mask(T, keys, (i) => [at + i + 1 - window, at + i + 1]);
}

/**
 * Over the first tokens of a text, the sinks: query i, which stands at place `first + i` of the text, sees sink j here once
 * its window has left it behind, that is where first + i - j >= window. [T, sinks]
 */
export function sinkMask(T: number, sinks: number, first: number, window: number): Float32Array {
  return mask(T, sinks, (i) => [0, first + i + 1 - window]);
}

/** Causal masks, of which the newest is kept for the next layer, which asks for the same. */
export class Masks {
  private newest: { key: string; mask: Float32Array } | null = null;

  causal(T: number, keys: number, at: number, window: number): Float32Array {
    const key = [T, keys, at, window].join();
    if (this.newest?.key !== key) this.newest = { key, mask: causalMask(T, keys, at, window) };
    return this.newest.mask;
  }
}
