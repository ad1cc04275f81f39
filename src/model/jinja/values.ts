import { InputError } from '../../util/errors.ts';

/**
 * Python's values, as far as templates see them. Whole numbers are JavaScript's numbers, str, bool and None are its
 * own too, a list is an array and a dict a Map; what Python tells apart and JavaScript doesn't has a class here.
 */
export type Value =
  | null
  | boolean
  | number
  | string
  | Value[]
  | Dict
  | Float
  | Tuple
  | Range
  | View
  | Once
  | Undefined
  | Callable
  | Fields;

export type Dict = Map<Key, Value>;
/** Keys of other types are refused. */
export type Key = string | number | boolean | null;

/** What is wrong in a template, or what it refuses. */
export class TemplateError extends InputError {
  constructor(message: string, line?: number) {
    super(line === undefined ? message : `line ${line}: ${message}`);
  }
}

/**
 * Work and memory of one rendering, so that no template can take more than its share: some for any conversation, more
 * for a longer one.
 */
export class Work {
  private left = 2_000_000;

  /** JSON's values as a template sees them. */
  given(value: unknown): Value {
    switch (typeof value) {
      case 'string':
        this.left += value.length / 4;
        return value;
      case 'boolean':
        return value;
      case 'number':
        return Number.isSafeInteger(value) ? value : new Float(value);
      case 'object': {
        this.left += 200;
        if (value === null) return null;
        if (Array.isArray(value)) return value.map((item) => this.given(item));
        const entries = Object.entries(value).filter(([, item]) => item !== undefined);
        return new Map(entries.map(([key, item]) => [key, this.given(item)]));
      }
      default:
        throw new TemplateError(`a ${typeof value} cannot be given to a template`);
    }
  }

  /** @param steps of about 0.1 us */
  spend(steps: number): void {
    this.left -= steps;
    if (this.left < 0) throw new TemplateError('it takes too much work');
  }

  /** A text that was made. */
  text(text: string): string {
    if (text.length > 64_000_000)
      throw new TemplateError('it makes a text of more than 64 million characters');
    this.spend(text.length / 64);
    return text;
  }

  /** A list that was made. */
  list<T>(items: T[]): T[] {
    this.spend(items.length);
    return items;
  }
}

export class Float {
  constructor(readonly value: number) {}
}

export class Tuple {
  /** @param names of the items, where they have some */
  constructor(
    readonly items: Value[],
    readonly names: readonly string[] = [],
  ) {}
}

export class Range {
  readonly length: number;

  constructor(
    readonly start: number,
    readonly stop: number,
    readonly step: number,
  ) {
    this.length = Math.max(0, Math.ceil((stop - start) / step));
  }

  items(): number[] {
    return Array.from({ length: this.length }, (_, i) => this.start + i * this.step);
  }
}

/** What a dict's items(), keys() and values() give. */
export class View {
  constructor(
    readonly kind: 'items' | 'keys' | 'values',
    readonly dict: Dict,
  ) {}

  items(): Value[] {
    if (this.kind === 'keys') return [...this.dict.keys()];
    if (this.kind === 'values') return [...this.dict.values()];
    return Array.from(this.dict, (pair) => new Tuple(pair));
  }
}

/** What can be gone through once and has no length: Python's generators. */
export class Once {
  constructor(private items: Value[]) {}

  take(): Value[] {
    const { items } = this;
    this.items = [];
    return items;
  }
}

/** It prints as nothing, is false and empty; anything else that is done with it is an error. */
export class Undefined {
  constructor(readonly message: string) {}

  fail(): never {
    throw new TemplateError(this.message);
  }
}

export interface Call {
  positional: Value[];
  named: Map<string, Value>;
}

export class Callable {
  constructor(
    readonly name: string,
    readonly call: (call: Call) => Value,
  ) {}
}

/** What has attributes and nothing else: a namespace, a loop. */
export class Fields {
  constructor(
    readonly type: string,
    readonly fields: Map<string, Value>,
  ) {}
}

/** What is there, else the other: None is there, so that `??` will not do. */
export const or = <T extends Value | undefined>(value: Value | undefined, other: () => T): Value | T =>
  value === undefined ? other() : value;

export const undefinedName = (name: string) => new Undefined(`'${name}' is undefined`);

export function typeName(value: Value): string {
  if (value === null) return 'None';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'number') return 'int';
  if (typeof value === 'string') return 'str';
  if (Array.isArray(value)) return 'list';
  if (value instanceof Map) return 'dict';
  if (value instanceof Float) return 'float';
  if (value instanceof Fields) return value.type;
  if (value instanceof View) return `dict_${value.kind}`;
  if (value instanceof Once) return 'generator';
  if (value instanceof Callable) return 'function';
  if (value instanceof Tuple) return 'tuple';
  return value instanceof Range ? 'range' : 'Undefined';
}

export function truth(value: Value): boolean {
  if (value === null || value instanceof Undefined) return false;
  if (value instanceof Float) return value.value !== 0;
  if (Array.isArray(value) || value instanceof Range) return value.length > 0;
  if (value instanceof Map) return value.size > 0;
  if (value instanceof View) return value.dict.size > 0;
  if (value instanceof Tuple) return value.items.length > 0;
  return typeof value === 'object' || value !== 0 ? Boolean(value) : false;
}

/** A number's value; undefined for what is none. As in Python, true is 1. */
export function numeric(value: Value): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value === 'boolean') return Number(value);
  return value instanceof Float ? value.value : undefined;
}

const SURROGATE = /[\ud800-\udfff]/;

/** A text's characters; by code points, as Python counts. */
export const characters = (text: string): string[] =>
  SURROGATE.test(text) ? Array.from(text) : text.split('');

export const textLength = (text: string): number =>
  SURROGATE.test(text) ? characters(text).length : text.length;

/** @throws TemplateError for what cannot be gone through */
export function iterate(value: Value, work: Work): Value[] {
  return work.list(elements(value));
}

function elements(value: Value): Value[] {
  if (Array.isArray(value)) return value;
  if (value instanceof Map) return [...value.keys()];
  if (typeof value === 'string') return characters(value);
  if (value instanceof Tuple) return value.items;
  if (value instanceof Range || value instanceof View) return value.items();
  if (value instanceof Once) return value.take();
  if (value instanceof Undefined) return [];
  throw new TemplateError(`'${typeName(value)}' object is not iterable`);
}

/** @throws TemplateError for what has no length */
export function lengthOf(value: Value): number {
  if (typeof value === 'string') return textLength(value);
  if (Array.isArray(value) || value instanceof Range) return value.length;
  if (value instanceof Map) return value.size;
  if (value instanceof View) return value.dict.size;
  if (value instanceof Tuple) return value.items.length;
  if (value instanceof Undefined) return 0;
  throw new TemplateError(`object of type '${typeName(value)}' has no len()`);
}

export function keyOf(value: Value): Key {
  if (value === null || ['string', 'number', 'boolean'].includes(typeof value)) return value as Key;
  throw new TemplateError(`a key of type '${typeName(value)}' is not supported`);
}

export function equal(a: Value, b: Value, work: Work): boolean {
  work.spend(1);
  const [x, y] = [numeric(a), numeric(b)];
  if (x !== undefined || y !== undefined) return x === y;
  if (Array.isArray(a)) return Array.isArray(b) && sameItems(a, b, work);
  if (a instanceof Tuple) return b instanceof Tuple && sameItems(a.items, b.items, work);
  if (a instanceof Map) {
    if (!(b instanceof Map) || a.size !== b.size) return false;
    return [...a].every(([key, value]) => b.has(key) && equal(value, b.get(key)!, work));
  }
  if (a instanceof Undefined) return b instanceof Undefined;
  if (a instanceof Range) {
    return b instanceof Range && sameItems(work.list(a.items()), work.list(b.items()), work);
  }
  return a === b;
}

const sameItems = (a: Value[], b: Value[], work: Work) =>
  a.length === b.length && a.every((item, i) => equal(item, b[i]!, work));

/** Below 0, 0 or above. @throws TemplateError for what has no order */
export function order(a: Value, b: Value, work: Work): number {
  work.spend(1);
  const [x, y] = [numeric(a), numeric(b)];
  if (x !== undefined && y !== undefined) return x < y ? -1 : x > y ? 1 : 0;
  if (typeof a === 'string' && typeof b === 'string') return orderTexts(a, b);
  const [first, second] = [a, b].map((v) => (v instanceof Tuple ? v.items : Array.isArray(v) ? v : null));
  if (first && second && Array.isArray(a) === Array.isArray(b)) {
    for (const [i, item] of first.entries()) {
      if (i >= second.length) return 1;
      if (!equal(item, second[i]!, work)) return order(item, second[i]!, work);
    }
    return first.length - second.length;
  }
  for (const value of [a, b]) if (value instanceof Undefined) value.fail();
  throw new TemplateError(`'${typeName(a)}' and '${typeName(b)}' have no order`);
}

/** By code points, where JavaScript's own order goes by UTF-16. */
function orderTexts(a: string, b: string): number {
  if (a === b) return 0;
  if (!SURROGATE.test(a) && !SURROGATE.test(b)) return a < b ? -1 : 1;
  const [x, y] = [Array.from(a), Array.from(b)];
  const at = x.findIndex((character, i) => character !== y[i]);
  if (at < 0) return -1;
  return at >= y.length || x[at]!.codePointAt(0)! > y[at]!.codePointAt(0)! ? 1 : -1;
}

export function contains(container: Value, item: Value, work: Work): boolean {
  if (typeof container === 'string') {
    if (item instanceof Undefined) item.fail();
    if (typeof item !== 'string') {
      throw new TemplateError(`'in' of a str needs a str on its left, not '${typeName(item)}'`);
    }
    work.spend(container.length / 64);
    return container.includes(item);
  }
  if (container instanceof Map) return container.has(keyOf(item));
  return elements(container).some((element) => equal(element, item, work));
}
