import { attribute } from './access.ts';
import { bounded, type Native, native, required, textOf, wholeOf } from './native.ts';
import { type JsonOptions, json, str } from './print.ts';
import { capitalize, centred, justify, replace, splitLines, strip } from './strings.ts';
import {
  characters,
  Float,
  iterate,
  numeric,
  TemplateError,
  truth,
  typeName,
  Undefined,
  type Value,
  type Work,
} from './values.ts';

/** Filters of single values. */

const text = (change: (text: string, work: Work) => string): Native =>
  native({ s: required }, (work, value: Value) => work.text(change(str(value, work), work)));

const ESCAPED: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&#34;',
  "'": '&#39;',
};
const html = text((value, work) => {
  work.spend(value.length / 16);
  return value.replace(/[&<>"']/g, (character) => ESCAPED[character]!);
});

const otherwise = native(
  { value: required, default_value: '', boolean: false },
  (_, value: Value, other: Value, falsy: Value) =>
    value instanceof Undefined || (truth(falsy) && !truth(value)) ? other : value,
);

export const valueFilters: Record<string, Native> = {
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
  capitalize: text(capitalize),
  center: native({ value: required, width: 80 }, (work, value: Value, width: Value) =>
    justify(work, str(value, work), width, ' ', (room) => centred(room, Number(width))),
  ),
  d: otherwise,
  default: otherwise,
  e: html,
  escape: html,
  float: native({ value: required, default: new Float(0) }, (_, value: Value, other: Value) => {
    if (value instanceof Undefined) value.fail();
    const number = typeof value === 'string' ? parseNumber(value) : numeric(value);
    return number === undefined ? other : new Float(number);
  }),
  forceescape: html,
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
  lower: text((value) => value.toLowerCase()),
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
  string: text((value) => value),
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
      const whole = textOf(value, 'truncate');
      work.spend(whole.length / 4);
      const points = characters(whole);
      const [most, after] = [wholeOf(size, 'truncate'), textOf(ending, 'truncate')];
      const kept = most - characters(after).length;
      if (kept < 0) throw new TemplateError(`truncate to ${most} characters leaves no room for its end`);
      if (points.length <= most + wholeOf(leeway, 'truncate')) return value;
      const cut = points.slice(0, kept).join('');
      const space = truth(kill) ? -1 : cut.lastIndexOf(' ');
      return work.text((space < 0 ? cut : cut.slice(0, space)) + after);
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
