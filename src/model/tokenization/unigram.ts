import { InputError } from '../../util/errors.ts';
import type { JsonObject } from '../json-fields.ts';
import { flagField, listField, wrong } from './component.ts';
import type { Model } from './models.ts';
import { PairMap } from './pair-map.ts';

/** What a character without a token costs more than the least probable token. */
const UNKNOWN_PENALTY = 10;

/** The most probable tokens of a text (Kudo 2018, arXiv:1804.10959), by Viterbi's algorithm. */
export function unigram(json: JsonObject): Model {
  const entries = listField(json, 'vocab', 'model').map((entry, id) => {
    if (!Array.isArray(entry) || typeof entry[0] !== 'string' || typeof entry[1] !== 'number') {
      return wrong(`model.vocab[${id}]`, entry, 'a token and its logarithm of a probability');
    }
    return entry as [string, number];
  });
  const vocabulary = new Map(entries.map(([token], id) => [token, id]));
  const scores = Float64Array.from(entries, ([, score]) => score);
  const unknown = json.unk_id ?? null;
  if (unknown !== null && !(typeof unknown === 'number' && unknown in entries)) {
    return wrong('model.unk_id', unknown, 'an id of the vocabulary');
  }
  const byteFallback = flagField(json, 'byte_fallback', 'model', false);
  const unknownScore =
    scores.reduce((least, score) => Math.min(least, score), Number.POSITIVE_INFINITY) - UNKNOWN_PENALTY;
  const trie = new Trie(entries.map(([token]) => token));

  /** The end of the text's best path before each place, and the token that leads there. */
  const bestPath = (text: string): { starts: Int32Array; ids: Int32Array } => {
    const best = new Float64Array(text.length + 1);
    const starts = new Int32Array(text.length + 1).fill(-1);
    const ids = new Int32Array(text.length + 1);
    const offer = (start: number, end: number, id: number, score: number) => {
      const total = best[start]! + score;
      if (starts[end]! >= 0 && total <= best[end]!) return;
      best[end] = total;
      starts[end] = start;
      ids[end] = id;
    };
    for (let start = 0; start < text.length; ) {
      const width = text.codePointAt(start)! > 0xffff ? 2 : 1;
      let single = false;
      trie.matches(text, start, (end, id) => {
        offer(start, end, id, scores[id]!);
        single ||= end === start + width;
      });
      if (!single) {
        if (unknown === null) {
          throw new InputError(
            `the tokenizer has no token for ${JSON.stringify(text.slice(start, start + width))}, and none for what is unknown`,
          );
        }
        offer(start, start + width, unknown as number, unknownScore);
      }
      start += width;
    }
    return { starts, ids };
  };

  const encoder = new TextEncoder();
  const unknownIds = (text: string): number[] => {
    if (byteFallback) {
      const ids = Array.from(encoder.encode(text), (byte) => vocabulary.get(byteToken(byte)));
      if (!ids.includes(undefined)) return ids as number[];
    }
    return [unknown as number];
  };

  const encode = (text: string): number[] => {
    const { starts, ids } = bestPath(text);
    const reversed: number[] = [];
    for (let end = text.length; end > 0; ) {
      const id = ids[end]!;
      let start = starts[end]!;
      if (id !== unknown) reversed.push(id);
      else {
        // Unknown characters side by side are one token.
        while (start > 0 && ids[start] === unknown) start = starts[start]!;
        const piece = text.slice(start, end);
        const own = vocabulary.get(piece);
        // One at a time: a long run has more ids than a call may have arguments.
        for (const one of own === undefined ? unknownIds(piece).reverse() : [own]) reversed.push(one);
      }
      end = start;
    }
    return reversed.reverse();
  };
  return { vocabulary, encode };
}

export const byteToken = (byte: number) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;

/** The tokens that a text goes on with at a place. */
class Trie {
  /** From a node and a UTF-16 unit to the next node. */
  private readonly next = new PairMap();
  /** By node, the token that ends there. */
  private readonly ids: (number | undefined)[] = [undefined];

  constructor(tokens: string[]) {
    for (const [id, token] of tokens.entries()) {
      let node = 0;
      for (let i = 0; i < token.length; i++) {
        const unit = token.charCodeAt(i);
        let to = this.next.get(node, unit);
        if (to === undefined) {
          to = this.ids.push(undefined) - 1;
          this.next.set(node, unit, to);
        }
        node = to;
      }
      if (node > 0) this.ids[node] = id;
    }
  }

  matches(text: string, start: number, found: (end: number, id: number) => void): void {
    let node: number | undefined = 0;
    for (let at = start; at < text.length; ) {
      node = this.next.get(node, text.charCodeAt(at++));
      if (node === undefined) return;
      const id = this.ids[node];
      if (id !== undefined) found(at, id);
    }
  }
}
