import type { Token } from './lexer.ts';
import type { Arguments, Expression, Filter } from './nodes.ts';
import { Float, TemplateError } from './values.ts';

const NO_ARGUMENTS: Arguments = { positional: [], named: [], spread: null, spreadNamed: null };
const COMPARISONS = new Set(['==', '!=', '<', '<=', '>', '>=']);
const SPECIAL = new Set(['caller', 'varargs', 'kwargs']);

/** Recursive descent through expressions, in the order of precedence of Jinja's own parser. */
export class ExpressionParser {
  protected at = 0;
  /** Special names that the macro being read uses. */
  protected used = new Set<string>();

  constructor(private readonly tokens: Token[]) {}

  protected get token(): Token {
    return this.tokens[this.at]!;
  }

  protected fail(message?: string): never {
    const { type, value, line } = this.token;
    const what = type === 'close' ? 'end of the tag' : type === 'end' ? 'end of the template' : `'${value}'`;
    throw new TemplateError(message ?? `unexpected ${what}`, line);
  }

  protected is(type: Token['type'], value?: string): boolean {
    return this.token.type === type && (value === undefined || this.token.value === value);
  }

  protected operator = (value: string) => this.is('operator', value);
  protected word = (value: string) => this.is('name', value);

  protected skip(type: Token['type'], value?: string): boolean {
    const found = this.is(type, value);
    if (found) this.at++;
    return found;
  }

  protected expect(type: Token['type'], value?: string): string {
    const { token } = this;
    if (!this.skip(type, value)) this.fail();
    return token.value;
  }

  /** One expression, or several that are parted by commas. */
  protected tuple(conditional = true, end = '', parentheses = false): Expression {
    const ends = () => this.is('close') || this.operator(')') || (end !== '' && this.word(end));
    const items: Expression[] = [];
    let several = false;
    while (!ends()) {
      items.push(conditional ? this.expression() : this.or());
      if (!this.skip('operator', ',')) break;
      several = true;
    }
    if (several || (items.length === 0 && parentheses)) return { kind: 'tuple', items };
    return items[0] ?? this.fail();
  }

  protected expression(): Expression {
    let value = this.or();
    while (this.skip('name', 'if')) {
      const test = this.or();
      const no = this.skip('name', 'else') ? this.expression() : null;
      value = { kind: 'condition', test, yes: value, no };
    }
    return value;
  }

  private or(): Expression {
    let left = this.and();
    while (this.skip('name', 'or')) left = { kind: 'binary', operator: 'or', left, right: this.and() };
    return left;
  }

  private and(): Expression {
    let left = this.not();
    while (this.skip('name', 'and')) left = { kind: 'binary', operator: 'and', left, right: this.not() };
    return left;
  }

  private not(): Expression {
    if (this.skip('name', 'not')) return { kind: 'unary', operator: 'not', value: this.not() };
    return this.compare();
  }

  private compare(): Expression {
    const first = this.sum();
    const rest: [string, Expression][] = [];
    for (;;) {
      const { type, value } = this.token;
      if (type === 'operator' && COMPARISONS.has(value)) {
        this.at++;
        rest.push([value, this.sum()]);
      } else if (this.skip('name', 'in')) rest.push(['in', this.sum()]);
      else if (this.word('not') && this.tokens[this.at + 1]?.value === 'in') {
        this.at += 2;
        rest.push(['not in', this.sum()]);
      } else return rest.length > 0 ? { kind: 'compare', first, rest } : first;
    }
  }

  private binary(operators: string[], operand: () => Expression): Expression {
    let left = operand();
    while (this.is('operator') && operators.includes(this.token.value)) {
      const operator = this.expect('operator');
      left = { kind: 'binary', operator, left, right: operand() };
    }
    return left;
  }

  private sum = (): Expression => this.binary(['+', '-'], this.concat);

  private concat = (): Expression => {
    const items = [this.product()];
    while (this.skip('operator', '~')) items.push(this.product());
    return items.length > 1 ? { kind: 'concat', items } : items[0]!;
  };

  private product = (): Expression => this.binary(['*', '/', '//', '%'], this.power);
  private power = (): Expression => this.binary(['**'], this.unary);

  private unary = (): Expression => this.filtered(this.signed());

  private signed(): Expression {
    for (const operator of ['-', '+']) {
      if (this.skip('operator', operator)) {
        return this.postfix({ kind: 'unary', operator, value: this.signed() });
      }
    }
    return this.postfix(this.primary());
  }

  private primary(): Expression {
    const { type, value } = this.token;
    this.at++;
    switch (type) {
      case 'name':
        if (SPECIAL.has(value)) this.used.add(value);
        if (/^(true|false)$/i.test(value) && /^.?[a-z]+$/.test(value)) {
          return { kind: 'const', value: value.toLowerCase() === 'true' };
        }
        if (value === 'none' || value === 'None') return { kind: 'const', value: null };
        return { kind: 'name', name: value };
      case 'string': {
        let text = value;
        while (this.is('string')) text += this.expect('string');
        return { kind: 'const', value: text };
      }
      case 'integer': {
        const number = Number(value.replaceAll('_', ''));
        if (!Number.isSafeInteger(number)) this.fail(`${value} is beyond 2^53`);
        return { kind: 'const', value: number };
      }
      case 'float':
        return { kind: 'const', value: new Float(Number(value.replaceAll('_', ''))) };
      case 'operator':
        if (value === '(') {
          const inner = this.tuple(true, '', true);
          this.expect('operator', ')');
          return inner;
        }
        if (value === '[') return { kind: 'list', items: this.items(']', () => this.expression()) };
        if (value === '{') return { kind: 'dict', pairs: this.items('}', () => this.pair()) };
    }
    this.at--;
    return this.fail();
  }

  /** Up to a closing bracket, parted by commas. */
  private items<T>(close: string, item: () => T): T[] {
    const items: T[] = [];
    while (!this.operator(close)) {
      if (items.length > 0) this.expect('operator', ',');
      if (this.operator(close)) break;
      items.push(item());
    }
    this.at++;
    return items;
  }

  private pair(): [Expression, Expression] {
    const key = this.expression();
    this.expect('operator', ':');
    return [key, this.expression()];
  }

  private postfix(expression: Expression): Expression {
    let value = expression;
    for (;;) {
      if (this.skip('operator', '.')) {
        if (this.is('integer')) {
          const index: Expression = { kind: 'const', value: Number(this.expect('integer')) };
          value = { kind: 'item', object: value, index };
        } else value = { kind: 'attribute', object: value, name: this.expect('name') };
      } else if (this.skip('operator', '[')) {
        const indexes = this.items(']', () => this.subscript());
        if (indexes.length === 0) this.fail();
        const index = indexes.length === 1 ? indexes[0]! : { kind: 'tuple' as const, items: indexes };
        value = { kind: 'item', object: value, index };
      } else if (this.operator('(')) value = { kind: 'call', callee: value, args: this.arguments() };
      else return value;
    }
  }

  private subscript(): Expression {
    const ends = () => this.operator(':') || this.operator(']') || this.operator(',');
    const part = () => (ends() ? null : this.expression());
    const start = part();
    if (start !== null && !this.operator(':')) return start;
    this.expect('operator', ':');
    const stop = part();
    const step = this.skip('operator', ':') ? part() : null;
    return { kind: 'slice', bounds: [start, stop, step] };
  }

  private arguments(): Arguments {
    const args: Arguments = { ...NO_ARGUMENTS, positional: [], named: [] };
    this.expect('operator', '(');
    this.items(')', () => {
      if (this.skip('operator', '*')) args.spread = this.expression();
      else if (this.skip('operator', '**')) args.spreadNamed = this.expression();
      else if (this.is('name') && this.tokens[this.at + 1]?.value === '=') {
        const name = this.expect('name');
        this.at++;
        args.named.push([name, this.expression()]);
      } else {
        if (args.named.length > 0 || args.spreadNamed) this.fail('an argument follows named ones');
        args.positional.push(this.expression());
      }
    });
    return args;
  }

  /** Filters, tests and calls that follow a value. */
  private filtered(expression: Expression): Expression {
    let value = expression;
    for (;;) {
      if (this.operator('|')) value = this.filters(value)!;
      else if (this.skip('name', 'is')) value = this.test(value);
      else if (this.operator('(')) value = { kind: 'call', callee: value, args: this.arguments() };
      else return value;
    }
  }

  /** `| name(...) | name`; `inline` where the first has no bar before it. */
  protected filters(expression: Expression | null, inline = false): Filter | null {
    let value: Filter | null = null;
    let first = inline;
    while (first || this.skip('operator', '|')) {
      first = false;
      const name = this.dotted();
      const args = this.operator('(') ? this.arguments() : NO_ARGUMENTS;
      value = { kind: 'filter', name, value: value ?? expression, args };
    }
    return value;
  }

  private dotted(): string {
    let name = this.expect('name');
    while (this.skip('operator', '.')) name += `.${this.expect('name')}`;
    return name;
  }

  private test(value: Expression): Expression {
    const negated = this.skip('name', 'not');
    const name = this.dotted();
    let args = NO_ARGUMENTS;
    const { token } = this;
    if (this.operator('(')) args = this.arguments();
    else if (
      ['string', 'integer', 'float'].includes(token.type) ||
      (token.type === 'name' && !['else', 'or', 'and', 'if', 'recursive'].includes(token.value)) ||
      this.operator('[') ||
      this.operator('{')
    ) {
      if (this.word('is')) this.fail('tests with is cannot follow each other');
      args = { ...NO_ARGUMENTS, positional: [this.postfix(this.primary())] };
    }
    const test: Expression = { kind: 'test', name, value, args };
    return negated ? { kind: 'unary', operator: 'not', value: test } : test;
  }
}
