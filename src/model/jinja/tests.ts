import { type Native, native, required, textOf, wholeOf } from './native.ts';
import {
  Callable,
  contains,
  equal,
  Float,
  numeric,
  Once,
  order,
  Range,
  TemplateError,
  Tuple,
  typeName,
  Undefined,
  type Value,
  View,
  type Work,
} from './values.ts';

/** What may follow `is`. */

const test = (holds: (value: Value, work: Work) => boolean): Native =>
  native({ value: required }, (work, value: Value) => holds(value, work));

const compared = (holds: (a: Value, b: Value, work: Work) => boolean): Native =>
  native({ value: required, other: required }, (work, a: Value, b: Value) => holds(a, b, work));

const modulo = (value: Value) => {
  const number = numeric(value);
  if (number === undefined) throw new TemplateError(`a number was expected, not '${typeName(value)}'`);
  return Math.abs(number % 2);
};

/** What has a length and items. */
const isSequence = (value: Value) =>
  typeof value === 'string' ||
  Array.isArray(value) ||
  [Map, Tuple, Range, Undefined].some((type) => value instanceof type);

const eq = compared(equal);
const ne = compared((a, b, work) => !equal(a, b, work));
const lt = compared((a, b, work) => order(a, b, work) < 0);
const le = compared((a, b, work) => order(a, b, work) <= 0);
const gt = compared((a, b, work) => order(a, b, work) > 0);
const ge = compared((a, b, work) => order(a, b, work) >= 0);
const isText = (pattern: RegExp) => test((value) => pattern.test(textOf(value, 'this test')));

export const tests: Record<string, Native> = {
  boolean: test((value) => typeof value === 'boolean'),
  callable: test((value) => value instanceof Callable),
  defined: test((value) => !(value instanceof Undefined)),
  divisibleby: compared((a, b) => {
    const divisor = wholeOf(b, 'divisibleby');
    if (divisor === 0) throw new TemplateError('divisibleby 0');
    return wholeOf(a, 'divisibleby') % divisor === 0;
  }),
  ...{ '==': eq, eq, equalto: eq, '!=': ne, ne, '<': lt, lt, lessthan: lt, '<=': le, le },
  ...{ '>': gt, gt, greaterthan: gt, '>=': ge, ge },
  even: test((value) => modulo(value) === 0),
  odd: test((value) => modulo(value) === 1),
  false: test((value) => value === false),
  true: test((value) => value === true),
  float: test((value) => value instanceof Float),
  in: compared((item, container, work) => contains(container, item, work)),
  integer: test((value) => typeof value === 'number'),
  iterable: test((value) => value instanceof Once || value instanceof View || isSequence(value)),
  lower: isText(/^(?=[\s\S]*\p{Lowercase})[^\p{Uppercase}\p{Lt}]*$/u),
  upper: isText(/^(?=[\s\S]*\p{Uppercase})[^\p{Lowercase}\p{Lt}]*$/u),
  mapping: test((value) => value instanceof Map),
  none: test((value) => value === null),
  number: test((value) => numeric(value) !== undefined),
  sameas: compared((a, b) => a === b || (a instanceof Float && b instanceof Float && a.value === b.value)),
  sequence: test(isSequence),
  string: test((value) => typeof value === 'string'),
  undefined: test((value) => value instanceof Undefined),
};
