import { InputError } from '../../util/errors.ts';
import type { Constraint } from '../continuation.ts';
import type { Automaton, State } from './grammar.ts';
import type { TokenTrie } from './token-trie.ts';

/** Holds a text to a grammar, token by token. */
export class GrammarConstraint implements Constraint {
  private state: State;

  constructor(
    private readonly trie: TokenTrie,
    { start }: Automaton,
  ) {
    this.state = start;
  }

  mask(logits: Float32Array, ends: ReadonlySet<number>): Float32Array {
    const masked = new Float32Array(logits.length).fill(Number.NEGATIVE_INFINITY);
    const allowed = this.trie.allowed(this.state);
    for (const id of allowed) if (id < logits.length) masked[id] = logits[id]!;
    if (this.state.accepting) for (const id of ends) masked[id] = logits[id]!;
    else if (allowed.length === 0) {
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
