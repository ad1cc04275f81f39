import { attribute, item } from './access.ts';
import { percent } from './format.ts';
import { callNative, type Native, native, required, textOf, wholeOf } from './native.ts';
import { type JsonOptions, json, str } from './print.ts';
import { capitalize, centred, justify, replace, splitLines, strip } from './strings.ts';
import { tests } from './tests.ts';
import {
  type Call,
  characters,
  equal,
  Float,
  iterate,
  lengthOf,
  numeric,
  Once,
  or,
  order,
  TemplateError,
  Tuple,
  truth,
  typeName,
  Undefined,
  type Value,
  View,
  type Work,
} from './values.ts';

/** What may follow `|`. */

/** An attribute by its path, `a.b.0`. */
function path(value: Value, name: Value, work: Work): Value {
  const parts = typeof name === 'number' ? [name] : textOf(name, 'an attribute').split('.');
  return parts.reduce<Value>(
    (inner, part) => item(inner, typeof part === 'string' && /^\d+$/.test(part) ? Number(part) : part, work),
    value,
  );
}

const ignoreCase = (value: Value) => (typeof value === 'string' ? value.toLowerCase() : value);

/** What items are compared by. */
const sortKey = (name: Value, caseSensitive: Value, work: Work) => (value: Value) => {
  const key = name === null ? value : path(value, name, work);
  return truth(caseSensitive) ? key : ignoreCase(key);
};

function sorted<T>(items: T[], key: (item: T) => Value, reverse: Value, work: Work): T[] {
  const sign = truth(reverse) ? -1 : 1;
  const keyed = items.map((item) => [key(item), item] as const);
  return keyed.sort(([a], [b]) => sign * order(a, b, work)).map(([, item]) => item);
}

const extreme = (sign: number): Native =>
  native(
    { value: required, case_sensitive: false, attribute: null },
    (work, value: Value, cased: Value, name: Value) => {
      const key = sortKey(name, cased, work);
      const items = iterate(value, work);
      if (items.length === 0) return new Undefined('no item: the sequence is empty');
      return items.reduce((best, one) => (sign * order(key(one), key(best), work) > 0 ? one : best));
    },
  );

const first: Native = native({ value: required }, (work, value: Value) =>
  or(iterate(value, work).at(0), () => new Undefined('no item: the sequence is empty')),
);

const text = (change: (text: string, work: Work) => string): Native =>
  native({ s: required }, (work, value: Value) => work.text(change(str(value, work), work)));

const ESCAPED: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&#34;',
  "'": '&#39;',
};
const escape = text((value) => value.replace(/[&<>"']/g, (character) => ESCAPED[character]!));

const length = native({ value: required }, (_, value: Value) => lengthOf(value));
const otherwise = native(
  { value: required, default_value: '', boolean: false },
  (_, value: Value, other: Value, falsy: Value) =>
    value instanceof Undefined || (truth(falsy) && !truth(value)) ? other : value,
);

const filters: Record<string, Native> = {
  abs: native({ value: required }, (_, value: Value) => {
    const number = numeric(value);
    if (number === undefined) throw new TemplateError(`abs needs a number, not '${typeName(value)}'`);
    return value instanceof Float ? new Float(Math.abs(number)) : Math.abs(number);
  }),
  attr: native({ value: required, name: required }, (work, value: Value, name: Value) => {
    const key = textOf(name, 'attr');
    return value instanceof Map
      ? new Undefined(`'dict' object has no attribute '${key}'`)
      : attribute(value, key, work);
  }),
  batch: native(
    { value: required, linecount: required, fill_with: null },
    (work, value: Value, count: Value, fill: Value) => {
      const size = Math.max(1, wholeOf(count, 'batch'));
      const items = iterate(value, work);
      const rows: Value[] = [];
      for (let i = 0; i < items.length; i += size) {
        const row = items.slice(i, i + size);
        if (fill !== null) {
          work.spend(size);
          while (row.length < size) row.push(fill);
        }
        rows.push(row);
      }
      return new Once(rows);
    },
  ),
  capitalize: text(capitalize),
  center: native({ value: required, width: 80 }, (work, value: Value, width: Value) =>
    justify(work, str(value, work), width, ' ', (room) => centred(room, Number(width))),
  ),
  count: length,
  d: otherwise,
  default: otherwise,
  dictsort: native(
    { value: required, case_sensitive: false, by: 'key', reverse: false },
    (work, value: Value, cased: Value, by: Value, reverse: Value) => {
      if (!(value instanceof Map)) throw new TemplateError(`dictsort needs a dict, not '${typeName(value)}'`);
      if (by !== 'key' && by !== 'value') throw new TemplateError("dictsort goes by 'key' or 'value'");
      const pairs = new View('items', value).items() as Tuple[];
      return work.list(
        sorted(pairs, ({ items }) => sortKey(null, cased, work)(items[by === 'key' ? 0 : 1]!), reverse, work),
      );
    },
  ),
  e: escape,
  escape,
  first,
  float: native({ value: required, default: new Float(0) }, (_, value: Value, other: Value) => {
    if (value instanceof Undefined) value.fail();
    const number = typeof value === 'string' ? parseNumber(value) : numeric(value);
    return number === undefined ? other : new Float(number);
  }),
  forceescape: escape,
  groupby: native(
    { value: required, attribute: required, default: null, case_sensitive: false },
    (work, value: Value, name: Value, other: Value, cased: Value) => {
      const raw = (one: Value) => {
        const key = path(one, name, work);
        return key instanceof Undefined && other !== null ? other : key;
      };
      const key = (one: Value) => (truth(cased) ? raw(one) : ignoreCase(raw(one)));
      const groups: [Value, Value[]][] = [];
      for (const one of sorted(iterate(value, work), key, false, work)) {
        const last = groups.at(-1);
        if (last && equal(key(last[1][0]!), key(one), work)) last[1].push(one);
        else groups.push([raw(one), [one]]);
      }
      return groups.map((pair) => new Tuple(pair, ['grouper', 'list']));
    },
  ),
  indent: native(
    { s: required, width: 4, first: false, blank: false },
    (work, value: Value, width: Value, first: Value, blank: Value) => {
      const by = typeof width === 'string' ? width : ' '.repeat(bounded(wholeOf(width, 'indent'), work));
      const lines = splitLines(work, `${textOf(value, 'indent')}\n`);
      work.spend((lines.length * by.length) / 64);
      const [head = '', ...rest] = lines;
      const indented = rest.map((line) => (line === '' && !truth(blank) ? line : by + line));
      return work.text((truth(first) ? by : '') + [head, ...indented].join('\n'));
    },
  ),
  int: native({ value: required, default: 0, base: 10 }, (_, value: Value, other: Value, base: Value) => {
    if (value instanceof Undefined) value.fail();
    const number =
      typeof value === 'string'
        ? (parseWhole(value, wholeOf(base, 'int')) ?? parseNumber(value))
        : numeric(value);
    if (number === undefined || !Number.isFinite(number)) return other;
    return Math.trunc(number);
  }),
  items: native({ value: required }, (_, value: Value) => {
    if (value instanceof Undefined) return new Once([]);
    if (!(value instanceof Map)) throw new TemplateError(`items needs a dict, not '${typeName(value)}'`);
    return new Once(new View('items', value).items());
  }),
  join: native(
    { value: required, d: '', attribute: null },
    (work, value: Value, between: Value, name: Value) => {
      const separator = str(between, work);
      const texts = iterate(value, work).map((one) => {
        const part = str(name === null ? one : path(one, name, work), work);
        work.spend((part.length + separator.length) / 64);
        return part;
      });
      return work.text(texts.join(separator));
    },
  ),
  last: native({ value: required }, (work, value: Value) => {
    if (value instanceof Once)
      throw new TemplateError('a generator has no last item: the filter list is missing');
    return or(iterate(value, work).at(-1), () => new Undefined('no last item: the sequence is empty'));
  }),
  length,
  list: native({ value: required }, (work, value: Value) => [...iterate(value, work)]),
  lower: text((value) => value.toLowerCase()),
  max: extreme(1),
  min: extreme(-1),
  replace: native(
    { s: required, old: required, new: required, count: null },
    (work, value: Value, old: Value, by: Value, count: Value) =>
      replace(
        work,
        str(value, work),
        str(old, work),
        str(by, work),
        count === null ? -1 : wholeOf(count, 'replace'),
      ),
  ),
  reverse: native({ value: required }, (work, value: Value) => {
    if (typeof value === 'string') return work.text(characters(value).reverse().join(''));
    return new Once([...iterate(value, work)].reverse());
  }),
  round: native(
    { value: required, precision: 0, method: 'common' },
    (_, value: Value, precision: Value, method: Value) => {
      const number = numeric(value);
      const places = wholeOf(precision, 'round');
      if (number === undefined) throw new TemplateError(`round needs a number, not '${typeName(value)}'`);
      const scale = 10 ** places;
      if (method === 'ceil' || method === 'floor') return new Float(Math[method](number * scale) / scale);
      if (method !== 'common') throw new TemplateError('round goes by common, ceil or floor');
      return value instanceof Float
        ? new Float(halfEven(number, places))
        : Math.round(halfEven(number, places));
    },
  ),
  safe: text((value) => value),
  slice: native(
    { value: required, slices: required, fill_with: null },
    (work, value: Value, slices: Value, fill: Value) => {
      const items = iterate(value, work);
      const count = bounded(Math.max(1, wholeOf(slices, 'slice')), work);
      const [each, over] = [Math.floor(items.length / count), items.length % count];
      let at = 0;
      return new Once(
        Array.from({ length: count }, (_, i) => {
          const size = each + (i < over ? 1 : 0);
          const row = items.slice(at, at + size);
          at += size;
          return fill !== null && i >= over ? [...row, fill] : row;
        }),
      );
    },
  ),
  sort: native(
    { value: required, reverse: false, case_sensitive: false, attribute: null },
    (work, value: Value, reverse: Value, cased: Value, name: Value) => {
      const names = typeof name === 'string' ? name.split(',') : [name];
      const keys = names.map((one) => sortKey(one, cased, work));
      const key = (one: Value) => (keys.length === 1 ? keys[0]!(one) : keys.map((part) => part(one)));
      return sorted(iterate(value, work), key, reverse, work);
    },
  ),
  string: text((value) => value),
  sum: native(
    { value: required, attribute: null, start: 0 },
    (work, value: Value, name: Value, start: Value) => {
      const items = iterate(value, work).map((one) => (name === null ? one : path(one, name, work)));
      const all = [start, ...items];
      const total = all.reduce<number>((sum, one) => {
        const number = numeric(one);
        if (number === undefined) throw new TemplateError(`sum needs numbers, not '${typeName(one)}'`);
        return sum + number;
      }, 0);
      return all.some((one) => one instanceof Float) ? new Float(total) : total;
    },
  ),
  title: text((value) =>
    value
      .split(/([-\s({[<]+)/)
      .map((part) => capitalize(part))
      .join(''),
  ),
  tojson: native(
    { value: required, ensure_ascii: false, indent: null, separators: null, sort_keys: false },
    (work, value: Value, ascii: Value, indent: Value, separators: Value, sortKeys: Value) => {
      if (value instanceof Undefined)
        throw new TemplateError(`tojson of what is undefined: ${value.message}`);
      const given =
        separators === null ? [] : iterate(separators, work).map((one) => textOf(one, 'separators'));
      const options: JsonOptions = {
        ensureAscii: truth(ascii),
        indent:
          indent === null
            ? null
            : typeof indent === 'string'
              ? indent
              : ' '.repeat(bounded(wholeOf(indent, 'indent'), work)),
        separators: [given[0] ?? (indent === null ? ', ' : ','), given[1] ?? ': '],
        sortKeys: truth(sortKeys),
      };
      return work.text(json(value, options, work));
    },
  ),
  trim: native({ value: required, chars: null }, (work, value: Value, chars: Value) =>
    strip(work, str(value, work), chars, 3),
  ),
  truncate: native(
    { s: required, length: 255, killwords: false, end: '...', leeway: 5 },
    (work, value: Value, size: Value, kill: Value, ending: Value, leeway: Value) => {
      const points = characters(textOf(value, 'truncate'));
      const [most, after] = [wholeOf(size, 'truncate'), textOf(ending, 'truncate')];
      const kept = most - characters(after).length;
      if (kept < 0) throw new TemplateError(`truncate to ${most} characters leaves no room for its end`);
      if (points.length <= most + wholeOf(leeway, 'truncate')) return value;
      const cut = points.slice(0, kept).join('');
      const space = truth(kill) ? -1 : cut.lastIndexOf(' ');
      return work.text((space < 0 ? cut : cut.slice(0, space)) + after);
    },
  ),
  unique: native(
    { value: required, case_sensitive: false, attribute: null },
    (work, value: Value, cased: Value, name: Value) => {
      const key = sortKey(name, cased, work);
      const seen: Value[] = [];
      const kept = iterate(value, work).filter((one) => {
        const own = key(one);
        if (seen.some((other) => equal(other, own, work))) return false;
        seen.push(own);
        return true;
      });
      return new Once(kept);
    },
  ),
  upper: text((value) => value.toUpperCase()),
  urlencode: text((value) =>
    encodeURIComponent(value)
      .replaceAll('%2F', '/')
      .replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`),
  ),
  wordcount: native(
    { s: required },
    (work, value: Value) => work.list(str(value, work).match(/[\p{L}\p{N}_]+/gu) ?? []).length,
  ),
};

/** A number that sizes something, paid for before it is made. */
function bounded(size: number, work: Work): number {
  work.spend(Math.max(0, size));
  return Math.max(0, size);
}

function parseWhole(value: string, base: number): number | undefined {
  const sign = value.trim().startsWith('-') ? -1 : 1;
  const digits = value
    .trim()
    .replace(/^[-+]/, '')
    .replace(/(?<=[\da-z])_(?=[\da-z])/gi, '');
  const prefix: Record<string, number> = { '0x': 16, '0o': 8, '0b': 2 };
  const own = prefix[digits.slice(0, 2).toLowerCase()];
  const radix = base === 0 ? (own ?? 10) : base;
  const body = own === radix ? digits.slice(2) : digits;
  const allowed = '0123456789abcdefghijklmnopqrstuvwxyz'.slice(0, radix);
  if (body === '' || [...body.toLowerCase()].some((digit) => !allowed.includes(digit))) return undefined;
  return sign * Number.parseInt(body, radix);
}

function parseNumber(value: string): number | undefined {
  const text = value.trim().replace(/(?<=\d)_(?=\d)/g, '');
  if (/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text)) return Number(text);
  const named = /^([-+]?)(inf|infinity|nan)$/i.exec(text);
  if (!named) return undefined;
  return named[2]!.toLowerCase() === 'nan' ? Number.NaN : named[1] === '-' ? -Infinity : Infinity;
}

/** Python rounds a half to the even neighbour, of the decimal that the number is. */
function halfEven(number: number, places: number): number {
  if (places > 0) return Number(number.toFixed(Math.min(places, 100)));
  const scale = 10 ** -places;
  const scaled = number / scale;
  const floor = Math.floor(scaled);
  const rest = scaled - floor;
  const rounded = rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
  return rounded * scale;
}

/** Filters that call others: `map('upper')`, `selectattr('role', 'equalto', 'user')`. */
const HIGHER = new Set(['map', 'select', 'reject', 'selectattr', 'rejectattr', 'format']);

function higher(name: string, value: Value, call: Call, work: Work): Value {
  const [first, ...rest] = call.positional;
  if (name === 'format') {
    if (call.named.size > 0) return percent(str(value, work), new Map(call.named), work);
    return percent(str(value, work), new Tuple(call.positional), work);
  }
  if (name === 'map') {
    const by = call.named.get('attribute');
    const other = call.named.get('default');
    if (first === undefined && by === undefined)
      throw new TemplateError('map needs a filter or an attribute');
    const items = iterate(value, work);
    if (first !== undefined) {
      const filter = textOf(first, 'map');
      return new Once(
        items.map((one) => applyFilter(filter, one, { positional: rest, named: call.named }, work)),
      );
    }
    return new Once(
      items.map((one) => {
        const found = path(one, by!, work);
        return found instanceof Undefined && other !== undefined ? other : found;
      }),
    );
  }
  const withAttribute = name.endsWith('attr');
  const keep = name.startsWith('select');
  if (withAttribute && first === undefined) throw new TemplateError(`${name} needs an attribute`);
  const [test, ...args] = withAttribute ? rest : call.positional;
  const kept = iterate(value, work).filter((one) => {
    const tested = withAttribute ? path(one, first!, work) : one;
    const holds =
      test === undefined
        ? truth(tested)
        : truth(applyTest(textOf(test, name), tested, { positional: args, named: call.named }, work));
    return holds === keep;
  });
  return new Once(kept);
}

export function applyFilter(name: string, value: Value, call: Call, work: Work): Value {
  work.spend(1);
  if (HIGHER.has(name)) return higher(name, value, call, work);
  if (!Object.hasOwn(filters, name)) throw new TemplateError(`there is no filter '${name}'`);
  return callNative(name, filters[name]!, { ...call, positional: [value, ...call.positional] }, work);
}

export function applyTest(name: string, value: Value, call: Call, work: Work): Value {
  work.spend(1);
  if (name === 'filter' || name === 'test') {
    const known = name === 'test' ? tests : filters;
    const asked = textOf(value, name);
    return Object.hasOwn(known, asked) || (name === 'filter' && HIGHER.has(asked));
  }
  if (!Object.hasOwn(tests, name)) throw new TemplateError(`there is no test '${name}'`);
  return callNative(name, tests[name]!, { ...call, positional: [value, ...call.positional] }, work);
}
