/**
 * From pairs of whole numbers of at least 0 to whole numbers, in flat memory: a Map has a number of 64 bits to itself
 * for each pair, which takes three times as long for the merges of a tokenizer.
 */
export class PairMap {
  /** Triples of a pair and its value; a first of -1 is free. */
  private slots = new Int32Array(3 * 1024).fill(-1);
  private mask = 1023;
  private size = 0;

  get(a: number, b: number): number | undefined {
    const { slots } = this;
    for (let at = this.hash(a, b); ; at = (at + 1) & this.mask) {
      const first = slots[3 * at]!;
      if (first === a && slots[3 * at + 1] === b) return slots[3 * at + 2]!;
      if (first < 0) return undefined;
    }
  }

  set(a: number, b: number, value: number): void {
    if (2 * ++this.size > this.mask) this.grow();
    const { slots } = this;
    let at = this.hash(a, b);
    while (slots[3 * at]! >= 0 && !(slots[3 * at] === a && slots[3 * at + 1] === b))
      at = (at + 1) & this.mask;
    slots[3 * at] = a;
    slots[3 * at + 1] = b;
    slots[3 * at + 2] = value;
  }

  private hash(a: number, b: number): number {
    const mixed = Math.imul(a, 0x9e3779b1) ^ Math.imul(b, 0x85ebca6b);
    return (Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d) >>> 7) & this.mask;
  }

  private grow(): void {
    const { slots } = this;
    this.mask = 2 * this.mask + 1;
    this.slots = new Int32Array(3 * (this.mask + 1)).fill(-1);
    this.size = 1;
    for (let i = 0; i < slots.length; i += 3) {
      if (slots[i]! >= 0) this.set(slots[i]!, slots[i + 1]!, slots[i + 2]!);
    }
  }
}
