import { Random } from '../util/random.ts';
import type { HostSequence } from './host-sequence.ts';

/** States and caches of so many tokens that nobody has read: what benchmarks of long contexts start from. */

/** Tokens written to a cache at a time. */
const PIECE = 2048;

/** Numbers of no meaning but of a usual size, so that nothing overflows or becomes denormal. */
export async function draw({ state, caches }: HostSequence, tokens: number): Promise<void> {
  const random = new Random(1);
  const noise = Float32Array.from({ length: 65_521 }, () => random.normal());
  const drawn = (values: Float32Array): Float32Array => {
    for (let at = 0; at < values.length; at += noise.length) {
      values.set(noise.subarray(0, values.length - at), at);
    }
    return values;
  };
  for (const value of Object.values(state)) drawn(value.data as Float32Array);
  for (const cache of caches) {
    const { heads, width } = cache.shape;
    for (let done = 0; done < tokens; done += PIECE) {
      const count = Math.min(PIECE, tokens - done);
      const values = drawn(new Float32Array(heads * count * width));
      cache.reserve(count);
      cache.write(values, values, count);
      await cache.settle();
    }
  }
}
