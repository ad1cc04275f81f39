import { Random } from '../../src/util/random.ts';

/**
 * Noise of any size from one short block of it that repeats: weights and states in benchmarks need usual sizes and no
 * pattern that a processor could profit from, and billions of draws would take longer than what is measured.
 */

/** A prime number of values, so that rows of a matrix do not begin alike. */
const PERIOD = 65_521;
let drawn: Float32Array | undefined;

/** @param shift where in the block to begin, so that two arrays of noise differ */
export function noise(size: number, deviation: number, shift = 0): Float32Array<ArrayBuffer> {
  const random = new Random(1);
  drawn ??= Float32Array.from({ length: PERIOD }, () => random.normal());
  const values = new Float32Array(size);
  const first = Math.min(PERIOD, size);
  for (let i = 0; i < first; i++) values[i] = deviation * drawn[(i + 997 * shift) % PERIOD]!;
  for (let at = first; at < size; at += first) values.set(values.subarray(0, Math.min(first, size - at)), at);
  return values;
}

/**
 * A number for a name. Weights must differ: ONNX Runtime keeps matrices with the same values once, so that a model of a few
 * of them, however many layers it has, would be read from the processor's cache.
 */
export function seedOf(name: string): number {
  let seed = 0;
  for (let i = 0; i < name.length; i++) seed = (Math.imul(seed, 31) + name.charCodeAt(i)) >>> 0;
  return seed;
}

/** The bytes of a block over and over, in parts. */
export function* repeated(block: Uint8Array<ArrayBuffer>, bytes: number): Generator<Uint8Array<ArrayBuffer>> {
  for (let at = 0; at < bytes; at += block.length)
    yield block.subarray(0, Math.min(block.length, bytes - at));
}
