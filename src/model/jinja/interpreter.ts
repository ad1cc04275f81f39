import { attribute, item, slice } from './access.ts';
import { applyFilter, applyTest } from './filters.ts';
import type { Arguments, Expression, Filter, For, MacroBody, Statement, Target } from './nodes.ts';
import { arithmetic, compare, negative } from './operators.ts';
import { str } from './print.ts';
import {
  type Call,
  Callable,
  Fields,
  iterate,
  keyOf,
  or,
  TemplateError,
  Tuple,
  truth,
  typeName,
  Undefined,
  undefinedName,
  type Value,
  type Work,
} from './values.ts';

/** Names and their values, within those of what surrounds them. */
class Scope {
  private readonly own = new Map<string, Value>();

  constructor(private readonly outer: Scope | ReadonlyMap<string, Value>) {}

  get(name: string): Value | undefined {
    return or(this.own.get(name), () => this.outer.get(name));
  }

  set(name: string, value: Value): void {
    this.own.set(name, value);
  }
}

type Flow = 'break' | 'continue' | undefined;

/** Writes the text of a template. */
export class Interpreter {
  constructor(private readonly work: Work) {}

  render(body: Statement[], globals: ReadonlyMap<string, Value>): string {
    return this.written(body, new Scope(globals));
  }

  private written(body: Statement[], scope: Scope): string {
    const out: string[] = [];
    this.run(body, scope, out);
    return this.work.text(out.join(''));
  }

  private run(body: Statement[], scope: Scope, out: string[]): Flow {
    for (const statement of body) {
      this.work.spend(1);
      const flow = this.statement(statement, scope, out);
      if (flow) return flow;
    }
    return undefined;
  }

  private write(text: string, out: string[]): void {
    this.work.spend(text.length / 64);
    out.push(text);
  }

  private statement(node: Statement, scope: Scope, out: string[]): Flow {
    switch (node.kind) {
      case 'text':
        this.write(node.text, out);
        return undefined;
      case 'output':
        this.write(str(this.value(node.value, scope), this.work), out);
        return undefined;
      case 'if':
        return this.run(truth(this.value(node.test, scope)) ? node.yes : node.no, scope, out);
      case 'for':
        this.loop(node, this.value(node.items, scope), scope, out, 1);
        return undefined;
      case 'set':
        this.assign(node.target, this.value(node.value, scope), scope);
        return undefined;
      case 'set block': {
        const text = this.written(node.body, new Scope(scope));
        this.assign(node.target, node.filter ? this.filtered(node.filter, text, scope) : text, scope);
        return undefined;
      }
      case 'macro':
        scope.set(node.macro.name, this.macro(node.macro, scope));
        return undefined;
      case 'call block': {
        if (node.call.kind !== 'call') throw new TemplateError('{% call %} needs a call');
        const call = this.call(node.call.args, scope);
        call.named.set('caller', this.macro(node.caller, scope));
        this.write(str(this.invoke(this.value(node.call.callee, scope), call), this.work), out);
        return undefined;
      }
      case 'filter block': {
        const text = this.written(node.body, new Scope(scope));
        this.write(str(this.filtered(node.filter, text, scope), this.work), out);
        return undefined;
      }
      case 'scope': {
        const inner = new Scope(scope);
        for (const [target, value] of node.variables) this.assign(target, this.value(value, scope), inner);
        return this.run(node.body, inner, out);
      }
      default:
        return node.kind;
    }
  }

  private loop(node: For, value: Value, scope: Scope, out: string[], depth: number): void {
    const { work } = this;
    const all = iterate(value, work);
    const items = node.test
      ? all.filter((one) => {
          const inner = new Scope(scope);
          this.assign(node.target, one, inner);
          return truth(this.value(node.test!, inner));
        })
      : all;
    let changed: Value[] | undefined;
    const methods: [string, Value][] = [
      [
        'cycle',
        new Callable('loop.cycle()', ({ positional }) =>
          or(positional[index % positional.length], () => null),
        ),
      ],
      [
        'changed',
        new Callable('loop.changed()', ({ positional }) => {
          const same = changed !== undefined && compare('==', changed, positional, work);
          changed = positional;
          return !same;
        }),
      ],
    ];
    let index = 0;
    let finished = false;
    for (; index < items.length; index++) {
      work.spend(4);
      const inner = new Scope(scope);
      const fields = new Map<string, Value>([
        ...methods,
        ['index', index + 1],
        ['index0', index],
        ['revindex', items.length - index],
        ['revindex0', items.length - index - 1],
        ['first', index === 0],
        ['last', index === items.length - 1],
        ['length', items.length],
        ['depth', depth],
        ['depth0', depth - 1],
        ['previtem', or(items[index - 1], () => new Undefined('there is no previous item'))],
        ['nextitem', or(items[index + 1], () => new Undefined('there is no next item'))],
      ]);
      inner.set(
        'loop',
        new Loop(fields, node.recursive ? (given) => this.again(node, given, scope, depth) : null),
      );
      this.assign(node.target, items[index]!, inner);
      const flow = this.run(node.body, inner, out);
      if (flow === 'break') break;
      if (flow === undefined) finished = true;
    }
    // As in Jinja, a loop that never came to the end of its body counts as empty.
    if (!finished) this.run(node.otherwise, new Scope(scope), out);
  }

  /** `loop(...)` of a recursive loop. */
  private again(node: For, value: Value, scope: Scope, depth: number): string {
    const out: string[] = [];
    this.loop(node, value, scope, out, depth + 1);
    return this.work.text(out.join(''));
  }

  private assign(target: Target, value: Value, scope: Scope): void {
    if (target.kind === 'name') scope.set(target.name, value);
    else if (target.kind === 'field') {
      const namespace = scope.get(target.namespace);
      if (!(namespace instanceof Fields) || namespace.type !== 'Namespace') {
        throw new TemplateError(`${target.namespace} is no namespace, so its ${target.name} cannot be set`);
      }
      if (target.name.startsWith('_')) throw new TemplateError(`${target.name} begins with an underscore`);
      namespace.fields.set(target.name, value);
    } else {
      if (value instanceof Undefined) value.fail();
      const items = iterate(value, this.work);
      if (items.length !== target.targets.length) {
        throw new TemplateError(`${items.length} values for ${target.targets.length} names`);
      }
      for (const [i, one] of target.targets.entries()) this.assign(one, items[i]!, scope);
    }
  }

  private macro({ name, parameters, body, uses }: MacroBody, scope: Scope): Callable {
    return new Callable(name, ({ positional, named }) => {
      this.work.spend(10);
      const inner = new Scope(scope);
      const rest = new Map(named);
      for (const [i, parameter] of parameters.entries()) {
        let value = or(positional[i], () => rest.get(parameter.name));
        if (i >= positional.length) rest.delete(parameter.name);
        if (value === undefined && parameter.default) value = this.value(parameter.default, inner);
        inner.set(
          parameter.name,
          or(value, () => new Undefined(`parameter '${parameter.name}' was not provided`)),
        );
      }
      const own = parameters.some((parameter) => parameter.name === 'caller');
      if (uses.has('caller') && !own) {
        inner.set(
          'caller',
          or(rest.get('caller'), () => new Undefined('No caller defined')),
        );
        rest.delete('caller');
      }
      if (uses.has('kwargs')) inner.set('kwargs', rest);
      else if (rest.size > 0)
        throw new TemplateError(`macro '${name}' takes no keyword argument '${[...rest.keys()][0]}'`);
      if (uses.has('varargs')) inner.set('varargs', new Tuple(positional.slice(parameters.length)));
      else if (positional.length > parameters.length) {
        throw new TemplateError(`macro '${name}' takes not more than ${parameters.length} argument(s)`);
      }
      return this.written(body, inner);
    });
  }

  private invoke(callee: Value, call: Call): Value {
    if (callee instanceof Callable) return callee.call(call);
    if (callee instanceof Loop && callee.recurse) return callee.recurse(or(call.positional[0], () => null));
    if (callee instanceof Undefined) callee.fail();
    throw new TemplateError(`'${typeName(callee)}' object is not callable`);
  }

  private call(args: Arguments, scope: Scope): Call {
    const positional = args.positional.map((one) => this.value(one, scope));
    const named = new Map(args.named.map(([name, one]) => [name, this.value(one, scope)]));
    if (args.spread) positional.push(...iterate(this.value(args.spread, scope), this.work));
    if (args.spreadNamed) {
      const more = this.value(args.spreadNamed, scope);
      if (!(more instanceof Map)) throw new TemplateError(`** needs a dict, not '${typeName(more)}'`);
      for (const [key, value] of more) {
        if (named.has(String(key))) throw new TemplateError(`argument '${key}' is given twice`);
        named.set(String(key), value);
      }
    }
    return { positional, named };
  }

  private filtered(filter: Filter, text: Value, scope: Scope): Value {
    const inner = filter.value as Filter | null;
    const value = inner ? this.filtered(inner, text, scope) : text;
    return applyFilter(filter.name, value, this.call(filter.args, scope), this.work);
  }

  private value(node: Expression, scope: Scope): Value {
    const { work } = this;
    work.spend(1);
    switch (node.kind) {
      case 'const':
        return node.value;
      case 'name': {
        const value = scope.get(node.name);
        return value === undefined ? undefinedName(node.name) : value;
      }
      case 'list':
        return node.items.map((one) => this.value(one, scope));
      case 'tuple':
        return new Tuple(node.items.map((one) => this.value(one, scope)));
      case 'concat':
        return work.text(node.items.map((one) => str(this.value(one, scope), work)).join(''));
      case 'dict':
        return new Map(
          node.pairs.map(([key, one]) => [keyOf(this.value(key, scope)), this.value(one, scope)]),
        );
      case 'attribute':
        return attribute(this.value(node.object, scope), node.name, work);
      case 'item': {
        const object = this.value(node.object, scope);
        if (node.index.kind !== 'slice') return item(object, this.value(node.index, scope), work);
        return slice(
          object,
          node.index.bounds.map((bound) => (bound ? this.value(bound, scope) : null)),
          work,
        );
      }
      case 'slice':
        throw new TemplateError('a slice stands where an index was expected');
      case 'call':
        return this.invoke(this.value(node.callee, scope), this.call(node.args, scope));
      case 'filter':
        return applyFilter(node.name, this.value(node.value!, scope), this.call(node.args, scope), work);
      case 'test':
        return applyTest(node.name, this.value(node.value, scope), this.call(node.args, scope), work);
      case 'unary': {
        const value = this.value(node.value, scope);
        return node.operator === 'not' ? !truth(value) : negative(node.operator, value);
      }
      case 'binary': {
        const left = this.value(node.left, scope);
        if (node.operator === 'and') return truth(left) ? this.value(node.right, scope) : left;
        if (node.operator === 'or') return truth(left) ? left : this.value(node.right, scope);
        return arithmetic(node.operator, left, this.value(node.right, scope), work);
      }
      case 'compare': {
        let left = this.value(node.first, scope);
        for (const [operator, next] of node.rest) {
          const right = this.value(next, scope);
          if (!compare(operator, left, right, work)) return false;
          left = right;
        }
        return true;
      }
      case 'condition': {
        if (truth(this.value(node.test, scope))) return this.value(node.yes, scope);
        return node.no ? this.value(node.no, scope) : new Undefined('the condition has no else');
      }
    }
  }
}

class Loop extends Fields {
  constructor(
    fields: Map<string, Value>,
    readonly recurse: ((items: Value) => Value) | null,
  ) {
    super('LoopContext', fields);
  }
}
