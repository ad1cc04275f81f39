/** Documents by their content: which side of a division they are on, and whether two are the same. */

/** A document without what makes no difference to a reader: white space counts as one space, and not at its ends. */
export function plainly(text: string): string {
  return text.trim().replace(/\s+/g, ' ');
}

const BITS = 53;

/**
 * A number below 2^53 by what `plainly` gives; undefined where that has fewer than `least` characters. As fast as it is,
 * since every document of 50 GB has one: two FNV-1a hashes of 32 bits with other factors, the bits mixed at the end as
 * MurmurHash3 does it.
 */
export function fingerprint(text: string, least = 1): number | undefined {
  let [one, other] = [0x811c9dc5, 0x9747b28c];
  let [length, space] = [0, false];
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if ((code < 33 || code > 127) && isSpace(code)) {
      space = length > 0;
      continue;
    }
    if (space) {
      one = Math.imul(one ^ 32, 0x01000193);
      other = Math.imul(other ^ 32, 0x5bd1e995);
      other ^= other >>> 15;
      length++;
      space = false;
    }
    one = Math.imul(one ^ code, 0x01000193);
    other = Math.imul(other ^ code, 0x5bd1e995);
    other ^= other >>> 15;
    length++;
  }
  return length < least ? undefined : mixed(one) * 2 ** (BITS - 32) + (mixed(other) >>> (64 - BITS));
}

/** What `\s` is in a pattern. */
function isSpace(code: number): boolean {
  if (code < 33) return code === 32 || (code <= 13 && code >= 9);
  return code === 0xa0 || code === 0xfeff || (code >= 0x1680 && SPACES.has(code));
}

const SPACES = new Set([
  ...[0x1680, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000],
  ...Array.from({ length: 11 }, (_, i) => 0x2000 + i),
]);

function mixed(hash: number): number {
  const half = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  const whole = Math.imul(half ^ (half >>> 13), 0xc2b2ae35);
  return (whole ^ (whole >>> 16)) >>> 0;
}

/**
 * What a document is for: most are trained on; of those that are held out, choices are made on one half, and what was
 * chosen is compared and reported on the other.
 */
export type SideName = 'training' | 'choosing' | 'reporting';

/**
 * The side that a document is on: by its content alone, so that the same document is on the same side wherever it stands
 * and however often.
 *
 * @param share of documents that are held out; none is where it is not given
 */
export function sideOf(text: string, share: number | undefined): SideName {
  const print = share === undefined ? undefined : fingerprint(text);
  if (print === undefined || print >= share! * 2 ** BITS) return 'training';
  return print < share! * 2 ** (BITS - 1) ? 'choosing' : 'reporting';
}

/** Fingerprints of documents, eight bytes for each. */
export class Fingerprints {
  private values = new Float64Array(1 << 10);
  private count = 0;

  add(value: number): void {
    if (this.count === this.values.length) {
      const wider = new Float64Array(2 * this.count);
      wider.set(this.values);
      this.values = wider;
    }
    this.values[this.count++] = value;
  }

  /** Whether one was added; to be asked when all were. */
  sealed(): (value: number) => boolean {
    const sorted = this.values.subarray(0, this.count).sort();
    return (value) => {
      let [low, high] = [0, sorted.length];
      while (low < high) {
        const middle = (low + high) >> 1;
        if (sorted[middle]! < value) low = middle + 1;
        else high = middle;
      }
      return sorted[low] === value;
    };
  }
}
