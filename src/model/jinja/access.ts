import { format } from './format.ts';
import { bound, type Native, native, required, wholeOf } from './native.ts';
import { stringMethods } from './strings.ts';
import {
  Callable,
  characters,
  equal,
  Fields,
  Float,
  keyOf,
  numeric,
  or,
  Range,
  TemplateError,
  Tuple,
  typeName,
  Undefined,
  undefinedName,
  type Value,
  View,
  type Work,
} from './values.ts';

/** Attributes and items of values: `a.b`, `a['b']` and `a[1:2]`. */

const dictMethods: Record<string, Native> = {
  copy: native({ self: required }, (work, self: Map<never, Value>) => {
    work.spend(self.size);
    return new Map(self);
  }),
  get: native(
    { self: required, key: required, default: null },
    (_, self: Map<unknown, Value>, key: Value, other: Value) => or(self.get(keyOf(key)), () => other),
  ),
  items: native({ self: required }, (_, self: Map<never, Value>) => new View('items', self)),
  keys: native({ self: required }, (_, self: Map<never, Value>) => new View('keys', self)),
  values: native({ self: required }, (_, self: Map<never, Value>) => new View('values', self)),
};

const itemsOf = (self: Value[] | Tuple) => (self instanceof Tuple ? self.items : self);

const listMethods: Record<string, Native> = {
  copy: native({ self: required }, (work, self: Value[]) => work.list([...self])),
  count: native(
    { self: required, value: required },
    (work, self: Value[] | Tuple, value: Value) =>
      itemsOf(self).filter((item) => equal(item, value, work)).length,
  ),
  index: native({ self: required, value: required }, (work, self: Value[] | Tuple, value: Value) => {
    const at = itemsOf(self).findIndex((item) => equal(item, value, work));
    if (at < 0) throw new TemplateError('index() does not find its value');
    return at;
  }),
};

/** Methods that would change a value that others see too; as in the sandbox of transformers, they are not there. */
const CHANGING = {
  dict: ['clear', 'pop', 'popitem', 'setdefault', 'update'],
  list: ['append', 'clear', 'extend', 'insert', 'pop', 'remove', 'reverse', 'sort'],
};

function method(value: Value, name: string, work: Work): Value | undefined {
  if (name.startsWith('_')) return undefined;
  const own = (methods: Record<string, Native>) =>
    Object.hasOwn(methods, name) ? bound(`${name}()`, methods[name]!, value, work) : undefined;
  if (typeof value === 'string') {
    return name === 'format'
      ? new Callable('format()', (call) => format(value, call, work))
      : own(stringMethods);
  }
  if (value instanceof Map || Array.isArray(value)) {
    if (CHANGING[value instanceof Map ? 'dict' : 'list'].includes(name)) {
      return new Undefined(`access to attribute '${name}' of '${typeName(value)}' object is unsafe`);
    }
    return own(value instanceof Map ? dictMethods : listMethods);
  }
  if (value instanceof Tuple) {
    const at = value.names.indexOf(name);
    return at >= 0 ? value.items[at] : name === 'copy' ? undefined : own(listMethods);
  }
  return value instanceof Fields ? value.fields.get(name) : undefined;
}

/** `value.name`: a method first, then an item. */
export function attribute(value: Value, name: string, work: Work): Value {
  if (value instanceof Undefined) value.fail();
  return or(method(value, name, work), () => or(entry(value, name, work), () => missing(value, name)));
}

/** `value[index]`: an item first, then a method. */
export function item(value: Value, index: Value, work: Work): Value {
  if (value instanceof Undefined) value.fail();
  if (index instanceof Undefined) return undefinedName(typeName(value));
  const found = or(entry(value, index, work), () =>
    typeof index === 'string' ? method(value, index, work) : undefined,
  );
  return or(found, () => missing(value, typeof index === 'object' ? typeName(index) : String(index)));
}

const missing = (value: Value, name: string) =>
  new Undefined(`'${typeName(value)}' object has no attribute or item '${name}'`);

function entry(value: Value, index: Value, work: Work): Value | undefined {
  if (value instanceof Map) return index === null || typeof index !== 'object' ? value.get(index) : undefined;
  const at = numeric(index);
  if (at === undefined || index instanceof Float) return undefined;
  if (value instanceof Range) {
    const place = at < 0 ? at + value.length : at;
    return place >= 0 && place < value.length ? value.start + place * value.step : undefined;
  }
  if (typeof value === 'string') {
    work.spend(value.length / 64);
    return characters(value).at(at);
  }
  const items = Array.isArray(value) ? value : value instanceof Tuple ? value.items : undefined;
  return items && at >= -items.length ? items.at(at) : undefined;
}

/** `value[start:stop:step]` */
export function slice(value: Value, bounds: Value[], work: Work): Value {
  if (value instanceof Undefined) value.fail();
  const text = typeof value === 'string';
  const items = text
    ? characters(value)
    : Array.isArray(value)
      ? value
      : value instanceof Tuple
        ? value.items
        : value instanceof Range
          ? value.items()
          : null;
  if (items === null) return new Undefined(`'${typeName(value)}' object cannot be sliced`);
  const [first, last, by] = bounds.map((bound) => (bound === null ? null : wholeOf(bound, 'a slice')));
  const step = by ?? 1;
  if (step === 0) throw new TemplateError('a slice has a step of 0');
  const n = items.length;
  const [low, high] = step > 0 ? [0, n] : [-1, n - 1];
  const clamp = (at: number) => Math.min(high, Math.max(low, at < 0 ? at + n : at));
  const start = first == null ? (step > 0 ? low : high) : clamp(first);
  const stop = last == null ? (step > 0 ? high : low) : clamp(last);
  work.spend(n / 16);
  const chosen: Value[] = step === 1 ? items.slice(start, stop) : [];
  if (step !== 1) for (let at = start; step > 0 ? at < stop : at > stop; at += step) chosen.push(items[at]!);
  if (text) return work.text((chosen as string[]).join(''));
  work.list(chosen);
  return value instanceof Tuple ? new Tuple(chosen) : chosen;
}
