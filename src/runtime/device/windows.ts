import { type Value, zeros } from '../../graph/index.ts';
import { tokenAt, type Window } from '../kv/ring.ts';

/**
 * A window as its mixer has it on a device, [1, heads, places, d] and which places hold a token: the sinks in theirs, and of all
 * others the newest, the last token last. On the host it is a ring (../ring.ts).
 */

/** A ring after so many tokens as a device has it, or the other way round. */
export function turnedWindow(value: Value, window: Window, tokens: number, to: 'ring' | 'device'): Value {
  const [, heads, places, d] = value.dims as readonly [number, number, number, number];
  const result = zeros(value.dims);
  const [from, into] = [value.data as Float32Array, result.data as Float32Array];
  for (let place = 0; place < places; place++) {
    const token = tokenAt(window, place, tokens);
    if (token < 0) continue;
    const other = devicePlace(window, token, tokens);
    const [source, target] = to === 'ring' ? [other, place] : [place, other];
    for (let head = 0; head < heads; head++) {
      const at = (head * places + source) * d;
      into.set(from.subarray(at, at + d), (head * places + target) * d);
    }
  }
  return result;
}

/** 1 for places that hold a token after so many [1, places]. */
export function validPlaces(window: Window, tokens: number): Value {
  const places = window.sinks + window.window;
  const value = zeros([1, places]);
  for (let place = 0; place < places; place++) {
    const token = tokenAt(window, place, tokens);
    if (token >= 0) (value.data as Float32Array)[devicePlace(window, token, tokens)] = 1;
  }
  return value;
}

function devicePlace({ window, sinks }: Window, token: number, tokens: number): number {
  return token < sinks ? token : sinks + window - tokens + token;
}
