/** Added to the scores of what must not be seen: finite, so that sums stay numbers. */
export const HIDDEN = -1e30;

/**
 * What is added to the scores of T queries over some keys: 0 where query i, which stands at place `at + i` of the keys,
 * sees key j, that is 0 <= at + i - j < window. [T, keys]
 */
export function hiddenKeys(
  T: number,
  keys: number,
  at: number,
  window: number,
  values = new Float32Array(T * keys),
): Float32Array {
  values.fill(HIDDEN);
  for (let i = 0; i < T; i++) {
    const place = at + i;
    const [from, to] = [Math.max(0, place + 1 - window), Math.min(keys, place + 1)];
    if (from < to) values.fill(0, i * keys + from, i * keys + to);
  }
  return values;
}
