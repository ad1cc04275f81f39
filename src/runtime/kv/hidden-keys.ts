import { float32, type Value } from '../../graph/index.ts';

/** Added to the scores of what must not be seen: finite, so that sums stay numbers. */
export const HIDDEN = -1e30;

/**
 * What is added to the scores of T queries over some keys: 0 where query i, which stands at place `at + i` of the keys,
 * sees key j, that is 0 <= at + i - j < window. [T, keys]
 */
export function hiddenKeys(T: number, keys: number, at: number, window: number): Float32Array {
  const values = new Float32Array(T * keys);
  values.fill(HIDDEN);
  for (let i = 0; i < T; i++) {
    const place = at + i;
    const [from, to] = [Math.max(0, place + 1 - window), Math.min(keys, place + 1)];
    if (from < to) values.fill(0, i * keys + from, i * keys + to);
  }
  return values;
}

/**
 * What is added to the scores of T queries, of which query i stands at place `first + i` of the text, over its first `sinks`
 * tokens: 0 where the window has left sink j behind, that is first + i - j >= window. [T, sinks]
 */
export function hiddenSinks(T: number, sinks: number, first: number, window: number): Float32Array {
  const values = new Float32Array(T * sinks);
  values.fill(HIDDEN);
  for (let i = 0; i < T; i++) {
    const behind = Math.min(sinks, Math.max(0, first + i + 1 - window));
    values.fill(0, i * sinks, i * sinks + behind);
  }
  return values;
}

/** The same of keys, for queries in groups [groups, T / groups, keys], kept for the next layer, which asks for the same. */
export class HiddenKeys {
  private last: { key: string; value: Value } | null = null;

  of(T: number, keys: number, at: number, window: number, groups: number): Value {
    const key = [T, keys, at, window, groups].join();
    if (this.last?.key !== key) {
      this.last = { key, value: float32(hiddenKeys(T, keys, at, window), [groups, T / groups, keys]) };
    }
    return this.last.value;
  }
}
