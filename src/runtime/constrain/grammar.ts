/**
 * Context-free grammars over bytes, and the automaton that reads a text by one: every state knows which bytes may
 * follow. A state is a set of stacks of what is still to come (the stacks of a pushdown automaton that runs all
 * alternatives at once); stacks, and states by their stacks, are made once and kept, so that a text in a loop of the
 * grammar walks over known states.
 */

export type Expression =
  | { kind: 'bytes'; set: Uint8Array }
  | { kind: 'sequence'; parts: readonly Expression[] }
  | { kind: 'choice'; parts: readonly Expression[] }
  | { kind: 'repeat'; part: Expression; min: number; max: number; less?: Expression }
  | { kind: 'rule'; make: () => Expression; made?: Expression };

/** One byte of these ranges, ends included. */
export function byteIn(...ranges: readonly (readonly [number, number])[]): Expression {
  const set = new Uint8Array(256);
  for (const [from, to] of ranges) set.fill(1, from, to + 1);
  return { kind: 'bytes', set };
}

/** One of these ASCII characters. */
export const oneOf = (characters: string): Expression =>
  byteIn(...Array.from(characters, (c) => [c.charCodeAt(0), c.charCodeAt(0)] as const));

/** This very text. */
export const literal = (text: string): Expression =>
  sequence(...Array.from(new TextEncoder().encode(text), (byte) => byteIn([byte, byte])));

export const sequence = (...parts: Expression[]): Expression => ({ kind: 'sequence', parts });

export const choice = (...parts: Expression[]): Expression => ({ kind: 'choice', parts });

export const optional = (part: Expression): Expression => repeat(part, 0, 1);

/** @param part must not match an empty text */
export const repeat = (part: Expression, min = 0, max = Number.POSITIVE_INFINITY): Expression => ({
  ...{ kind: 'repeat', part, min, max },
});

/** An expression that is made when it is first needed, for those that contain themselves. */
export const rule = (make: () => Expression): Expression => ({ kind: 'rule', make });

/** What is still to come: an expression, then the rest; null for nothing. */
interface Stack {
  id: number;
  expression: Expression;
  rest: Stack | null;
  /** What the next byte may be, and what comes after it. */
  heads?: readonly Head[];
}

/** null: the text may end here. */
type Head = { set: Uint8Array; rest: Stack | null } | null;

export class State {
  /** By byte; undefined where it has not been looked at, null where it cannot follow. */
  private readonly followers: (State | null | undefined)[] = new Array(256);

  /** @internal */
  constructor(
    private readonly automaton: Automaton,
    private readonly heads: readonly Head[],
  ) {}

  /** Whether the text may end here. */
  get accepting(): boolean {
    return this.heads.includes(null);
  }

  /** Whether the text has to end here. */
  get final(): boolean {
    return this.heads.every((head) => head === null);
  }

  /** The state after a byte; null where it cannot follow. */
  next(byte: number): State | null {
    let known = this.followers[byte];
    if (known === undefined) {
      const rests = this.heads.flatMap((head) => (head?.set[byte] ? [head.rest] : []));
      known = rests.length > 0 ? this.automaton.stateOf(rests) : null;
      this.followers[byte] = known;
    }
    return known;
  }
}

export class Automaton {
  readonly start: State;
  private readonly stacks = new Map<Expression, Map<Stack | null, Stack>>();
  private readonly states = new Map<string, State>();
  private count = 0;

  constructor(grammar: Expression) {
    this.start = this.stateOf([this.stack(grammar, null)]);
  }

  /** @internal */
  stateOf(stacks: readonly (Stack | null)[]): State {
    const unique = [...new Set(stacks)];
    const key = unique
      .map((stack) => stack?.id ?? -1)
      .sort((a, b) => a - b)
      .join();
    const known = this.states.get(key);
    if (known) return known;
    const state = new State(this, [...new Set(unique.flatMap((stack) => this.heads(stack)))]);
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

  private heads(stack: Stack | null): readonly Head[] {
    if (stack === null) return [null];
    stack.heads ??= this.expand(stack.expression, stack.rest);
    return stack.heads;
  }

  private expand(expression: Expression, rest: Stack | null): readonly Head[] {
    const push = (part: Expression) => this.heads(this.stack(part, rest));
    switch (expression.kind) {
      case 'bytes':
        return [{ set: expression.set, rest }];
      case 'sequence': {
        const all = expression.parts.reduceRight<Stack | null>(
          (after, part) => this.stack(part, after),
          rest,
        );
        return this.heads(all);
      }
      case 'choice':
        return expression.parts.flatMap(push);
      case 'rule':
        expression.made ??= expression.make();
        return push(expression.made);
      case 'repeat': {
        const { part, min, max } = expression;
        if (max === 0) return this.heads(rest);
        expression.less ??=
          max === Number.POSITIVE_INFINITY && min === 0
            ? expression
            : repeat(part, Math.max(0, min - 1), max - 1);
        const once = this.heads(this.stack(part, this.stack(expression.less, rest)));
        return min > 0 ? once : [...this.heads(rest), ...once];
      }
    }
  }
}
