import { InputError } from '../../util/errors.ts';
import {
  any,
  ESCAPED,
  ESCAPED_CLASSES,
  folded,
  isWordOutside,
  newline,
  not,
  one,
  POSIX,
  property,
  type Test,
} from './pattern-classes.ts';

/** What a pattern matches. */
export type Node =
  | { kind: 'class'; test: (codePoint: number) => boolean }
  | { kind: 'sequence' | 'choice'; items: Node[] }
  | { kind: 'repeat'; item: Node; min: number; max: number; mode: 'greedy' | 'lazy' | 'possessive' }
  | { kind: 'look'; item: Node; behind: boolean; negative: boolean }
  | { kind: 'atomic'; item: Node }
  | { kind: 'assert'; at: Assertion };

export type Assertion =
  | 'line start'
  | 'line end'
  | 'text start'
  | 'text end'
  | 'last line end'
  | 'word boundary'
  | 'no word boundary';

const ASSERTIONS: Record<string, Assertion> = {
  ...{ A: 'text start', z: 'text end', Z: 'last line end', b: 'word boundary', B: 'no word boundary' },
};
/** Of counted repetitions, which are written out. */
const MAX_COUNT = 1000;
const MAX_NESTING = 100;

/**
 * The part of Oniguruma's syntax that tokenizers are written in: everything but references back, conditions, calls of
 * groups and absence.
 *
 * @throws InputError for what is no pattern or not supported
 */
export function parsePattern(source: string): Node {
  return new Parser(source).parse();
}

/** How many characters a node matches, at least and at most. */
export function span(node: Node): [min: number, max: number] {
  switch (node.kind) {
    case 'class':
      return [1, 1];
    case 'sequence':
      return node.items.map(span).reduce(([a, b], [c, d]) => [a + c, b + d], [0, 0]);
    case 'choice': {
      const spans = node.items.map(span);
      return [Math.min(...spans.map(([min]) => min)), Math.max(...spans.map(([, max]) => max))];
    }
    case 'repeat': {
      const [min, max] = span(node.item);
      return [min * node.min, max === 0 ? 0 : max * node.max];
    }
    case 'atomic':
      return span(node.item);
    default:
      return [0, 0];
  }
}

interface Flags {
  ignoreCase: boolean;
  /** A dot matches a newline too. */
  dotAll: boolean;
}

class Parser {
  private at = 0;
  private depth = 0;
  private readonly text: string[];

  constructor(private readonly source: string) {
    this.text = Array.from(source);
  }

  parse(): Node {
    const node = this.choice({ ignoreCase: false, dotAll: false });
    if (this.at < this.text.length) this.fail(`unexpected '${this.peek()}'`);
    return node;
  }

  private fail(why: string): never {
    const shown = this.source.length > 200 ? `${this.source.slice(0, 200)}...` : this.source;
    throw new InputError(`the pattern ${JSON.stringify(shown)} cannot be used: ${why}`);
  }

  private peek = (): string => this.text[this.at] ?? '';

  private next(): string {
    const character = this.text[this.at++];
    return character ?? this.fail('it ends too early');
  }

  private skip(text: string): boolean {
    const found = this.text.slice(this.at, this.at + text.length).join('') === text;
    if (found) this.at += text.length;
    return found;
  }

  private take(count: number): string {
    this.at += count;
    return this.text.slice(this.at - count, this.at).join('');
  }

  private until(end: string): string {
    let text = '';
    for (let c = this.next(); c !== end; c = this.next()) text += c;
    return text;
  }

  private nested<T>(action: () => T): T {
    if (++this.depth > MAX_NESTING) this.fail('it is nested too deeply');
    const result = action();
    this.depth--;
    return result;
  }

  private choice(flags: Flags): Node {
    // Flags that are set within a group, (?i), hold up to its end.
    const own = { ...flags };
    const items = [this.sequence(own)];
    while (this.skip('|')) items.push(this.sequence(own));
    return items.length === 1 ? items[0]! : { kind: 'choice', items };
  }

  private sequence(flags: Flags): Node {
    const items: Node[] = [];
    while (this.at < this.text.length && this.peek() !== '|' && this.peek() !== ')') {
      const item = this.nested(() => this.atom(flags));
      if (item) items.push(this.repeated(item));
    }
    return items.length === 1 ? items[0]! : { kind: 'sequence', items };
  }

  private repeated(atom: Node): Node {
    let item = atom;
    for (;;) {
      const bounds = this.bounds();
      if (!bounds) return item;
      const [min, max, counted] = bounds;
      if (item.kind === 'look' || item.kind === 'assert') this.fail('it repeats what has no width');
      if (span(item)[0] === 0 && max > 1) this.fail('it repeats what may be empty');
      const counts = Number.isFinite(max) ? max : min;
      if (counts > MAX_COUNT) this.fail(`it repeats ${counts} times, at most ${MAX_COUNT} are supported`);
      const mode = this.skip('?') ? 'lazy' : !counted && this.skip('+') ? 'possessive' : 'greedy';
      item = { kind: 'repeat', item, min, max, mode };
    }
  }

  private bounds(): [min: number, max: number, counted: boolean] | null {
    if (this.skip('*')) return [0, Number.POSITIVE_INFINITY, false];
    if (this.skip('+')) return [1, Number.POSITIVE_INFINITY, false];
    if (this.skip('?')) return [0, 1, false];
    const rest = this.text.slice(this.at, this.at + 24).join('');
    const counted = /^\{(?:(\d+)(?:(,)(\d*))?|,(\d+))\}/.exec(rest);
    if (!counted) return null;
    const [all, low, comma, high, only] = counted;
    this.at += all.length;
    const min = Number(low ?? 0);
    const max = only ? Number(only) : comma ? (high ? Number(high) : Number.POSITIVE_INFINITY) : min;
    if (max < min) this.fail(`${all} has its bounds the wrong way round`);
    return [min, max, true];
  }

  /** null for what sets flags alone. */
  private atom(flags: Flags): Node | null {
    const character = this.next();
    switch (character) {
      case '(':
        return this.group(flags);
      case '[':
        return { kind: 'class', test: this.set(flags) };
      case '.':
        return { kind: 'class', test: flags.dotAll ? () => true : not(newline) };
      case '^':
        return { kind: 'assert', at: 'line start' };
      case '$':
        return { kind: 'assert', at: 'line end' };
      case '\\':
        return this.escape(flags);
      case '*':
      case '+':
      case '?':
        return this.fail(`there is nothing that '${character}' repeats`);
      default:
        return { kind: 'class', test: this.cased(one(character.codePointAt(0)!), flags) };
    }
  }

  private group(flags: Flags): Node | null {
    const inside = (item = this.choice(flags)): Node => {
      if (!this.skip(')')) this.fail("a ')' is missing");
      return item;
    };
    if (!this.skip('?')) return inside();
    if (this.skip(':')) return inside();
    if (this.skip('#')) {
      this.until(')');
      return null;
    }
    if (this.skip('>')) return { kind: 'atomic', item: inside() };
    for (const [begin, behind, negative] of [
      ['=', false, false],
      ['!', false, true],
      ['<=', true, false],
      ['<!', true, true],
    ] as const) {
      if (!this.skip(begin)) continue;
      const item = inside();
      if (!behind) return { kind: 'look', item, behind, negative };
      // Each choice has a length of its own to go back by.
      const items = (item.kind === 'choice' ? item.items : [item]).map((choice): Node => {
        const [min, max] = span(choice);
        if (min !== max) this.fail('it looks behind for what has no fixed length');
        return { kind: 'look', item: choice, behind, negative };
      });
      return { kind: negative ? 'sequence' : 'choice', items };
    }
    if (this.skip('<')) {
      if (!/^\w+$/.test(this.until('>'))) this.fail('a group has no name');
      return inside();
    }
    let on = true;
    const own = { ...flags };
    for (let c = this.next(); ; c = this.next()) {
      if (c === '-') on = false;
      else if (c === 'i') own.ignoreCase = on;
      else if (c === 'm') own.dotAll = on;
      else if (c === ':') return inside(this.choice(own));
      else if (c === ')') {
        Object.assign(flags, own);
        return null;
      } else this.fail(`groups that begin with '(?${c}' are not supported`);
    }
  }

  private escape(flags: Flags): Node | null {
    const at = ASSERTIONS[this.peek()];
    if (at) {
      this.at++;
      return { kind: 'assert', at };
    }
    if (this.skip('R')) {
      const items = ['\r\n', '\n', '\v', '\f', '\r', '\x85', '\u2028', '\u2029'].map(
        (text): Node => ({
          kind: 'sequence',
          items: Array.from(text, (c) => ({ kind: 'class', test: one(c.charCodeAt(0)) })),
        }),
      );
      return { kind: 'atomic', item: { kind: 'choice', items } };
    }
    // Oniguruma's word characters are a few more outside of brackets than within.
    if (this.skip('w')) return { kind: 'class', test: isWordOutside };
    if (this.skip('W')) return { kind: 'class', test: not(isWordOutside) };
    const escaped = this.escaped();
    const test = typeof escaped === 'number' ? this.cased(one(escaped), flags) : escaped;
    return { kind: 'class', test };
  }

  /** After a backslash: one character, or a class. */
  private escaped(): Test | number {
    const c = this.next();
    if (c === 'p' || c === 'P') {
      const name = this.skip('{') ? this.until('}') : this.next();
      const test = this.property(name.replace(/^\^/, ''));
      return (c === 'P') !== name.startsWith('^') ? not(test) : test;
    }
    const lower = c.toLowerCase();
    if (Object.hasOwn(ESCAPED_CLASSES, lower))
      return c === lower ? ESCAPED_CLASSES[c]! : not(ESCAPED_CLASSES[lower]!);
    if (Object.hasOwn(ESCAPED, c)) return ESCAPED[c]!;
    if (c === 'x' || c === 'u') {
      const digits = c === 'x' && this.skip('{') ? this.until('}') : this.take(c === 'x' ? 2 : 4);
      const code = Number.parseInt(digits, 16);
      if (!/^[\da-f]+$/i.test(digits) || code > 0x10ffff) this.fail(`\\${c}${digits} is no character`);
      return code;
    }
    if (c === '0') return 0;
    if (/[A-Za-z0-9]/.test(c)) this.fail(`\\${c} is not supported`);
    return c.codePointAt(0)!;
  }

  private property(name: string): Test {
    const plain = name.replace(/[\s_-]/g, '').toLowerCase();
    if (Object.hasOwn(POSIX, plain)) return POSIX[plain]!;
    if (/^[\w ]+$/.test(name)) {
      for (const form of [name, `Script=${name}`]) {
        try {
          return property(form);
        } catch {
          // Not of this form.
        }
      }
    }
    return this.fail(`there is no property '${name}'`);
  }

  /** A class in brackets, its opening one read. */
  private set(flags: Flags): Test {
    return this.nested(() => {
      const negated = this.skip('^');
      const parts: Test[] = [];
      let tests: Test[] = [];
      const start = this.at;
      for (;;) {
        if (this.at > start && this.skip(']')) break;
        if (this.skip('&&')) {
          parts.push(any(...tests));
          tests = [];
          continue;
        }
        const item = this.setItem(flags);
        if (typeof item !== 'number') {
          tests.push(item);
          continue;
        }
        const range = this.peek() === '-' && this.text[this.at + 1] !== ']';
        if (!range) {
          tests.push(this.cased(one(item), flags));
          continue;
        }
        this.at++;
        const last = this.setItem(flags);
        if (typeof last !== 'number' || last < item) this.fail('a range in brackets has no order');
        tests.push(this.cased((code) => code >= item && code <= (last as number), flags));
      }
      parts.push(any(...tests));
      const all: Test = parts.length === 1 ? parts[0]! : (code) => parts.every((part) => part(code));
      return negated ? not(all) : all;
    });
  }

  private setItem(flags: Flags): Test | number {
    if (this.skip('[:')) {
      const negated = this.skip('^');
      const name = this.until(':');
      if (!this.skip(']') || !Object.hasOwn(POSIX, name)) this.fail(`there is no class '[:${name}:]'`);
      return negated ? not(POSIX[name]!) : POSIX[name]!;
    }
    if (this.skip('[')) return this.set(flags);
    if (this.skip('\\')) return this.escaped();
    return this.next().codePointAt(0)!;
  }

  private cased = (test: Test, { ignoreCase }: Flags): Test => (ignoreCase ? folded(test) : test);
}
