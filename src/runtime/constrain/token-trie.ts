import type { TokenBytes } from '../../model/token-bytes.ts';
import type { State } from './grammar.ts';

interface Node {
  children: Map<number, Node>;
  /** Tokens that end here. */
  ids: number[];
}

/** A vocabulary by its bytes, so that all tokens that may follow are found without looking at each. */
export class TokenTrie {
  private readonly root: Node = { children: new Map(), ids: [] };
  /** Of grammars' states, as long as those are. */
  private readonly known = new WeakMap<State, Int32Array>();
  private readonly bytes: readonly Uint8Array[];

  constructor({ bytes, special }: TokenBytes) {
    this.bytes = bytes;
    for (const [id, token] of bytes.entries()) {
      if (token.length === 0 || special.has(id)) continue;
      let node = this.root;
      for (const byte of token) {
        const child = node.children.get(byte) ?? { children: new Map(), ids: [] };
        node.children.set(byte, child);
        node = child;
      }
      node.ids.push(id);
    }
  }

  /** Tokens that may follow in this state. */
  allowed(state: State): Int32Array {
    const known = this.known.get(state);
    if (known) return known;
    const ids: number[] = [];
    const walk = (node: Node, at: State) => {
      for (const id of node.ids) ids.push(id);
      for (const [byte, child] of node.children) {
        const next = at.next(byte);
        if (next) walk(child, next);
      }
    };
    walk(this.root, state);
    const allowed = Int32Array.from(ids);
    this.known.set(state, allowed);
    return allowed;
  }

  /** The state after a token; null where it may not follow. */
  after(state: State, id: number): State | null {
    let at: State | null = state;
    for (const byte of this.bytes[id] ?? []) at = at?.next(byte) ?? null;
    return at;
  }
}
