import { InputError } from '../../util/errors.ts';
import type { Constraint } from '../continuation.ts';
import type { Automaton, State } from './automaton.ts';
import type { TokenTrie } from './token-trie.ts';

/** Holds a text to a grammar, token by token. */
export class GrammarConstraint implements Constraint {
  private state: State;
  private masked = new Float32Array(0);

  constructor(
    private readonly trie: TokenTrie,
    private readonly automaton: Automaton,
  ) {
    this.state = automaton.start;
  }

  /** @returns memory that the next call uses again */
  mask(logits: Float32Array, ends: ReadonlySet<number>): Float32Array {
    this.state = this.automaton.renew(this.state);
    const { bits, any } = this.trie.mask(this.state);
    if (this.masked.length !== logits.length) this.masked = new Float32Array(logits.length);
    const { masked } = this;
    for (let id = 0; id < masked.length; id++) {
      masked[id] = (bits[id >> 5]! >>> (id & 31)) & 1 ? logits[id]! : Number.NEGATIVE_INFINITY;
    }
    if (this.state.accepting) for (const id of ends) masked[id] = logits[id]!;
    else if (!any) {
      throw new InputError('no token of the vocabulary can go on with what the format demands');
    }
    return masked;
  }

  push(id: number): void {
    const next = this.trie.after(this.state, id);
    if (!next) throw new Error(`token ${id} does not follow in the grammar`);
    this.state = next;
  }

  get complete(): boolean {
    return this.state.final;
  }
}
