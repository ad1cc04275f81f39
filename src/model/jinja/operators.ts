import { percent } from './format.ts';
import {
  contains,
  equal,
  Float,
  lengthOf,
  numeric,
  order,
  TemplateError,
  Tuple,
  typeName,
  Undefined,
  type Value,
  type Work,
} from './values.ts';

export function compare(operator: string, a: Value, b: Value, work: Work): boolean {
  switch (operator) {
    case '==':
      return equal(a, b, work);
    case '!=':
      return !equal(a, b, work);
    case 'in':
      return contains(b, a, work);
    case 'not in':
      return !contains(b, a, work);
    case '<':
      return order(a, b, work) < 0;
    case '<=':
      return order(a, b, work) <= 0;
    case '>':
      return order(a, b, work) > 0;
    default:
      return order(a, b, work) >= 0;
  }
}

export function arithmetic(operator: string, a: Value, b: Value, work: Work): Value {
  for (const value of [a, b]) if (value instanceof Undefined) value.fail();
  if (operator === '%' && typeof a === 'string') return percent(a, b, work);
  const [x, y] = [numeric(a), numeric(b)];
  if (x !== undefined && y !== undefined) {
    return number(operator, x, y, a instanceof Float || b instanceof Float);
  }
  if (operator === '+') {
    if (typeof a === 'string' && typeof b === 'string') return work.text(a + b);
    if (Array.isArray(a) && Array.isArray(b)) return work.list([...a, ...b]);
    if (a instanceof Tuple && b instanceof Tuple) return new Tuple(work.list([...a.items, ...b.items]));
  }
  if (operator === '*') {
    const [sequence, times] = x === undefined ? [a, y] : [b, x];
    if (Number.isInteger(times)) return repeated(sequence, Math.max(0, times!), work);
  }
  throw new TemplateError(`'${operator}' is not for '${typeName(a)}' and '${typeName(b)}'`);
}

export function negative(operator: string, value: Value): Value {
  const number = numeric(value);
  if (value instanceof Undefined) value.fail();
  if (number === undefined) throw new TemplateError(`'${operator}' is not for '${typeName(value)}'`);
  const signed = operator === '-' ? -number : number;
  // There is no whole -0.
  return value instanceof Float ? new Float(signed) : signed + 0;
}

function repeated(value: Value, times: number, work: Work): Value {
  work.spend(lengthOf(value) * times);
  if (typeof value === 'string') return work.text(value.repeat(times));
  const items = (list: Value[]) => Array.from({ length: times }, () => list).flat();
  if (Array.isArray(value)) return items(value);
  if (value instanceof Tuple) return new Tuple(items(value.items));
  throw new TemplateError(`'*' is not for '${typeName(value)}'`);
}

function number(operator: string, x: number, y: number, float: boolean): Value {
  if (y === 0 && ['/', '//', '%'].includes(operator)) throw new TemplateError('division by zero');
  const results: Record<string, () => number> = {
    '+': () => x + y,
    '-': () => x - y,
    '*': () => x * y,
    '/': () => x / y,
    '//': () => Math.floor(x / y),
    // The sign is the divisor's.
    '%': () => (x % y !== 0 && x % y < 0 !== y < 0 ? (x % y) + y : x % y),
    '**': () => x ** y,
  };
  const result = results[operator]!();
  if (float || operator === '/' || (operator === '**' && y < 0)) return new Float(result);
  if (!Number.isSafeInteger(result)) throw new TemplateError('a whole number goes beyond 2^53');
  return result + 0;
}
