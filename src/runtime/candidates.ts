import { InputError } from '../util/errors.ts';

/**
 * The tokens that are left to draw from while one filter after the other removes some. Only those are looked at again:
 * nothing as long as the vocabulary is sorted or allocated for a token. The memory is shared by all samplers, each of
 * which is done with it when it returns.
 */

let changed = new Float64Array(0);
/** Tokens that are left, by ascending id. */
let ids = new Int32Array(0);
/** Of the tokens that are left, not normalised: the most probable one has 1. */
let weights = new Float64Array(0);
let sorted = new Float64Array(0);
/** In float32, to be told apart by their leading bits. */
let rounded = new Float32Array(0);
let bits = new Uint32Array(0);

/** Of those bits: the sign, which is 0, 8 of the exponent and 6 of the fraction. */
const LEADING = 15;
const masses = new Float64Array(1 << (LEADING - 1));

export class Candidates {
  private readonly vocabulary: number;
  /** The logits themselves while none is changed. */
  private scores: Float32Array | Float64Array;
  /** Of `ids`; all tokens while it is as many. */
  private count: number;
  /** Of all weights. */
  private total = 0;

  constructor(logits: Float32Array) {
    this.vocabulary = logits.length;
    this.count = logits.length;
    this.scores = logits;
    if (ids.length < logits.length) {
      changed = new Float64Array(logits.length);
      ids = new Int32Array(logits.length);
      weights = new Float64Array(logits.length);
      sorted = new Float64Array(logits.length);
      rounded = new Float32Array(logits.length);
      bits = new Uint32Array(rounded.buffer);
    }
  }

  /** Of a token of the vocabulary, whose logit stays a number that float64 holds. */
  change(id: number, to: (score: number) => number): void {
    if (id >= this.vocabulary) return;
    if (this.scores !== changed) {
      changed.set(this.scores);
      this.scores = changed;
    }
    changed[id] = Math.min(to(changed[id]!), Number.MAX_VALUE);
  }

  /**
   * The first of the most probable tokens.
   *
   * @throws Error where there is none
   */
  best(): number {
    const { scores } = this;
    let best = 0;
    let largest = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < this.vocabulary; i++) {
      const x = scores[i]!;
      if (x <= largest) continue;
      if (Number.isNaN(x)) throw new Error(`the logit of token ${i} is not a number`);
      best = i;
      largest = x;
    }
    if (largest === Number.POSITIVE_INFINITY) throw new Error(`the logit of token ${best} is infinite`);
    if (largest === Number.NEGATIVE_INFINITY) {
      throw new InputError('no token is left to choose from: the logit of each is -Infinity');
    }
    return best;
  }

  /** The k largest, and whatever is as large as the smallest of them. */
  topK(k: number): void {
    if (k >= this.vocabulary) return;
    const { scores } = this;
    const least = this.kthLargest(k);
    let left = 0;
    for (let i = 0; i < this.vocabulary; i++) if (scores[i]! >= least) ids[left++] = i;
    this.count = left;
  }

  /** Probabilities at this temperature, relative to that of the best. */
  weigh(best: number, temperature: number): void {
    const { scores } = this;
    const largest = scores[best]!;
    let total = 0;
    let left = 0;
    const all = this.count === this.vocabulary;
    for (let i = 0; i < this.count; i++) {
      const id = all ? i : ids[i]!;
      // The difference first: no temperature, however small, makes two infinities of it.
      const weight = Math.exp((scores[id]! - largest) / temperature);
      if (weight === 0) continue;
      ids[left] = id;
      weights[left++] = weight;
      total += weight;
    }
    this.count = left;
    this.total = total;
  }

  /**
   * The fewest of the most probable tokens that together have at least this probability; of equal ones, those with
   * smaller ids first.
   */
  topP(p: number): void {
    const { count } = this;
    const enough = p * this.total;
    // By their leading bits: those of the last group that is needed are all that has to be sorted.
    for (let i = 0; i < count; i++) rounded[i] = weights[i]!;
    masses.fill(0);
    for (let i = 0; i < count; i++) masses[bits[i]! >>> (32 - LEADING)]! += weights[i]!;
    let group = masses.length - 1;
    let above = 0;
    while (group > 0 && above + masses[group]! < enough) above += masses[group--]!;
    let length = 0;
    for (let i = 0; i < count; i++) {
      if (bits[i]! >>> (32 - LEADING) === group) sorted[length++] = weights[i]!;
    }
    const ascending = sorted.subarray(0, length).sort();
    let at = length;
    while (at > 0 && above < enough) above += ascending[--at]!;
    const least = ascending[at] ?? 0;
    let equal = 0;
    while (at + equal < length && ascending[at + equal] === least) equal++;
    this.keep((weight) => weight > least || (weight === least && equal-- > 0));
  }

  /** Tokens at least so probable as this share of the most probable one. */
  minP(share: number): void {
    this.keep((weight) => weight >= share);
  }

  /** @param uniform in [0, 1) */
  draw(uniform: number): number {
    let left = uniform * this.total;
    for (let i = 0; i < this.count; i++) {
      left -= weights[i]!;
      if (left < 0) return ids[i]!;
    }
    return ids[this.count - 1]!;
  }

  private keep(fits: (weight: number) => boolean): void {
    let left = 0;
    let total = 0;
    for (let i = 0; i < this.count; i++) {
      const weight = weights[i]!;
      if (!fits(weight)) continue;
      ids[left] = ids[i]!;
      weights[left++] = weight;
      total += weight;
    }
    this.count = left;
    this.total = total;
  }

  /** By a heap of the k largest so far, the smallest first; of many, by sorting. */
  private kthLargest(k: number): number {
    const { scores, vocabulary: n } = this;
    if (k > n / 64) {
      sorted.set(scores.subarray(0, n));
      return sorted.subarray(0, n).sort()[n - k]!;
    }
    const heap = sorted;
    for (let i = 0; i < k; i++) heap[i] = scores[i]!;
    for (let i = k >> 1; i >= 0; i--) sink(heap, i, k);
    for (let i = k; i < n; i++) {
      if (scores[i]! <= heap[0]!) continue;
      heap[0] = scores[i]!;
      sink(heap, 0, k);
    }
    return heap[0]!;
  }
}

function sink(heap: Float64Array, at: number, length: number): void {
  const value = heap[at]!;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= length) break;
    if (child + 1 < length && heap[child + 1]! < heap[child]!) child++;
    if (heap[child]! >= value) break;
    heap[at] = heap[child]!;
    at = child;
  }
  heap[at] = value;
}
