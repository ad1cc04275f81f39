import { InputError } from '../../util/errors.ts';
import type { Pace } from '../../util/pace.ts';
import { ANY, type Characters, has, union } from './characters.ts';
import { choice, type Expression, rule, sequence } from './grammar.ts';

/**
 * Regular languages with intersection and complement, by derivatives (Brzozowski 1964): what may follow a character is
 * again a regular expression, equal ones are one object, so that all that can be reached are the states of an automaton.
 */

export type Regular = { id: number; nullable: boolean; after: Map<number, Regular> } & (
  | { kind: 'none' | 'empty' }
  | { kind: 'one'; characters: Characters }
  | { kind: 'sequence'; first: Regular; rest: Regular }
  | { kind: 'any' | 'all'; parts: readonly Regular[] }
  | { kind: 'not'; part: Regular }
  | { kind: 'repeat'; part: Regular; min: number; max: number }
  | { kind: 'words'; words: Words }
  | { kind: 'multiple'; of: Multiple }
);

/** Texts by their characters. */
interface Words {
  ends: boolean;
  after: Map<number, Words>;
}

/** Digits that, read as one number, leave this rest. */
interface Multiple {
  divisor: number;
  /** Digits after the point that are read with the others. */
  decimals: number;
  rest: number;
  /** Digits read after the point; -1 before it. */
  read: number;
}

/** An automaton of a language, from which every state leads to an end. Its first state is the first of the list. */
export type States = readonly {
  accepting: boolean;
  edges: readonly { characters: Characters; to: number }[];
}[];

const MOST_STATES = 10_000;
/** Sets of characters of one language. */
const MOST_SETS = 1000;
/** Work is counted in expressions looked at. One derivative at most, which is done at a stretch: some milliseconds. */
const MOST_WORK = 40_000;
const MOST_WORK_OF_LANGUAGE = 2_000_000;
const MOST_WORK_OF_SCHEMA = 6_000_000;
/** Derivatives within derivatives. */
const DEEPEST = 1500;

/** What may still be spent on a schema. */
export class Effort {
  private left = MOST_WORK_OF_SCHEMA;

  /** @throws InputError where a schema takes too long */
  spend(work: number): void {
    this.left -= work;
    if (this.left < 0) {
      throw new InputError('the patterns and bounds of the schema take too many states together');
    }
  }
}

/** Thrown for a language with too many states. */
export class TooLarge extends InputError {
  override name = 'TooLarge';
  constructor() {
    super('it takes too many states');
  }
}

export class Languages {
  private readonly known = new Map<string, Regular>();
  private count = 0;
  /** Since the last stretch began, and before it. */
  private work = 0;
  private workBefore = 0;
  private depth = 0;
  private readonly sets: Characters[] = [];
  private readonly setIds = new Map<string, number>();
  private readonly wordIds = new Map<Words, number>();
  readonly none = this.make('none', { kind: 'none' }, false);
  readonly empty = this.make('empty', { kind: 'empty' }, true);
  readonly anything: Regular;

  constructor(private readonly effort = new Effort()) {
    this.anything = this.repeat(this.one(ANY));
  }

  /** @throws TooLarge where that is too much */
  spend(work: number): void {
    this.work += work;
    if (this.work > MOST_WORK) throw new TooLarge();
  }

  one(ranges: Characters): Regular {
    const characters = union(ranges);
    if (characters.length === 0) return this.none;
    const key = characters.join(';');
    const id = this.setIds.get(key) ?? this.sets.push(characters) - 1;
    if (this.sets.length > MOST_SETS) throw new TooLarge();
    this.setIds.set(key, id);
    return this.make(`one ${id}`, { kind: 'one', characters }, false);
  }

  sequence(...parts: readonly Regular[]): Regular {
    // To the right, so that equal ones are found to be equal.
    const all: Regular[] = [];
    for (const part of parts) {
      let at = part;
      for (; at.kind === 'sequence'; at = at.rest) all.push(at.first);
      all.push(at);
    }
    this.spend(all.length);
    return all.reduceRight((rest, first) => {
      if (first === this.none || rest === this.none) return this.none;
      if (first === this.empty) return rest;
      if (rest === this.empty) return first;
      const nullable = first.nullable && rest.nullable;
      return this.make(`sequence ${first.id} ${rest.id}`, { kind: 'sequence', first, rest }, nullable);
    }, this.empty);
  }

  any(...parts: readonly Regular[]): Regular {
    const flat = parts.flatMap((part) => (part.kind === 'any' ? part.parts : [part]));
    this.spend(flat.length);
    const unique = [...new Set(flat)].filter((part) => part !== this.none).sort((a, b) => a.id - b.id);
    if (unique.includes(this.anything)) return this.anything;
    if (unique.length <= 1) return unique[0] ?? this.none;
    const key = `any ${unique.map(({ id }) => id).join()}`;
    return this.make(
      key,
      { kind: 'any', parts: unique },
      unique.some(({ nullable }) => nullable),
    );
  }

  all(...parts: readonly Regular[]): Regular {
    const flat = parts.flatMap((part) => (part.kind === 'all' ? part.parts : [part]));
    this.spend(flat.length);
    const unique = [...new Set(flat)].filter((part) => part !== this.anything).sort((a, b) => a.id - b.id);
    if (unique.includes(this.none)) return this.none;
    if (unique.length <= 1) return unique[0] ?? this.anything;
    const key = `all ${unique.map(({ id }) => id).join()}`;
    return this.make(
      key,
      { kind: 'all', parts: unique },
      unique.every(({ nullable }) => nullable),
    );
  }

  not(part: Regular): Regular {
    if (part.kind === 'not') return part.part;
    if (part === this.none) return this.anything;
    if (part === this.anything) return this.none;
    return this.make(`not ${part.id}`, { kind: 'not', part }, !part.nullable);
  }

  repeat(part: Regular, min = 0, max = Number.POSITIVE_INFINITY): Regular {
    if (max === 0 || part === this.empty) return this.empty;
    if (part === this.none) return min === 0 ? this.empty : this.none;
    if (min === 1 && max === 1) return part;
    const least = part.nullable ? 0 : min;
    return this.make(
      `repeat ${part.id} ${least} ${max}`,
      { kind: 'repeat', part, min: least, max },
      least === 0,
    );
  }

  /** These very texts. */
  words(texts: Iterable<string>): Regular {
    const root: Words = { ends: false, after: new Map() };
    let states = 0;
    for (const text of texts) {
      let at = root;
      for (const character of text) {
        const code = character.codePointAt(0)!;
        let next = at.after.get(code);
        if (!next) {
          if (++states > MOST_STATES) throw new TooLarge();
          next = { ends: false, after: new Map() };
          at.after.set(code, next);
        }
        at = next;
      }
      at.ends = true;
    }
    for (const character of new Set(Array.from(texts).join(''))) this.text(character);
    return this.wordsFrom(root);
  }

  text(text: string): Regular {
    return this.sequence(...Array.from(text, (c) => this.one([[c.codePointAt(0)!, c.codePointAt(0)!]])));
  }

  /** Digits, with a point or without, that are a multiple of divisor / 10^decimals. */
  multiple(divisor: number, decimals: number): Regular {
    for (const c of '.0123456789') this.text(c);
    return this.multipleFrom({ divisor, decimals, rest: 0, read: -1 });
  }

  private multipleFrom(of: Multiple): Regular {
    const missing = of.decimals - Math.max(0, of.read);
    const nullable = (of.rest * 10 ** missing) % of.divisor === 0;
    return this.make(`multiple ${Object.values(of).join()}`, { kind: 'multiple', of }, nullable);
  }

  private wordsFrom(words: Words): Regular {
    const id = this.wordIds.get(words) ?? this.wordIds.size;
    this.wordIds.set(words, id);
    return this.make(`words ${id}`, { kind: 'words', words }, words.ends);
  }

  private make<T extends object>(key: string, fields: T, nullable: boolean): Regular {
    const known = this.known.get(key);
    if (known) return known;
    this.spend(1);
    const made = { id: this.count++, nullable, after: new Map(), ...fields } as unknown as Regular;
    this.known.set(key, made);
    return made;
  }

  /**
   * @returns null where no text is of the language
   * @throws TooLarge where it takes too many states
   */
  async states(language: Regular, pace: Pace): Promise<States | null> {
    this.stretch();
    const { kinds, first } = this.kinds();
    const index = new Map([[language, 0]]);
    const order = [language];
    const edges: Map<number, number[]>[] = [];
    for (let at = 0; at < order.length; at++) {
      const byTarget = new Map<number, number[]>();
      for (const [kind, character] of first.entries()) {
        this.stretch();
        if (pace.due) await pace.turn();
        const next = this.derive(order[at]!, kind, character);
        if (next === this.none) continue;
        let to = index.get(next);
        if (to === undefined) {
          to = order.push(next) - 1;
          index.set(next, to);
          if (order.length > MOST_STATES) throw new TooLarge();
        }
        const group = byTarget.get(to);
        if (group) group.push(kind);
        else byTarget.set(to, [kind]);
      }
      edges.push(byTarget);
    }
    return trimmed(order, edges, kinds);
  }

  /** Begins a stretch of work, after which others may have a turn. */
  private stretch(): void {
    this.effort.spend(this.work + 1);
    this.workBefore += this.work + 1;
    if (this.workBefore > MOST_WORK_OF_LANGUAGE) throw new TooLarge();
    this.work = 0;
    this.depth = 0;
  }

  /** Characters that no set of the languages tells apart, and one of each kind. */
  private kinds(): { kinds: Characters[]; first: number[] } {
    const borders = new Map<number, number[]>();
    const add = (at: number, set: number) => borders.set(at, [...(borders.get(at) ?? []), set]);
    for (const [set, characters] of this.sets.entries()) {
      for (const [from, to] of characters) {
        add(from, set);
        add(to + 1, set);
      }
    }
    const inside = new Set<number>();
    const byKey = new Map<string, [number, number][]>();
    const sorted = [...borders].sort(([a], [b]) => a - b);
    for (const [i, [from, changed]] of sorted.entries()) {
      for (const set of changed) if (!inside.delete(set)) inside.add(set);
      const next = sorted[i + 1];
      if (!next || inside.size === 0) continue;
      this.spend(inside.size >> 2);
      const key = [...inside].sort((a, b) => a - b).join();
      const ranges = byKey.get(key) ?? [];
      ranges.push([from, next[0] - 1]);
      byKey.set(key, ranges);
    }
    const kinds = [...byKey.values()];
    return { kinds, first: kinds.map((ranges) => ranges[0]![0]) };
  }

  /** What may come after a character of this kind. */
  private derive(language: Regular, kind: number, character: number): Regular {
    const known = language.after.get(kind);
    if (known) return known;
    this.spend(1);
    if (++this.depth > DEEPEST) throw new TooLarge();
    const found = this.derivative(language, kind, character);
    this.depth--;
    language.after.set(kind, found);
    return found;
  }

  private derivative(language: Regular, kind: number, character: number): Regular {
    const of = (part: Regular) => this.derive(part, kind, character);
    switch (language.kind) {
      case 'none':
      case 'empty':
        return this.none;
      case 'one':
        return has(language.characters, character) ? this.empty : this.none;
      case 'sequence': {
        const { first, rest } = language;
        const one = this.sequence(of(first), rest);
        return first.nullable ? this.any(one, of(rest)) : one;
      }
      case 'any':
        return this.any(...language.parts.map(of));
      case 'all':
        return this.all(...language.parts.map(of));
      case 'not':
        return this.not(of(language.part));
      case 'repeat': {
        const { part, min, max } = language;
        return this.sequence(of(part), this.repeat(part, Math.max(0, min - 1), max - 1));
      }
      case 'words': {
        const next = language.words.after.get(character);
        return next ? this.wordsFrom(next) : this.none;
      }
      case 'multiple': {
        const { divisor, decimals, rest, read } = language.of;
        if (character === 0x2e) return read < 0 ? this.multipleFrom({ ...language.of, read: 0 }) : this.none;
        const digit = character - 0x30;
        if (digit < 0 || digit > 9) return this.none;
        if (read >= decimals) return digit === 0 ? language : this.none;
        const next = (10 * rest + digit) % divisor;
        return this.multipleFrom({ ...{ divisor, decimals }, rest: next, read: read < 0 ? read : read + 1 });
      }
    }
  }
}

/** Without the states that lead to no end. */
function trimmed(
  order: readonly Regular[],
  edges: readonly Map<number, number[]>[],
  kinds: readonly Characters[],
): States | null {
  const from: number[][] = order.map(() => []);
  for (const [at, targets] of edges.entries()) for (const to of targets.keys()) from[to]!.push(at);
  const alive = new Set(order.flatMap(({ nullable }, at) => (nullable ? [at] : [])));
  for (const at of alive) for (const before of from[at]!) alive.add(before);
  if (!alive.has(0)) return null;
  const places = new Map([...alive].sort((a, b) => a - b).map((at, i) => [at, i]));
  const sets = new Map<string, Characters>();
  const together = (group: number[]) => {
    const key = group.join();
    const characters = sets.get(key) ?? union(group.flatMap((kind) => kinds[kind]!));
    sets.set(key, characters);
    return characters;
  };
  return Array.from(places.keys(), (at) => ({
    accepting: order[at]!.nullable,
    edges: [...edges[at]!].flatMap(([to, group]) => {
      const place = places.get(to);
      return place === undefined ? [] : [{ characters: together(group), to: place }];
    }),
  }));
}

/** The texts of an automaton, with each character as `written` has it. */
export function expressionOf(states: States, written: (characters: Characters) => Expression): Expression {
  const characters = new Map<Characters, Expression>();
  const rules: Expression[] = states.map(({ accepting, edges }) =>
    rule(() => {
      const ways = edges.map(({ characters: set, to }) => {
        const one = characters.get(set) ?? written(set);
        characters.set(set, one);
        return sequence(one, rules[to]!);
      });
      return choice(...(accepting ? [sequence()] : []), ...ways);
    }),
  );
  return rules[0]!;
}

/** Whether an automaton knows a text. */
export function knows(states: States, text: string): boolean {
  let at: number | undefined = 0;
  for (const character of text) {
    const code = character.codePointAt(0)!;
    at = states[at]!.edges.find(({ characters }) => has(characters, code))?.to;
    if (at === undefined) return false;
  }
  return states[at]!.accepting;
}
