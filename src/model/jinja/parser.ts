import { ExpressionParser } from './expression-parser.ts';
import { tokens } from './lexer.ts';
import type { Expression, MacroBody, Parameter, Statement, Target } from './nodes.ts';

/** @throws TemplateError for what is no template, and for statements that read other templates */
export function parse(template: string): Statement[] {
  return new Parser([...tokens(template)]).template();
}

class Parser extends ExpressionParser {
  template(): Statement[] {
    const body = this.statements([]);
    if (this.token.type !== 'end') this.fail();
    return body;
  }

  /** Up to a tag that begins with one of the words, which stays to be read; `ends` empty: up to the end. */
  private statements(ends: string[]): Statement[] {
    const body: Statement[] = [];
    while (!this.is('end')) {
      if (this.is('text')) {
        body.push({ kind: 'text', text: this.token.value });
        this.at++;
      } else if (this.skip('open', '{{')) {
        body.push({ kind: 'output', value: this.tuple() });
        this.expect('close');
      } else {
        this.expect('open', '{%');
        if (this.is('name') && ends.includes(this.token.value)) return body;
        body.push(...this.statement());
        this.expect('close');
      }
    }
    if (ends.length > 0) this.fail(`the template ends where '${ends.join("' or '")}' is missing`);
    return body;
  }

  /** The body of a tag and its end. */
  private body(end: string): Statement[] {
    this.expect('close');
    const body = this.statements([end]);
    this.at++;
    return body;
  }

  private statement(): Statement[] {
    const name = this.expect('name');
    switch (name) {
      case 'if':
        return [this.conditional()];
      case 'for':
        return [this.loop()];
      case 'set':
        return [this.set()];
      case 'macro': {
        const macro = this.expect('name');
        return [{ kind: 'macro', macro: this.macro(macro, 'endmacro', () => this.parameters()) }];
      }
      case 'call': {
        const parameters = this.operator('(') ? this.parameters() : [];
        const call = this.expression();
        return [{ kind: 'call block', call, caller: this.macro('caller', 'endcall', () => parameters) }];
      }
      case 'filter': {
        const filter = this.filters(null, true)!;
        return [{ kind: 'filter block', filter, body: this.body('endfilter') }];
      }
      case 'with': {
        const variables: [Target, Expression][] = [];
        while (!this.is('close')) {
          if (variables.length > 0) this.expect('operator', ',');
          const target = this.target();
          this.expect('operator', '=');
          variables.push([target, this.expression()]);
        }
        return [{ kind: 'scope', variables, body: this.body('endwith') }];
      }
      // Marks what the assistant says, for training; the text is the same.
      case 'generation':
        return [{ kind: 'scope', variables: [], body: this.body('endgeneration') }];
      case 'block': {
        this.expect('name');
        return [{ kind: 'scope', variables: [], body: this.body('endblock') }];
      }
      case 'break':
      case 'continue':
        return [{ kind: name }];
      case 'print':
        return [{ kind: 'output', value: this.tuple() }];
      default:
        return this.fail(`{% ${name} %} is not supported`);
    }
  }

  /** After `if` or `elif`. */
  private conditional(): Statement {
    const test = this.tuple(false);
    this.expect('close');
    const yes = this.statements(['elif', 'else', 'endif']);
    if (this.skip('name', 'elif')) return { kind: 'if', test, yes, no: [this.conditional()] };
    if (this.skip('name', 'else')) return { kind: 'if', test, yes, no: this.body('endif') };
    this.at++;
    return { kind: 'if', test, yes, no: [] };
  }

  private loop(): Statement {
    const target = this.targets();
    this.expect('name', 'in');
    const items = this.tuple(false, 'recursive');
    const test = this.skip('name', 'if') ? this.expression() : null;
    const recursive = this.skip('name', 'recursive');
    this.expect('close');
    const body = this.statements(['endfor', 'else']);
    const otherwise = this.expect('name') === 'else' ? this.body('endfor') : [];
    return { kind: 'for', target, items, test, recursive, body, otherwise };
  }

  private set(): Statement {
    const target = this.targets();
    if (this.skip('operator', '=')) return { kind: 'set', target, value: this.tuple() };
    const filter = this.filters(null);
    return { kind: 'set block', target, filter, body: this.body('endset') };
  }

  private macro(name: string, end: string, parameters: () => Parameter[]): MacroBody {
    const outer = this.used;
    this.used = new Set();
    const own = parameters();
    const body = this.body(end);
    const uses = this.used;
    this.used = new Set([...outer, ...uses]);
    return { name, parameters: own, body, uses };
  }

  private parameters(): Parameter[] {
    const found: Parameter[] = [];
    this.expect('operator', '(');
    while (!this.operator(')')) {
      if (found.length > 0) this.expect('operator', ',');
      if (this.operator(')')) break;
      const name = this.expect('name');
      const given = this.skip('operator', '=') ? this.expression() : null;
      if (given === null && found.at(-1)?.default) this.fail(`parameter ${name} needs a default`);
      found.push({ name, default: given });
    }
    this.at++;
    return found;
  }

  private target(): Target {
    if (this.skip('operator', '(')) {
      const targets = this.targets();
      this.expect('operator', ')');
      return targets;
    }
    const name = this.expect('name');
    if (['true', 'false', 'none', 'True', 'False', 'None'].includes(name)) this.fail(`${name} is a constant`);
    if (this.skip('operator', '.')) return { kind: 'field', namespace: name, name: this.expect('name') };
    return { kind: 'name', name };
  }

  private targets(): Target {
    const targets = [this.target()];
    let several = false;
    while (this.skip('operator', ',')) {
      several = true;
      if (!(this.is('name') || this.operator('(')) || this.word('in')) break;
      targets.push(this.target());
    }
    return several ? { kind: 'targets', targets } : targets[0]!;
  }
}
