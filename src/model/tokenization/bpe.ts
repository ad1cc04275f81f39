import { InputError } from '../../util/errors.ts';
import type { JsonObject } from '../json-fields.ts';
import { flagField, listField, textField, wrong } from './component.ts';
import type { Model } from './models.ts';
import { PairMap } from './pair-map.ts';
import { byteToken } from './unigram.ts';

/** Words whose tokens are kept. */
const CACHED = 20_000;
const LONGEST_CACHED = 64;

/** Byte-pair encoding (Sennrich et al. 2016, arXiv:1508.07909): the pair that was learnt first is merged first. */
export function bpe(json: JsonObject, vocabulary: Map<string, number>): Model {
  if (json.dropout) wrong('model.dropout', json.dropout, 'none: a text has one encoding here');
  const prefix = textField(json, 'continuing_subword_prefix', 'model', '');
  const suffix = textField(json, 'end_of_word_suffix', 'model', '');
  const unknownToken = textField(json, 'unk_token', 'model', '');
  const fuseUnknown = flagField(json, 'fuse_unk', 'model', false);
  const byteFallback = flagField(json, 'byte_fallback', 'model', false);
  const ignoreMerges = flagField(json, 'ignore_merges', 'model', false);
  const hasUnknown = unknownToken !== '';
  const unknown = vocabulary.get(unknownToken);
  const merges = new Merges(json, vocabulary, prefix);
  const encoder = new TextEncoder();
  const known = new Map<string, readonly number[]>();

  /** The ids of the characters, before any merge. */
  const characters = (word: string): number[] => {
    const ids: number[] = [];
    let pending = false;
    const flush = () => {
      if (!pending) return;
      if (unknown === undefined) {
        throw new InputError(
          `model.unk_token '${unknownToken}' is not in the vocabulary, and the text needs it`,
        );
      }
      ids.push(unknown);
      pending = false;
    };
    for (let start = 0; start < word.length; ) {
      const end = start + (word.codePointAt(start)! > 0xffff ? 2 : 1);
      let character = word.slice(start, end);
      if (start > 0) character = prefix + character;
      if (end === word.length) character += suffix;
      start = end;
      const id = vocabulary.get(character);
      if (id !== undefined) {
        flush();
        ids.push(id);
        continue;
      }
      if (byteFallback) {
        const bytes = Array.from(encoder.encode(character), (byte) => vocabulary.get(byteToken(byte)));
        if (!bytes.includes(undefined)) {
          ids.push(...(bytes as number[]));
          continue;
        }
      }
      if (!hasUnknown) continue;
      if (!fuseUnknown) flush();
      pending = true;
    }
    flush();
    return ids;
  };

  const encode = (word: string): readonly number[] => {
    if (ignoreMerges) {
      const whole = vocabulary.get(word);
      if (whole !== undefined) return [whole];
    }
    const cached = known.get(word);
    if (cached) return cached;
    const ids = merges.apply(characters(word));
    if (word.length <= LONGEST_CACHED) {
      if (known.size >= CACHED) known.clear();
      known.set(word, ids);
    }
    return ids;
  };
  return { vocabulary, encode };
}

class Merges {
  /** From a pair of ids to its rank. */
  private readonly ranks = new PairMap();
  /** By rank, the id of the token that a pair becomes. */
  private readonly made: Int32Array;

  constructor(json: JsonObject, vocabulary: Map<string, number>, prefix: string) {
    const merges = listField(json, 'merges', 'model');
    this.made = new Int32Array(merges.length);
    for (const [rank, merge] of merges.entries()) {
      const pair = typeof merge === 'string' ? merge.split(' ') : merge;
      if (
        !Array.isArray(pair) ||
        pair.length !== 2 ||
        typeof pair[0] !== 'string' ||
        typeof pair[1] !== 'string'
      ) {
        wrong(`model.merges[${rank}]`, merge, 'two tokens');
      }
      const [left, right] = pair as [string, string];
      const [a, b] = [vocabulary.get(left), vocabulary.get(right)];
      // A merge of what is no token never comes up; some GGUF files have such.
      if (a === undefined || b === undefined) continue;
      const made = vocabulary.get(left + right.slice(prefix.length));
      if (made === undefined) {
        wrong(`model.merges[${rank}]`, merge, 'two tokens that are one in the vocabulary too');
      }
      this.made[rank] = made;
      // Of a pair that is there twice, the last counts.
      this.ranks.set(a, b, rank);
    }
  }

  private rank = (left: number, right: number) => this.ranks.get(left, right);

  apply(ids: number[]): readonly number[] {
    return ids.length < 32 ? this.applyToShort(ids) : this.applyToLong(ids);
  }

  /** Looks for the least rank again after each merge. */
  private applyToShort(ids: number[]): readonly number[] {
    const ranks = ids.map((id, i) =>
      i + 1 < ids.length ? (this.rank(id, ids[i + 1]!) ?? Infinity) : Infinity,
    );
    for (;;) {
      let at = -1;
      let least = Number.POSITIVE_INFINITY;
      for (let i = 0; i + 1 < ids.length; i++) {
        if (ranks[i]! < least) {
          least = ranks[i]!;
          at = i;
        }
      }
      if (at < 0) return ids;
      ids[at] = this.made[least]!;
      ids.splice(at + 1, 1);
      ranks.splice(at + 1, 1);
      ranks[at] = at + 1 < ids.length ? (this.rank(ids[at]!, ids[at + 1]!) ?? Infinity) : Infinity;
      if (at > 0) ranks[at - 1] = this.rank(ids[at - 1]!, ids[at]!) ?? Infinity;
    }
  }

  /** Keeps the ranks in a heap and the tokens in a linked list, so that the work grows as n log n. */
  private applyToLong(ids: number[]): readonly number[] {
    const n = ids.length;
    const next = Int32Array.from(ids, (_, i) => i + 1);
    const previous = Int32Array.from(ids, (_, i) => i - 1);
    const gone = new Uint8Array(n);
    const heap = new Heap();
    const offer = (left: number) => {
      if (left < 0 || next[left]! >= n) return;
      const rank = this.rank(ids[left]!, ids[next[left]!]!);
      if (rank !== undefined) heap.push(rank * n + left);
    };
    for (let i = 0; i + 1 < n; i++) offer(i);
    for (let entry = heap.pop(); entry !== undefined; entry = heap.pop()) {
      const at = entry % n;
      const rank = (entry - at) / n;
      const right = next[at]!;
      if (gone[at] || right >= n || this.rank(ids[at]!, ids[right]!) !== rank) continue;
      ids[at] = this.made[rank]!;
      gone[right] = 1;
      next[at] = next[right]!;
      if (next[at]! < n) previous[next[at]!] = at;
      offer(previous[at]!);
      offer(at);
    }
    return ids.filter((_, i) => !gone[i]);
  }
}

/** The least number first. */
class Heap {
  private readonly items: number[] = [];

  push(item: number): void {
    const { items } = this;
    let at = items.push(item) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (items[parent]! <= item) break;
      items[at] = items[parent]!;
      at = parent;
    }
    items[at] = item;
  }

  pop(): number | undefined {
    const { items } = this;
    const least = items[0];
    const last = items.pop();
    if (last === undefined || items.length === 0) return least;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && items[child + 1]! < items[child]!) child++;
      if (items[child]! >= last) break;
      items[at] = items[child]!;
      at = child;
    }
    items[at] = last;
    return least;
  }
}
