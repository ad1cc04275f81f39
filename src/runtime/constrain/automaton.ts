import { InputError } from '../../util/errors.ts';
import { type Expression, repeat, setOf, splitWords } from './grammar.ts';

/**
 * Reads a text by a grammar: every state knows which bytes may follow. A state is a set of stacks of what is still to
 * come (the stacks of a pushdown automaton that runs all alternatives at once); stacks, and states by their stacks,
 * are made once and kept, so that a text in a loop of the grammar walks over known states. What is kept is bounded, and
 * so is the work for one token, whatever the grammar.
 */

/** What is still to come: an expression, then the rest; null for nothing. */
interface Stack {
  id: number;
  expression: Expression;
  rest: Stack | null;
}

/** What the next byte may be, and what comes after it. */
interface Head {
  set: Uint8Array;
  rest: Stack | null;
}

/** States that are kept between two tokens. */
const MOST_STATES = 4000;
/** Of which looking at one way that a text may go on is one: together about 20 milliseconds. */
const MOST_WORK = 1_000_000;
const STATE_WORK = 40;

export class State {
  /** By byte; undefined where it has not been looked at, null where it cannot follow. */
  private readonly followers: (State | null | undefined)[] = new Array(256);
  /** The same by the heads that a byte fits, for most bytes fit the same. */
  private readonly byHeads = new Map<number, State | null>();

  /** @internal */
  constructor(
    private readonly automaton: Automaton,
    private readonly heads: readonly Head[],
    /** Whether the text may end here. */
    readonly accepting: boolean,
    readonly stacks: readonly (Stack | null)[],
  ) {}

  /** Whether the text has to end here. */
  get final(): boolean {
    return this.heads.length === 0;
  }

  /** The state after a byte; null where it cannot follow. */
  next(byte: number): State | null {
    const known = this.followers[byte];
    return known === undefined ? this.follow(byte) : known;
  }

  private follow(byte: number): State | null {
    const { heads, automaton } = this;
    automaton.spend(heads.length);
    const few = heads.length <= 30;
    let fitting = 0;
    const rests: (Stack | null)[] = [];
    for (let i = 0; i < heads.length; i++) {
      if (heads[i]!.set[byte] === 0) continue;
      fitting |= 1 << i;
      rests.push(heads[i]!.rest);
    }
    let state = few ? this.byHeads.get(fitting) : undefined;
    if (state === undefined) {
      state = rests.length > 0 ? automaton.stateOf(rests) : null;
      if (few) this.byHeads.set(fitting, state);
    }
    this.followers[byte] = state;
    return state;
  }
}

export class Automaton {
  private stacks = new Map<Expression, Map<Stack | null, Stack>>();
  private states = new Map<string, State>();
  private readonly first: Stack;
  private count = 0;
  private left = MOST_WORK;

  constructor(grammar: Expression) {
    this.first = this.stack(grammar, null);
  }

  /** States that are kept. */
  get size(): number {
    return this.states.size;
  }

  get start(): State {
    return this.stateOf([this.first]);
  }

  /**
   * To be called before a token is looked for in this state: lets go of what was kept when that is too much.
   *
   * @returns the state to go on with, the same but for what it knows
   */
  renew(state: State): State {
    this.left = MOST_WORK;
    if (this.states.size > MOST_STATES) {
      this.states = new Map();
      this.stacks = new Map();
    }
    return this.stateOf(state.stacks);
  }

  /** @internal @throws InputError where a token would take too long */
  spend(work: number): void {
    this.left -= work;
    if (this.left < 0) {
      throw new InputError(
        'the format has too many ways to go on here; give it fewer alternatives that begin alike',
      );
    }
  }

  /** @internal */
  stateOf(stacks: readonly (Stack | null)[]): State {
    const unique = stacks.length > 1 ? [...new Set(stacks)] : stacks;
    const ids = unique.map((stack) => stack?.id ?? -1);
    const key = ids.length > 1 ? ids.sort((a, b) => a - b).join() : String(ids[0]);
    const known = this.states.get(key);
    if (known) return known;
    const state = this.make(unique);
    this.states.set(key, state);
    return state;
  }

  private stack(expression: Expression, rest: Stack | null): Stack {
    const byRest = this.stacks.get(expression) ?? new Map<Stack | null, Stack>();
    this.stacks.set(expression, byRest);
    const stack = byRest.get(rest) ?? { id: this.count++, expression, rest };
    byRest.set(rest, stack);
    return stack;
  }

  /** All that may come next; each stack is looked at once, so that rules that begin with themselves end. */
  private make(stacks: readonly (Stack | null)[]): State {
    const heads: Head[] = [];
    const seen = new Set<Stack | null>(stacks);
    const pending = [...stacks].reverse();
    const add = (stack: Stack | null) => {
      if (seen.has(stack)) return;
      seen.add(stack);
      pending.push(stack);
    };
    for (let stack = pending.pop(); stack !== undefined; stack = pending.pop()) {
      if (stack !== null) this.expand(stack, heads, add);
    }
    this.spend(STATE_WORK + 25 * seen.size);
    return new State(this, heads, seen.has(null), stacks);
  }

  private expand({ expression, rest }: Stack, heads: Head[], add: (stack: Stack | null) => void): void {
    switch (expression.kind) {
      case 'bytes':
        heads.push({ set: expression.set, rest });
        return;
      case 'sequence': {
        let after = rest;
        for (let i = expression.parts.length - 1; i >= 0; i--)
          after = this.stack(expression.parts[i]!, after);
        add(after);
        return;
      }
      case 'choice':
        this.spend(expression.parts.length);
        for (let i = expression.parts.length - 1; i >= 0; i--) add(this.stack(expression.parts[i]!, rest));
        return;
      case 'rule':
        expression.made ??= expression.make();
        add(this.stack(expression.made, rest));
        return;
      case 'words': {
        const { ended, after } = splitWords(expression);
        for (const then of ended) add(this.stack(then, rest));
        for (const [byte, words] of after) heads.push({ set: setOf(byte), rest: this.stack(words, rest) });
        return;
      }
      case 'repeat': {
        const { part, min, max } = expression;
        if (min === 0) add(rest);
        if (max === 0) return;
        expression.less ??=
          max === Number.POSITIVE_INFINITY && min === 0
            ? expression
            : repeat(part, Math.max(0, min - 1), max - 1);
        add(this.stack(part, this.stack(expression.less, rest)));
      }
    }
  }
}
