import { item } from './access.ts';
import { bounded, type Native, native, required, textOf, wholeOf } from './native.ts';
import { str } from './print.ts';
import {
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

/** Filters of sequences and dicts. */

/** An attribute by its path, `a.b.0`. */
export function path(value: Value, name: Value, work: Work): Value {
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

const length = native({ value: required }, (_, value: Value) => lengthOf(value));
export const sequenceFilters: Record<string, Native> = {
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
  count: length,
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
  first,
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
  max: extreme(1),
  min: extreme(-1),
  reverse: native({ value: required }, (work, value: Value) => {
    if (typeof value === 'string') return work.text(work.list(characters(value)).reverse().join(''));
    return new Once([...iterate(value, work)].reverse());
  }),
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
};
