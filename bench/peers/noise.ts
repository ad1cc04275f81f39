import { Random } from '../../src/util/random.ts';

/**
 * Noise of any size from one short block of it that repeats: weights and states in benchmarks need usual sizes and no
 * pattern that a processor could profit from, and billions of draws would take longer than what is measured.
 */

/** A prime number of values, so that rows of a matrix do not begin alike. */
const PERIOD = 65_521;

export function noise(size: number, deviation: number, random = new Random(1)): Float32Array<ArrayBuffer> {
  const block = Float32Array.from({ length: Math.min(PERIOD, size) }, () => deviation * random.normal());
  const values = new Float32Array(size);
  for (let at = 0; at < size; at += block.length) values.set(block.subarray(0, size - at), at);
  return values;
}

/** The bytes of a block over and over, in parts. */
export function* repeated(block: Uint8Array<ArrayBuffer>, bytes: number): Generator<Uint8Array<ArrayBuffer>> {
  for (let at = 0; at < bytes; at += block.length)
    yield block.subarray(0, Math.min(block.length, bytes - at));
}
