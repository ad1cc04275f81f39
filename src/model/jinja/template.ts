import { Interpreter } from './interpreter.ts';
import { callNative, native, required, textOf, wholeOf } from './native.ts';
import type { Statement } from './nodes.ts';
import { parse } from './parser.ts';
import { str } from './print.ts';
import { strftime } from './time.ts';
import {
  type Call,
  Callable,
  Fields,
  iterate,
  keyOf,
  Range,
  TemplateError,
  typeName,
  type Value,
  Work,
} from './values.ts';

/** Of range(), as Jinja's sandbox has it. */
const MAX_RANGE = 100_000;

/**
 * A chat template: Jinja as transformers renders it (its sandbox, tojson, strftime_now, raise_exception and
 * generation tags). A template is data of strangers: it reaches nothing but its variables, and its work and memory are
 * bounded.
 */
export class Template {
  private readonly body: Statement[];

  /** @throws TemplateError for what is no template, and what is not supported */
  constructor(source: string) {
    this.body = guarded(() => parse(source));
  }

  /**
   * @param variables JSON values
   * @throws TemplateError for what the template refuses or cannot do, and for too much work
   */
  render(variables: Record<string, unknown>, now = new Date()): string {
    const work = new Work();
    return guarded(() => {
      const names = new Map(globals(work, now));
      for (const [name, value] of Object.entries(variables)) {
        if (value !== undefined) names.set(name, work.given(value));
      }
      return new Interpreter(work).render(this.body, names);
    });
  }
}

/** Nesting ends at the stack's depth. */
function guarded<T>(action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (error instanceof RangeError)
      throw new TemplateError('it is nested too deeply, or makes too long a text');
    throw error;
  }
}

function globals(work: Work, now: Date): [string, Value][] {
  const own = (name: string, parameters: Parameters<typeof native>[0], run: Parameters<typeof native>[1]) => {
    const method = native(parameters, run);
    return [name, new Callable(name, (call) => callNative(name, method, call, work))] as [string, Value];
  };
  const any = (name: string, run: (call: Call) => Value) =>
    [name, new Callable(name, run)] as [string, Value];
  return [
    own('raise_exception', { message: required }, (_, message: Value) => {
      throw new TemplateError(str(message, work));
    }),
    own('strftime_now', { format: required }, (_, format: Value) =>
      strftime(textOf(format, 'strftime_now'), now),
    ),
    any('range', range),
    any('namespace', (call) => {
      const fields = dict(call, work);
      const hidden = [...fields.keys()].find((name) => String(name).startsWith('_'));
      if (hidden !== undefined) throw new TemplateError(`${hidden} begins with an underscore`);
      return new Fields('Namespace', fields as Map<string, Value>);
    }),
    any('dict', (call) => dict(call, work)),
    own('joiner', { sep: ', ' }, (_, separator: Value) => {
      let used = false;
      return new Callable('joiner', () => {
        const text = used ? separator : '';
        used = true;
        return text;
      });
    }),
    any('cycler', ({ positional: items }) => {
      if (items.length === 0) throw new TemplateError('cycler needs items');
      let at = 0;
      const fields = new Fields('Cycler', new Map());
      const step = (to: () => number, value: () => Value) =>
        new Callable('cycler', () => {
          const result = value();
          at = to();
          fields.fields.set('current', items[at]!);
          return result;
        });
      fields.fields.set('current', items[0]!);
      fields.fields.set(
        'next',
        step(
          () => (at + 1) % items.length,
          () => items[at]!,
        ),
      );
      fields.fields.set(
        'reset',
        step(
          () => 0,
          () => null,
        ),
      );
      return fields;
    }),
  ];
}

function range({ positional, named }: Call): Range {
  if (named.size > 0 || positional.length < 1 || positional.length > 3) {
    throw new TemplateError('range() takes one to three whole numbers');
  }
  const numbers = positional.map((value) => wholeOf(value, 'range()'));
  const [start, stop, step = 1] =
    numbers.length === 1 ? [0, numbers[0]!] : (numbers as [number, number, number?]);
  if (step === 0) throw new TemplateError('range() has a step of 0');
  const made = new Range(start, stop, step);
  if (made.length > MAX_RANGE) {
    throw new TemplateError(`range() of ${made.length} numbers: at most ${MAX_RANGE} are allowed`);
  }
  return made;
}

function dict({ positional, named }: Call, work: Work): Map<string | number | boolean | null, Value> {
  const [from = new Map() as Value, ...more] = positional;
  if (more.length > 0) throw new TemplateError('a dict is made from at most one value');
  const pairs = (value: Value) =>
    iterate(value, work).map((pair) => {
      const [key, item, ...rest] = iterate(pair, work);
      if (key === undefined || item === undefined || rest.length > 0) {
        throw new TemplateError(`a dict cannot be made from '${typeName(pair)}'`);
      }
      return [keyOf(key), item] as const;
    });
  const made = new Map(from instanceof Map ? from : from instanceof Fields ? from.fields : pairs(from));
  for (const [name, value] of named) made.set(name, value);
  work.spend(made.size);
  return made;
}
