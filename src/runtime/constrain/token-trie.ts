import type { TokenBytes } from '../../model/token-bytes.ts';
import type { State } from './automaton.ts';

/** Masks that are kept, the most recently used ones. */
const KEPT = 256;

/** A bit for each token that may follow. */
export interface Mask {
  bits: Uint32Array;
  /** Whether any may. */
  any: boolean;
}

/**
 * A vocabulary by its bytes, so that all tokens that may follow are found without looking at each. Nodes lie in one row,
 * each before those below it.
 */
export class TokenTrie {
  /** By node: its byte, how deep it lies, the node after all that lie below it, and which of `ids` end there. */
  private readonly byte: Uint8Array;
  private readonly depth: Uint16Array;
  private readonly end: Int32Array;
  private readonly first: Int32Array;
  private readonly last: Int32Array;
  private readonly ids: Int32Array;
  private readonly nodes: number;
  private readonly known = new Map<State, Mask>();
  private readonly bytes: readonly Uint8Array[];

  constructor({ bytes, special }: TokenBytes) {
    this.bytes = bytes;
    const byText = new Map<string, number[]>();
    let most = 0;
    for (const [id, token] of bytes.entries()) {
      if (token.length === 0 || token.length >= 1 << 16 || special.has(id)) continue;
      const text = String.fromCharCode(...token);
      const same = byText.get(text);
      if (same) same.push(id);
      else byText.set(text, [id]);
      most += token.length;
    }
    const texts = [...byText.keys()].sort();
    this.byte = new Uint8Array(most);
    this.depth = new Uint16Array(most);
    this.end = new Int32Array(most);
    this.first = new Int32Array(most);
    this.last = new Int32Array(most);
    this.ids = Int32Array.from(texts.flatMap((text) => byText.get(text)!));
    let nodes = 0;
    /** The nodes that the last word went through. */
    const path: number[] = [];
    let before = '';
    let at = 0;
    for (const text of texts) {
      let alike = 0;
      while (alike < before.length && alike < text.length && before[alike] === text[alike]) alike++;
      while (path.length > alike) this.end[path.pop()!] = nodes;
      for (let i = alike; i < text.length; i++) {
        this.byte[nodes] = text.charCodeAt(i);
        this.depth[nodes] = i;
        this.first[nodes] = at;
        this.last[nodes] = at;
        path.push(nodes++);
      }
      at += byText.get(text)!.length;
      this.last[path.at(-1)!] = at;
      before = text;
    }
    for (const node of path) this.end[node] = nodes;
    this.nodes = nodes;
  }

  /** Tokens that may follow in this state. */
  mask(state: State): Mask {
    const mask = this.known.get(state) ?? this.find(state);
    this.known.delete(state);
    this.known.set(state, mask);
    if (this.known.size > KEPT) this.known.delete(this.known.keys().next().value!);
    return mask;
  }

  private find(start: State): Mask {
    const { byte, depth, end, first, last, ids, nodes } = this;
    const bits = new Uint32Array((this.bytes.length + 31) >> 5);
    let any = false;
    const path: State[] = [start];
    for (let node = 0; node < nodes; ) {
      const at = depth[node]!;
      const next = path[at]!.next(byte[node]!);
      if (!next) {
        node = end[node]!;
        continue;
      }
      path[at + 1] = next;
      for (let i = first[node]!; i < last[node]!; i++) {
        const id = ids[i]!;
        bits[id >> 5]! |= 1 << (id & 31);
        any = true;
      }
      node++;
    }
    return { bits, any };
  }

  /** The state after a token; null where it may not follow. */
  after(state: State, id: number): State | null {
    let at: State | null = state;
    for (const byte of this.bytes[id] ?? []) at = at?.next(byte) ?? null;
    return at;
  }
}
