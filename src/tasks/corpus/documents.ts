import { hash } from 'node:crypto';

/** Documents by their content: which side of a division they are on, and whether two are the same. */

/** A document without what makes no difference to a reader: white space counts as one space, and not at its ends. */
export function plainly(text: string): string {
  return text.trim().replace(/\s+/g, ' ');
}

const BITS = 48;

/** A number from 0 to 2^48 by the content, as plainly gives it. */
export function fingerprint(content: string): number {
  return hash('sha1', content, 'buffer').readUIntBE(0, BITS / 8);
}

/**
 * Whether a document belongs to the share that is held out: by its content alone, so that the same document is on the same
 * side wherever it stands and however often.
 */
export function isHeldOut(text: string, share: number): boolean {
  const content = plainly(text);
  return content !== '' && fingerprint(content) < share * 2 ** BITS;
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
