import {
  type Call,
  Callable,
  or,
  TemplateError,
  typeName,
  Undefined,
  type Value,
  type Work,
} from './values.ts';

/** Functions that a template calls and that are written here. */

/** A parameter without a default. */
export const required = Symbol('required');

export interface Native {
  parameters: Record<string, Value | typeof required>;
  run: (work: Work, ...values: Value[]) => Value;
}

/** @param parameters their defaults, in their order */
export const native = (
  parameters: Native['parameters'],
  run: (work: Work, ...values: never[]) => Value,
): Native => ({ parameters, run: run as Native['run'] });

/** @throws TemplateError for arguments that are missing or too many */
export function callNative(name: string, { parameters, run }: Native, call: Call, work: Work): Value {
  const names = Object.keys(parameters);
  if (call.positional.length > names.length) {
    throw new TemplateError(`${name} takes ${names.length} arguments, got ${call.positional.length}`);
  }
  const unknown = [...call.named.keys()].find((key) => !names.includes(key));
  if (unknown !== undefined) throw new TemplateError(`${name} has no argument '${unknown}'`);
  const values = names.map((key, i) => {
    const given = or(call.positional[i], () => call.named.get(key));
    const value = given === undefined ? parameters[key]! : given;
    if (value === required) throw new TemplateError(`${name} needs its argument '${key}'`);
    return value;
  });
  return run(work, ...values);
}

/** The function as a value, with what comes first filled in. */
export const bound = (name: string, method: Native, self: Value, work: Work) =>
  new Callable(name, ({ positional, named }) =>
    callNative(name, method, { positional: [self, ...positional], named }, work),
  );

export function textOf(value: Value, what: string): string {
  if (typeof value === 'string') return value;
  if (value instanceof Undefined) value.fail();
  throw new TemplateError(`${what} needs a str, not '${typeName(value)}'`);
}

export function wholeOf(value: Value, what: string): number {
  if (typeof value === 'boolean') return Number(value);
  if (typeof value === 'number') return value;
  if (value instanceof Undefined) value.fail();
  throw new TemplateError(`${what} needs a whole number, not '${typeName(value)}'`);
}

/** A number that sizes something, paid for before it is made. */
export function bounded(size: number, work: Work): number {
  work.spend(Math.max(0, size));
  return Math.max(0, size);
}
