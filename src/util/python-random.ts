/**
 * The generator of Python's `random` module (MT19937, Matsumoto and Nishimura 1998) as far as others' draws have to be
 * repeated: lm-evaluation-harness draws its shots with it. For anything else there is random.ts.
 */
export class PythonRandom {
  private readonly state = new Uint32Array(WORDS);
  private at = WORDS;

  /** @param seed a whole number from 0 to 2^53 - 1, as `random.Random(seed)` takes it */
  constructor(seed: number) {
    this.seed(seed < 2 ** 32 ? [seed] : [seed % 2 ** 32, Math.floor(seed / 2 ** 32)]);
  }

  /** Seeds by an array of words, as the generator's authors do it. */
  private seed(key: readonly number[]): void {
    const { state } = this;
    const mix = (i: number) => state[i - 1]! ^ (state[i - 1]! >>> 30);
    state[0] = 19650218;
    for (let i = 1; i < WORDS; i++) state[i] = Math.imul(1812433253, mix(i)) + i;
    let i = 1;
    const step = (factor: number, add: number) => {
      state[i] = (state[i]! ^ Math.imul(mix(i), factor)) + add;
      if (++i < WORDS) return;
      state[0] = state[WORDS - 1]!;
      i = 1;
    };
    for (let k = 0; k < Math.max(WORDS, key.length); k++) {
      const j = k % key.length;
      step(1664525, key[j]! + j);
    }
    for (let k = 1; k < WORDS; k++) step(1566083941, -i);
    state[0] = 0x80000000;
  }

  /** Uniform 32-bit unsigned integer. */
  private uint32(): number {
    const { state } = this;
    if (this.at === WORDS) {
      for (let i = 0; i < WORDS; i++) {
        const y = (state[i]! & 0x80000000) | (state[(i + 1) % WORDS]! & 0x7fffffff);
        state[i] = state[(i + 397) % WORDS]! ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
      }
      this.at = 0;
    }
    let y = state[this.at++]!;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  /** Uniform integer in [0, n), n below 2^32: as many bits as n has, drawn until they are below it. */
  below(n: number): number {
    const unused = Math.clz32(n);
    for (;;) {
      const drawn = this.uint32() >>> unused;
      if (drawn < n) return drawn;
    }
  }

  /**
   * `random.sample`: so many of the list without replacement, in the order of drawing.
   *
   * @param count at most as many as the list has
   */
  sample<T>(list: readonly T[], count: number): T[] {
    // Python copies a list that is short against the number of draws, and remembers the drawn places of a long one.
    const copied = count > 5 ? 21 + 4 ** Math.ceil(Math.log(count * 3) / Math.log(4)) : 21;
    if (list.length <= copied) {
      const pool = [...list];
      return Array.from({ length: count }, (_, i) => {
        const j = this.below(list.length - i);
        const drawn = pool[j]!;
        pool[j] = pool[list.length - i - 1]!;
        return drawn;
      });
    }
    const taken = new Set<number>();
    while (taken.size < count) taken.add(this.below(list.length));
    return [...taken].map((i) => list[i]!);
  }
}

/** Words of the generator's state. */
const WORDS = 624;
